import type { RoleCreateRequest } from '@neondatabase/api-client';
import { newPassword } from '../state/names.js';
import { ApiError, conflict, unprocessable } from './errors.js';
import { operationBody, roleBody } from './render.js';
import {
  created,
  ok,
  roleOf,
  schedule,
  theBranch,
  theProject,
  type Call,
  type Handler,
  type Handlers,
  type World,
} from './world.js';
import type { BranchRecord, ProjectRecord, RoleRecord } from '../state/model.js';

const RESERVED = /^(pg_.*|neon_superuser|cloud_admin|zenith_admin|public|none)$/;

function answer(
  world: World,
  call: Call,
  project: ProjectRecord,
  branch: BranchRecord,
  role: RoleRecord,
  withPassword: boolean,
) {
  const operations = schedule(world, call, project, [{ action: 'apply_config', branchId: branch.id }]);
  const rendered = operations.map((operation) => operationBody(project, operation, call.now));
  return { role: roleBody(branch, role, withPassword), operations: rendered };
}

const createProjectBranchRole: Handler = (world, call) => {
  const project = theProject(world, call);
  const branch = theBranch(project, call);
  const { name, no_login: noLogin = false } = (call.body as RoleCreateRequest).role;
  if (RESERVED.test(name)) throw unprocessable(`role name ${name} is reserved`);
  if (project.roles.has(name)) throw conflict('ROLE_ALREADY_EXISTS', `role ${name} already exists`);
  return created(answer(world, call, project, branch, world.store.newRole(project, name, call.now, noLogin), true));
};

const deleteProjectBranchRole: Handler = async (world, call) => {
  const project = theProject(world, call);
  const branch = theBranch(project, call);
  const role = roleOf(project, call.parameters['role_name'] ?? '');
  const databases = [...project.branches.values()].flatMap((each) => [...each.databases.values()]);
  if (databases.some((database) => database.ownerName === role.name))
    throw unprocessable(`role ${role.name} owns a database`);
  const heir = [...project.roles.values()].find((other) => other !== role && other.exists);
  if (role.exists && heir) await world.databases.dropRole(role, databases, heir.physicalName);
  project.roles.delete(role.name);
  return ok(answer(world, call, project, branch, role, false));
};

const resetProjectBranchRolePassword: Handler = async (world, call) => {
  const project = theProject(world, call);
  const branch = theBranch(project, call);
  const role = roleOf(project, call.parameters['role_name'] ?? '');
  role.password = newPassword();
  role.updatedAt = call.now;
  await world.databases.setPassword(role);
  return ok(answer(world, call, project, branch, role, true));
};

const getProjectBranchRolePassword: Handler = (world, call) => {
  const project = theProject(world, call);
  theBranch(project, call);
  const role = roleOf(project, call.parameters['role_name'] ?? '');
  if (!project.storePasswords) throw new ApiError(412, 'PASSWORDS_NOT_STORED', 'this project does not store passwords');
  return ok({ password: role.password });
};

export const roleHandlers: Handlers = {
  createProjectBranchRole,
  deleteProjectBranchRole,
  resetProjectBranchRolePassword,
  getProjectBranchRolePassword,
  listProjectBranchRoles: (world, call) => {
    const project = theProject(world, call);
    const branch = theBranch(project, call);
    return ok({ roles: [...project.roles.values()].map((role) => roleBody(branch, role)) });
  },
  getProjectBranchRole: (world, call) => {
    const project = theProject(world, call);
    return ok({ role: roleBody(theBranch(project, call), roleOf(project, call.parameters['role_name'] ?? '')) });
  },
};
