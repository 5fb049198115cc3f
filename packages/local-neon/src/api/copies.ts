import { databasesAt, parseLsn, type Moment } from '../state/history.js';
import type { BranchRecord, DatabaseRecord, ProjectRecord, RecordedState } from '../state/model.js';
import { badRequest, unprocessable } from './errors.js';
import type { World } from './world.js';

/**
 * Databases with what a branch holds now, or held at a moment, belonging to no branch yet.
 *
 * @throws ApiError 400 for a moment that is none, 422 for one that the stand-in kept nothing of
 */
export async function copiesOf(
  world: World,
  project: ProjectRecord,
  branch: BranchRecord,
  moment: Moment,
): Promise<DatabaseRecord[]> {
  if (moment.lsn !== undefined && moment.timestamp !== undefined)
    throw badRequest('give an LSN or a timestamp, not both');
  if (moment.lsn !== undefined && parseLsn(moment.lsn) === undefined) throw badRequest(`${moment.lsn} is not an LSN`);
  const sources = databasesAt(branch, moment);
  if (!sources) {
    const when = moment.lsn ?? moment.timestamp ?? 'now';
    throw unprocessable(
      `local-neon has no recorded state of branch ${branch.id} at ${when}: it cannot replay a log. ` +
        `Record states with recordState(), POST /_local/states or the option restorePoints`,
    );
  }
  const copies: DatabaseRecord[] = [];
  try {
    for (const source of sources) {
      const copy = world.store.looseDatabase(project, source.name, source.ownerName, source.createdAt);
      copies.push(copy);
      await world.databases.copy(project, source, copy);
    }
  } catch (error) {
    for (const copy of copies) await world.databases.drop(copy);
    throw error;
  }
  return copies;
}

/** Keeps what a branch holds now, so that it can be restored later by LSN or time. */
export async function recordState(world: World, project: ProjectRecord, branch: BranchRecord): Promise<RecordedState> {
  const lsn = await world.databases.currentLsn();
  const at = Date.now();
  const state = { lsn, at, databases: await copiesOf(world, project, branch, {}) };
  branch.states.push(state);
  return state;
}

/** Gives a branch these databases in place of its own. */
export function adopt(branch: BranchRecord, databases: readonly DatabaseRecord[]): void {
  branch.databases.clear();
  for (const database of databases) branch.databases.set(database.name, database);
}
