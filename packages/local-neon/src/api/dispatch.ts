import { ApiError, badRequest, projectLocked } from './errors.js';
import { accountHandlers } from './account.js';
import { branchHandlers } from './branches.js';
import { connectionHandlers } from './connections.js';
import { consumptionHandlers } from './consumption.js';
import { databaseHandlers } from './databases.js';
import { endpointHandlers } from './endpoints.js';
import { operationHandlers } from './operations.js';
import { projectHandlers } from './projects.js';
import { roleHandlers } from './roles.js';
import type { ApiSpec, Route } from './spec.js';
import type { Answer, Handlers, World } from './world.js';
import { busyUntil } from '../state/operations.js';

const handlers: Handlers = {
  ...accountHandlers,
  ...branchHandlers,
  ...connectionHandlers,
  ...consumptionHandlers,
  ...databaseHandlers,
  ...endpointHandlers,
  ...operationHandlers,
  ...projectHandlers,
  ...roleHandlers,
};

/** A request after its path has been understood. */
export interface Request {
  readonly route: Route;
  readonly query: Record<string, unknown>;
  readonly body: unknown;
  readonly operationError: string | undefined;
}

/**
 * Checks a request, carries it out and checks the answer.
 *
 * @throws ApiError for every answer other than success
 */
export async function dispatch(world: World, spec: ApiSpec, request: Request): Promise<Answer> {
  const { operationId, method, parameters } = request.route;
  const handler = handlers[operationId];
  if (!handler) {
    throw new ApiError(501, 'NOT_MODELLED', `local-neon does not model ${operationId}`);
  }
  const problems = [
    ...spec.checkPath(operationId, { ...parameters }),
    ...spec.checkQuery(operationId, request.query),
    ...spec.checkBody(operationId, request.body),
  ];
  if (problems.length > 0) throw badRequest(problems.join('; '));
  const now = Date.now();
  const call = {
    operationId,
    parameters,
    query: request.query,
    body: request.body,
    now,
    operationError: request.operationError,
  };
  const answer = await exclusively(world, method, parameters['project_id'], async () => handler(world, call));
  const mistakes = spec.checkAnswer(operationId, answer.status, answer.body);
  if (mistakes.length === 0) return answer;
  throw new ApiError(
    500,
    'BAD_ANSWER',
    `local-neon made an answer to ${operationId} that the API would not give: ${mistakes.join('; ')}`,
  );
}

/** Work that changes a project is done by one request at a time; others are told so. */
async function exclusively<Result>(
  world: World,
  method: string,
  id: string | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  const project = id === undefined ? undefined : world.store.get(id);
  if (!project || method === 'get') return work();
  if (project.busy || busyUntil(project) > Date.now()) throw projectLocked();
  project.busy = true;
  try {
    return await work();
  } finally {
    project.busy = false;
  }
}
