import type { EndpointCreateRequest, EndpointUpdateRequest } from '@neondatabase/api-client';
import { startCompute, suspendCompute } from '../state/compute.js';
import type { EndpointRecord, ProjectRecord } from '../state/model.js';
import { writeEndpoint } from '../state/store.js';
import { ApiError, badRequest, conflict } from './errors.js';
import { endpointBody, operationBody } from './render.js';
import {
  branchOf,
  created,
  ok,
  schedule,
  theBranch,
  theEndpoint,
  theProject,
  type Call,
  type Handler,
  type Handlers,
  type World,
} from './world.js';

async function answer(world: World, call: Call, project: ProjectRecord, endpoint: EndpointRecord, action: string) {
  const operations = schedule(world, call, project, [{ action, branchId: endpoint.branchId, endpointId: endpoint.id }]);
  const rendered = operations.map((operation) => operationBody(project, operation, call.now));
  return { endpoint: await endpointBody(world, project, endpoint), operations: rendered };
}

/** @throws ApiError 402 while a rule says that the project's quota is used up */
function checkQuota(world: World, project: ProjectRecord): void {
  const occasion = { projectId: project.id, projectName: project.name };
  if (world.faults.take(occasion, ['quota-suspended']).length === 0) return;
  throw new ApiError(
    402,
    'COMPUTE_TIME_QUOTA_EXCEEDED',
    'Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits.',
  );
}

const createProjectEndpoint: Handler = async (world, call) => {
  const project = theProject(world, call);
  const request = (call.body as EndpointCreateRequest).endpoint;
  const branch = branchOf(project, request.branch_id);
  const type: `${typeof request.type}` = request.type;
  if (type === 'read_only') throw new ApiError(501, 'NOT_MODELLED', 'local-neon does not model read replicas');
  if (writeEndpoint(project, branch.id))
    throw conflict('ENDPOINT_ALREADY_EXISTS', 'the branch already has a read-write endpoint');
  checkQuota(world, project);
  const endpoint = world.store.newEndpoint(project, branch, type, call.now, request.name);
  configure(endpoint, request);
  startCompute(endpoint, call.now);
  return created(await answer(world, call, project, endpoint, 'create_compute'));
};

/** Takes over what an endpoint is asked to be. @throws ApiError 400 for limits that contradict each other */
export function configure(endpoint: EndpointRecord, wanted: Partial<EndpointUpdateRequest['endpoint']>): void {
  const minCu = wanted.autoscaling_limit_min_cu ?? endpoint.minCu;
  const maxCu = wanted.autoscaling_limit_max_cu ?? Math.max(endpoint.maxCu, minCu);
  if (minCu > maxCu) throw badRequest('autoscaling_limit_min_cu must not be greater than autoscaling_limit_max_cu');
  Object.assign(endpoint, { minCu, maxCu });
  if (wanted.suspend_timeout_seconds !== undefined) endpoint.suspendTimeoutSeconds = wanted.suspend_timeout_seconds;
  if (wanted.settings) endpoint.settings = { ...wanted.settings };
  if (wanted.disabled !== undefined) endpoint.disabled = wanted.disabled;
}

const updateProjectEndpoint: Handler = async (world, call) => {
  const project = theProject(world, call);
  const endpoint = theEndpoint(project, call);
  configure(endpoint, (call.body as EndpointUpdateRequest).endpoint);
  endpoint.updatedAt = call.now;
  if (endpoint.disabled) await world.gateway.disconnect(endpoint.id);
  return ok(await answer(world, call, project, endpoint, 'apply_config'));
};

const deleteProjectEndpoint: Handler = async (world, call) => {
  const project = theProject(world, call);
  const endpoint = theEndpoint(project, call);
  const body = await answer(world, call, project, endpoint, 'suspend_compute');
  project.endpoints.delete(endpoint.id);
  await world.gateway.remove(endpoint.id);
  return ok(body);
};

const startProjectEndpoint: Handler = async (world, call) => {
  const project = theProject(world, call);
  const endpoint = theEndpoint(project, call);
  checkQuota(world, project);
  if (endpoint.disabled) throw badRequest('the endpoint is disabled');
  startCompute(endpoint, call.now);
  return ok(await answer(world, call, project, endpoint, 'start_compute'));
};

const suspendProjectEndpoint: Handler = async (world, call) => {
  const project = theProject(world, call);
  const endpoint = theEndpoint(project, call);
  suspendCompute(endpoint, call.now);
  await world.gateway.disconnect(endpoint.id);
  return ok(await answer(world, call, project, endpoint, 'suspend_compute'));
};

const restartProjectEndpoint: Handler = async (world, call) => {
  const project = theProject(world, call);
  const endpoint = theEndpoint(project, call);
  checkQuota(world, project);
  await world.gateway.disconnect(endpoint.id);
  startCompute(endpoint, call.now);
  return ok(await answer(world, call, project, endpoint, 'start_compute'));
};

async function list(world: World, project: ProjectRecord, branchId?: string) {
  const wanted = [...project.endpoints.values()].filter(
    (endpoint) => branchId === undefined || endpoint.branchId === branchId,
  );
  return ok({ endpoints: await Promise.all(wanted.map((endpoint) => endpointBody(world, project, endpoint))) });
}

export const endpointHandlers: Handlers = {
  createProjectEndpoint,
  updateProjectEndpoint,
  deleteProjectEndpoint,
  startProjectEndpoint,
  suspendProjectEndpoint,
  restartProjectEndpoint,
  listProjectEndpoints: (world, call) => list(world, theProject(world, call)),
  listProjectBranchEndpoints: (world, call) => {
    const project = theProject(world, call);
    return list(world, project, theBranch(project, call).id);
  },
  getProjectEndpoint: async (world, call) => {
    const project = theProject(world, call);
    return ok({ endpoint: await endpointBody(world, project, theEndpoint(project, call)) });
  },
};
