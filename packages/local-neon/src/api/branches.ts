import type { AnnotationCreateValueRequest, BranchCreateRequest, BranchUpdateRequest } from '@neondatabase/api-client';
import { isCreating } from '../faults/faults.js';
import { startCompute } from '../state/compute.js';
import type { BranchRecord, ProjectRecord } from '../state/model.js';
import { defaultBranch } from '../state/store.js';
import { ApiError, conflict, unprocessable } from './errors.js';
import { adopt, copiesOf } from './copies.js';
import { configure } from './endpoints.js';
import {
  annotation,
  branchBody,
  connectionDetails,
  databaseBody,
  endpointBody,
  operationBody,
  roleBody,
} from './render.js';
import { restoreProjectBranch } from './restore.js';
import {
  branchOf,
  created,
  ok,
  schedule,
  theBranch,
  theProject,
  type Call,
  type Handler,
  type Handlers,
  type World,
} from './world.js';

const createProjectBranch: Handler = async (world, call) => {
  const project = theProject(world, call);
  const request = (call.body ?? {}) as BranchCreateRequest & AnnotationCreateValueRequest;
  const wanted = request.branch ?? {};
  if (wanted.init_source !== undefined && wanted.init_source !== 'parent-data') {
    throw new ApiError(501, 'NOT_MODELLED', `local-neon does not model init_source ${wanted.init_source}`);
  }
  if (request.endpoints?.some((endpoint) => isReplica(endpoint.type)) === true) {
    throw new ApiError(501, 'NOT_MODELLED', 'local-neon does not model read replicas');
  }
  checkName(project, wanted.name);
  const parent = branchOf(project, wanted.parent_id);
  const copies = await copiesOf(world, project, parent, { lsn: wanted.parent_lsn, timestamp: wanted.parent_timestamp });
  const branch = world.store.newBranch(project, wanted.name ?? '', call.now);
  if (wanted.name === undefined) branch.name = branch.id;
  adopt(branch, copies);
  branch.parentId = parent.id;
  branch.parentLsn = wanted.parent_lsn ?? (await world.databases.currentLsn());
  branch.parentTimestamp = wanted.parent_timestamp === undefined ? call.now : Date.parse(wanted.parent_timestamp);
  branch.protected = wanted.protected ?? false;
  branch.expiresAt = wanted.expires_at === undefined ? undefined : Date.parse(wanted.expires_at);
  branch.annotations = request.annotation_value;
  const endpoints = (request.endpoints ?? []).map((settings) => {
    const endpoint = world.store.newEndpoint(project, branch, 'read_write', call.now);
    configure(endpoint, settings);
    startCompute(endpoint, call.now);
    return endpoint;
  });
  const operations = schedule(world, call, project, [
    { action: 'create_branch', branchId: branch.id },
    ...endpoints.map(({ id }) => ({ action: 'start_compute', branchId: branch.id, endpointId: id })),
  ]);
  const details = await Promise.all(endpoints.map((endpoint) => connectionDetails(world, project, branch, endpoint)));
  return created({
    branch: branchBody(project, branch),
    endpoints: await Promise.all(endpoints.map((endpoint) => endpointBody(world, project, endpoint))),
    operations: operations.map((operation) => operationBody(project, operation, call.now)),
    roles: [...project.roles.values()].map((role) => roleBody(branch, role)),
    databases: [...branch.databases.values()].map((database) => databaseBody(branch, database)),
    ...(endpoints.length > 0 ? { connection_uris: details.flat() } : {}),
  });
};

const isReplica = (type: string) => type === 'read_only';

function checkName(project: ProjectRecord, name: string | undefined, self?: BranchRecord): void {
  for (const branch of project.branches.values()) {
    if (branch !== self && branch.name === name)
      throw conflict('BRANCH_ALREADY_EXISTS', `branch ${name} already exists`);
  }
}

function respond(world: World, call: Call, project: ProjectRecord, branch: BranchRecord, actions: readonly string[]) {
  const steps = actions.map((action) => ({ action, branchId: branch.id }));
  const operations = schedule(world, call, project, steps).map((operation) =>
    operationBody(project, operation, call.now),
  );
  return ok({ branch: branchBody(project, branch), operations });
}

const updateProjectBranch: Handler = (world, call) => {
  const project = theProject(world, call);
  const branch = theBranch(project, call);
  const change = (call.body as BranchUpdateRequest).branch;
  checkName(project, change.name, branch);
  if (change.name !== undefined) branch.name = change.name;
  if (change.protected !== undefined) branch.protected = change.protected;
  if (change.expires_at !== undefined)
    branch.expiresAt = change.expires_at === null ? undefined : Date.parse(change.expires_at);
  branch.updatedAt = call.now;
  return respond(world, call, project, branch, []);
};

const deleteProjectBranch: Handler = async (world, call) => {
  const project = theProject(world, call);
  const branch = theBranch(project, call);
  if (branch.default) throw unprocessable('cannot delete the default branch');
  if (branch.protected) throw unprocessable('cannot delete a protected branch');
  if ([...project.branches.values()].some(({ parentId }) => parentId === branch.id)) {
    throw unprocessable('cannot delete a branch that has children');
  }
  project.branches.delete(branch.id);
  for (const endpoint of [...project.endpoints.values()].filter(({ branchId }) => branchId === branch.id)) {
    project.endpoints.delete(endpoint.id);
    await world.gateway.remove(endpoint.id);
  }
  for (const database of branch.databases.values()) await world.databases.drop(database);
  return respond(world, call, project, branch, ['suspend_compute', 'delete_timeline']);
};

const setDefaultProjectBranch: Handler = (world, call) => {
  const project = theProject(world, call);
  const branch = theBranch(project, call);
  defaultBranch(project).default = false;
  branch.default = true;
  return respond(world, call, project, branch, []);
};

const listProjectBranches: Handler = (world, call) => {
  const project = theProject(world, call);
  const query = call.query as { search?: string; sort_by: string; sort_order: string; limit?: number; cursor?: string };
  const sorted = searched(project, query.search).sort((a, b) => compare(a, b, query.sort_by));
  if (query.sort_order === 'desc') sorted.reverse();
  const start = query.cursor === undefined ? 0 : sorted.findIndex(({ id }) => id === query.cursor) + 1;
  const page = sorted.slice(start, query.limit === undefined ? undefined : start + query.limit);
  const last = page.at(-1);
  const more = last !== undefined && start + page.length < sorted.length;
  const pagination = { ...(more ? { next: last.id } : {}), sort_by: query.sort_by, sort_order: query.sort_order };
  const creating = isCreating(world.faults, project);
  const annotated = page.filter(({ annotations }) => annotations !== undefined);
  return ok({
    branches: page.map((branch) => branchBody(project, branch, { creating })),
    annotations: Object.fromEntries(annotated.map((branch) => [branch.id, annotation(branch)])),
    pagination,
  });
};

function searched(project: ProjectRecord, search: string | undefined): BranchRecord[] {
  return [...project.branches.values()].filter(
    (branch) => search === undefined || branch.name.includes(search) || branch.id.includes(search),
  );
}

function compare(a: BranchRecord, b: BranchRecord, key: string): number {
  if (key === 'name') return a.name < b.name ? -1 : 1;
  return key === 'created_at' ? a.createdAt - b.createdAt : a.updatedAt - b.updatedAt;
}

const getProjectBranch: Handler = async (world, call) => {
  const project = theProject(world, call);
  const branch = theBranch(project, call);
  let size = 0;
  for (const database of branch.databases.values()) size += await world.databases.size(database);
  return ok({
    branch: branchBody(project, branch, { logicalSize: size, creating: isCreating(world.faults, project) }),
    annotation: annotation(branch),
  });
};

export const branchHandlers: Handlers = {
  createProjectBranch,
  updateProjectBranch,
  deleteProjectBranch,
  setDefaultProjectBranch,
  listProjectBranches,
  getProjectBranch,
  restoreProjectBranch,
  countProjectBranches: (world, call) => {
    const { search } = call.query as { search?: string };
    return ok({ count: searched(theProject(world, call), search).length });
  },
};
