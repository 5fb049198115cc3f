import { badRequest, notFound } from './errors.js';
import { operationBody } from './render.js';
import { ok, theProject, type Handler, type Handlers } from './world.js';

const listProjectOperations: Handler = (world, call) => {
  const project = theProject(world, call);
  const { limit = 100, cursor } = call.query as { limit?: number; cursor?: string };
  const newestFirst = project.operations.toReversed();
  const start = cursor === undefined ? 0 : newestFirst.findIndex(({ id }) => id === cursor) + 1;
  if (cursor !== undefined && start === 0) throw badRequest('cursor is not one of ours');
  const page = newestFirst.slice(start, start + limit);
  const last = page.at(-1);
  return ok({
    operations: page.map((operation) => operationBody(project, operation)),
    ...(last ? { pagination: { cursor: last.id } } : {}),
  });
};

const getProjectOperation: Handler = (world, call) => {
  const project = theProject(world, call);
  const operation = project.operations.find(({ id }) => id === call.parameters['operation_id']);
  if (!operation) throw notFound('OPERATION_NOT_FOUND', 'operation');
  return ok({ operation: operationBody(project, operation) });
};

export const operationHandlers: Handlers = { listProjectOperations, getProjectOperation };
