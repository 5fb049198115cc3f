import type { ProjectCreateRequest, ProjectUpdateRequest } from '@neondatabase/api-client';
import { startCompute } from '../state/compute.js';
import type { ProjectRecord } from '../state/model.js';
import { defaultBranch } from '../state/store.js';
import { ApiError, badRequest, notFound } from './errors.js';
import { regions } from './regions.js';
import {
  branchBody,
  connectionDetails,
  databaseBody,
  endpointBody,
  operationBody,
  projectBody,
  projectListItem,
  recoverableUntil,
  roleBody,
} from './render.js';
import { created, ok, schedule, theProject, type Call, type Handler, type Handlers, type World } from './world.js';

/** `GET /projects`: pages have a cursor until there is nothing left, so the last page is an empty one. */
const listProjects: Handler = (world, call) => {
  const query = call.query as {
    limit: number;
    cursor?: string;
    search?: string;
    org_id?: string;
    recoverable?: boolean;
  };
  checkOrganisation(world, query.org_id);
  const search = query.search?.toLowerCase();
  const recoverable = query.recoverable ?? false;
  const shownUntil = call.now - listingDelayMs(world, call);
  const found = world.store.after(readCursor(query.cursor), query.limit, (project) => {
    if ((project.deletedAt !== undefined) !== recoverable || project.createdAt > shownUntil) return false;
    return search === undefined || project.name.toLowerCase().includes(search) || project.id.includes(search);
  });
  const unavailable = unavailableProjects(world, call);
  const hidden = found.filter((project) => unavailable.has(project.id) || unavailable.has(project.name));
  const last = found.at(-1);
  return ok({
    projects: found
      .filter((project) => !hidden.includes(project))
      .map((project) => projectListItem(project, world.orgId)),
    ...(hidden.length > 0 ? { unavailable_project_ids: hidden.map(({ id }) => id) } : {}),
    ...(last ? { pagination: { cursor: writeCursor(last) } } : {}),
    applications: {},
    integrations: {},
  });
};

function listingDelayMs(world: World, call: Call): number {
  const occasion = { method: 'GET', path: '/projects', operationId: call.operationId };
  return Math.max(0, ...world.faults.take(occasion, ['delayed-listing']).map(({ ms }) => ms));
}

function unavailableProjects(world: World, call: Call): Set<string> {
  const occasion = { method: 'GET', path: '/projects', operationId: call.operationId };
  return new Set(world.faults.take(occasion, ['unavailable-projects']).flatMap((rule) => rule.ids));
}

function checkOrganisation(world: World, orgId: string | undefined): void {
  if (orgId !== undefined && orgId !== world.orgId) throw notFound('ORGANIZATION_NOT_FOUND', `organization ${orgId}`);
}

const writeCursor = (project: ProjectRecord) =>
  Buffer.from(`project:${String(project.sequence)}`).toString('base64url');

function readCursor(cursor: string | undefined): number {
  if (cursor === undefined || cursor === '') return 0;
  const match = /^project:(\d+)$/.exec(Buffer.from(cursor, 'base64url').toString());
  if (!match) throw badRequest('cursor is not one of ours');
  return Number(match[1]);
}

const createProject: Handler = async (world, call) => {
  const request = (call.body as ProjectCreateRequest).project;
  checkOrganisation(world, request.org_id);
  if (request.region_id !== undefined && !regions.some(({ region_id }) => region_id === request.region_id)) {
    throw badRequest(
      `region ${request.region_id} is not one of ${regions.map(({ region_id }) => region_id).join(', ')}`,
    );
  }
  const limits = request.default_endpoint_settings;
  const { autoscaling_limit_min_cu: min = 0.25, autoscaling_limit_max_cu: max = Math.max(2, min) } = limits ?? {};
  if (min > max) throw badRequest('autoscaling_limit_min_cu must not be greater than autoscaling_limit_max_cu');
  const project = world.store.create(
    {
      name: request.name,
      regionId: request.region_id,
      pgVersion: request.pg_version,
      storePasswords: request.store_passwords,
      settings: request.settings,
      defaultEndpointSettings: limits,
      historyRetentionSeconds: request.history_retention_seconds,
      branchName: request.branch?.name,
      roleName: request.branch?.role_name,
      databaseName: request.branch?.database_name,
      annotations: request.branch?.annotations,
    },
    call.now,
  );
  const branch = defaultBranch(project);
  const endpoints = [...project.endpoints.values()];
  endpoints.forEach((endpoint) => startCompute(endpoint, call.now));
  const operations = schedule(world, call, project, [
    { action: 'create_timeline', branchId: branch.id },
    ...endpoints.map((endpoint) => ({ action: 'start_compute', branchId: branch.id, endpointId: endpoint.id })),
  ]);
  const details = await Promise.all(endpoints.map((endpoint) => connectionDetails(world, project, branch, endpoint)));
  return created({
    project: projectBody(project, world.orgId),
    connection_uris: details.flat(),
    roles: [...project.roles.values()].map((role) => roleBody(branch, role, true)),
    databases: [...branch.databases.values()].map((database) => databaseBody(branch, database)),
    operations: operations.map((operation) => operationBody(project, operation, call.now)),
    branch: branchBody(project, branch),
    endpoints: await Promise.all(endpoints.map((endpoint) => endpointBody(world, project, endpoint))),
  });
};

const getProject: Handler = (world, call) => ok({ project: projectBody(theProject(world, call), world.orgId) });

const updateProject: Handler = (world, call) => {
  const project = theProject(world, call);
  const change = (call.body as ProjectUpdateRequest).project;
  if (change.name !== undefined) project.name = change.name;
  if (change.history_retention_seconds !== undefined)
    project.historyRetentionSeconds = change.history_retention_seconds;
  if (change.settings) project.settings = { ...project.settings, ...change.settings };
  if (change.default_endpoint_settings) {
    project.defaultEndpointSettings = { ...project.defaultEndpointSettings, ...change.default_endpoint_settings };
  }
  project.updatedAt = call.now;
  const touchesComputes = change.settings !== undefined;
  const steps = touchesComputes
    ? [...project.endpoints.values()].map(({ id, branchId }) => ({ action: 'apply_config', branchId, endpointId: id }))
    : [];
  const operations = schedule(world, call, project, steps).map((operation) =>
    operationBody(project, operation, call.now),
  );
  return ok({ project: projectBody(project, world.orgId), operations });
};

const deleteProject: Handler = async (world, call) => {
  const project = theProject(world, call);
  project.deletedAt = call.now;
  for (const endpoint of project.endpoints.values()) await world.gateway.disconnect(endpoint.id);
  return ok({ project: projectBody(project, world.orgId) });
};

const recoverProject: Handler = (world, call) => {
  const project = world.store.getDeleted(call.parameters['project_id'] ?? '');
  if (project?.deletedAt === undefined) throw notFound('PROJECT_NOT_FOUND', 'deleted project');
  if (recoverableUntil(project.deletedAt) < call.now)
    throw new ApiError(410, 'PROJECT_GONE', 'the project can no longer be recovered');
  project.deletedAt = undefined;
  project.updatedAt = call.now;
  const branches = [...project.branches.values()].map((branch) => branchBody(project, branch));
  return ok({ project: projectBody(project, world.orgId), branches });
};

export const projectHandlers: Handlers = {
  listProjects,
  createProject,
  getProject,
  updateProject,
  deleteProject,
  recoverProject,
};
