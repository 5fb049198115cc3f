import {
  connect,
  isConnectionLoss,
  LOCK_KEY,
  type Connection,
  type ConnectionTarget,
  type LockMode,
} from '../postgres/index.js';
import type { SchemaState } from './assessment.js';
import type { MigrationsTable } from './migrations-table.js';
import { lockAndRead, type Session } from './schema-state.js';

export interface LockDatabaseOptions {
  readonly table: MigrationsTable;
  /** What shows in `pg_stat_activity`. */
  readonly applicationName: string;
  /** How long somebody else may keep the tenant's lock. */
  readonly lockWaitMs: number;
  /** Default: `exclusive`. */
  readonly mode?: LockMode | undefined;
  readonly authorities: readonly string[] | undefined;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

/** A database on which no other run of neon-fleet works for as long as the connection is open. */
export interface LockedDatabase {
  readonly connection: Connection;
  /** What was applied when the lock was taken. */
  readonly state: SchemaState;
}

/** How often a connection is replaced that was cut while it waited. */
const MAX_CONNECTIONS = 3;

/**
 * Connects, takes the tenant's lock and reads what is applied. A connection that is cut while it waits is replaced: whoever
 * holds the lock may be putting the database back, which ends all of its sessions, and nothing was asked of it yet.
 *
 * @returns undefined when somebody else kept the lock for the whole time.
 * @throws PostgresError, or the reason of the signal.
 */
export async function lockDatabase(
  target: ConnectionTarget,
  options: LockDatabaseOptions,
): Promise<LockedDatabase | undefined> {
  const { table, applicationName, lockWaitMs, mode = 'exclusive', authorities, signal, note } = options;
  const deadline = performance.now() + lockWaitMs;
  for (let attempt = 1; ; attempt += 1) {
    const connection = await connect(target, { signal, authorities, applicationName });
    try {
      const waitMs = Math.max(0, deadline - performance.now());
      const state = await lockAndRead(connection, table, { mode, waitMs, signal });
      if (state !== undefined) return { connection, state };
      await connection.close();
      return undefined;
    } catch (thrown) {
      await connection.close();
      if (!isConnectionLoss(thrown) || attempt === MAX_CONNECTIONS || signal.aborted) throw thrown;
      note('The connection was cut before the lock was had; connecting again.');
    }
  }
}

/**
 * Does something while no other run of neon-fleet works on the database.
 *
 * @returns undefined when somebody else kept the lock for the whole time.
 */
export async function underLock<T>(
  target: ConnectionTarget,
  options: LockDatabaseOptions,
  work: (locked: LockedDatabase) => T | Promise<T>,
): Promise<T | undefined> {
  const locked = await lockDatabase(target, options);
  if (locked === undefined) return undefined;
  try {
    return await work(locked);
  } finally {
    await locked.connection.close();
  }
}

const STILL_HELD = `SELECT FROM pg_catalog.pg_locks
  WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND mode = 'ExclusiveLock'
    AND classid = ${LOCK_KEY[0]} AND objid = ${LOCK_KEY[1]} AND objsubid = 2`;

/**
 * Sees to it that a session keeps its lock while it has nothing to do, for as long as that takes. False when it has lost
 * it: the connection broke, or a migration let go of all locks, as `DISCARD ALL` does.
 */
export async function keepsLock(connection: Session): Promise<boolean> {
  const [, held] = await connection.pipeline(['SET idle_session_timeout = 0', STILL_HELD]);
  return held?.status === 'fulfilled' && held.value.length > 0;
}
