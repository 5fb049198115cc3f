import type { BranchRestoreRequest } from '@neondatabase/api-client';
import { startCompute } from '../state/compute.js';
import type { BranchRecord, ProjectRecord } from '../state/model.js';
import { badRequest, conflict } from './errors.js';
import { adopt, copiesOf } from './copies.js';
import { branchBody, operationBody } from './render.js';
import { branchOf, disconnectBranch, ok, schedule, theBranch, theProject, type Handler } from './world.js';

/** Replaces what a branch holds by what another one holds, or by what it held itself, and ends its connections. */
export const restoreProjectBranch: Handler = async (world, call) => {
  const project = theProject(world, call);
  const target = theBranch(project, call);
  const request = call.body as BranchRestoreRequest;
  const source = branchOf(project, request.source_branch_id);
  const moment = { lsn: request.source_lsn, timestamp: request.source_timestamp };
  const keepAs = request.preserve_under_name;
  check(project, target, source, request);
  const copies = await copiesOf(world, project, source, moment);
  await disconnectBranch(world, project, target.id);
  if (keepAs === undefined) {
    for (const database of target.databases.values()) await world.databases.drop(database);
  } else {
    preserve(project, target, world.store.newBranch(project, keepAs, call.now));
  }
  adopt(target, copies);
  const preserved = [...project.branches.values()].find((branch) => branch.name === keepAs);
  target.parentId = source === target ? preserved?.id : source.id;
  target.parentLsn = request.source_lsn;
  target.parentTimestamp = request.source_timestamp === undefined ? undefined : Date.parse(request.source_timestamp);
  Object.assign(target, { restoredFrom: source.id, lastResetAt: call.now, updatedAt: call.now });
  const endpoints = [...project.endpoints.values()].filter(({ branchId }) => branchId === target.id);
  endpoints.forEach((endpoint) => startCompute(endpoint, call.now));
  const operations = schedule(world, call, project, [
    { action: 'create_timeline', branchId: target.id },
    ...endpoints.map(({ id }) => ({ action: 'start_compute', branchId: target.id, endpointId: id })),
  ]);
  const rendered = operations.map((operation) => operationBody(project, operation, call.now));
  return ok({ branch: branchBody(project, target), operations: rendered });
};

function check(
  project: ProjectRecord,
  target: BranchRecord,
  source: BranchRecord,
  request: BranchRestoreRequest,
): void {
  const { preserve_under_name: keepAs, source_lsn: lsn, source_timestamp: timestamp } = request;
  const branches = [...project.branches.values()];
  if (source === target && lsn === undefined && timestamp === undefined) {
    throw badRequest('restoring a branch from itself needs source_lsn or source_timestamp');
  }
  if (source === target && keepAs === undefined)
    throw badRequest('restoring a branch from itself needs preserve_under_name');
  if (keepAs === undefined && branches.some(({ parentId }) => parentId === target.id)) {
    throw badRequest('the branch has children: restoring it needs preserve_under_name');
  }
  if (branches.some(({ name }) => name === keepAs))
    throw conflict('BRANCH_ALREADY_EXISTS', `branch ${String(keepAs)} already exists`);
}

/** Moves what a branch holds, and its children, to a new branch. Its endpoints stay. */
function preserve(project: ProjectRecord, target: BranchRecord, keeper: BranchRecord): void {
  adopt(keeper, [...target.databases.values()]);
  keeper.states.push(...target.states);
  keeper.parentId = target.parentId;
  for (const branch of project.branches.values()) {
    if (branch.parentId === target.id) branch.parentId = keeper.id;
  }
}
