import { explain } from '../errors/index.js';
import { PostgresError, SQLSTATE, type Connection } from '../postgres/index.js';
import { findIndex, inTheWay } from './concurrent-index.js';
import { findLeftovers } from './concurrent-reindex.js';
import type { Repetition } from './no-transaction.js';

/** A statement that is about to run. */
export interface Building {
  readonly connection: Pick<Connection, 'query' | 'pipeline'>;
  readonly repetition: Repetition;
  /** File and statement, for messages. */
  readonly where: string;
  readonly note: (line: string) => void;
}

/**
 * Before an index is built concurrently: takes away what an interrupted run has left of it.
 *
 * @returns `done` when the index is there already, and nothing is to be built.
 * @throws ExplainedError when something else has its name; PostgresError, also when somebody is building it right now.
 */
export async function makeWay(building: Building): Promise<'build' | 'done'> {
  const { connection, repetition, where, note } = building;
  if (repetition.kind === 'concurrent-reindex') {
    for (const { name, busy } of await findLeftovers(connection, repetition.reindex)) {
      if (busy) throw worked(where, name);
      note(`${where}: dropping ${name}, which an interrupted REINDEX left`);
      await dropIndex(building, name);
    }
  }
  if (repetition.kind !== 'concurrent-index') return 'build';
  const state = await findIndex(connection, repetition.index);
  switch (state.kind) {
    case 'done':
      note(`${where}: the index is there already`);
      return 'done';
    case 'other':
      throw inTheWay(where, state.what);
    case 'busy':
      throw worked(where, state.name);
    case 'invalid':
      note(`${where}: dropping ${state.name}, which an interrupted run left half built`);
      await dropIndex(building, state.name);
      return 'build';
    case 'none':
      return 'build';
  }
}

/** Takes away what a build that failed has left: it costs every write, and a unique one would even refuse some. */
export async function clearAway(building: Building): Promise<void> {
  try {
    for (const name of await leftBy(building)) await dropIndex(building, name);
  } catch {
    // The next run does it.
  }
}

async function leftBy({ connection, repetition }: Building): Promise<string[]> {
  if (repetition.kind === 'concurrent-reindex') {
    const leftovers = await findLeftovers(connection, repetition.reindex);
    return leftovers.filter(({ busy }) => !busy).map(({ name }) => name);
  }
  if (repetition.kind !== 'concurrent-index') return [];
  const state = await findIndex(connection, repetition.index);
  return state.kind === 'invalid' ? [state.name] : [];
}

async function dropIndex({ connection, where }: Building, name: string): Promise<void> {
  try {
    await connection.query('SET lock_timeout = 0');
    await connection.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
  } catch (thrown) {
    const error = explain(thrown);
    throw new PostgresError(
      { ...error, message: `${where}: dropping ${name}: ${error.message}` },
      thrown instanceof PostgresError ? thrown.sqlState : undefined,
    );
  }
}

/** As if a lock could not be had, which is what it comes to: it is tried again. */
function worked(where: string, name: string): PostgresError {
  return new PostgresError(
    {
      message: `${where}: somebody else is building ${name}, or works on its table`,
      code: `SQLSTATE ${SQLSTATE.lockNotAvailable}`,
      hint: 'Run again when that is done.',
    },
    SQLSTATE.lockNotAvailable,
  );
}
