import { randomBytes } from 'node:crypto';

import { escapeIdentifier } from 'pg';

import { ExplainedError } from '@neon-fleet/shared/errors';
import {
  connect,
  placeOf,
  PostgresError,
  type Connection,
  type ConnectionTarget,
  type ConnectOptions,
} from '@neon-fleet/shared/postgres';

/** Says who made it and when, so that what a killed run left behind is told from anything else. */
const NAME_IN_SQL = '^neon_fleet_scratch_[0-9]{10}_[0-9a-f]{16}$';

/** A run that was cancelled has five seconds in all. */
const REMOVE_TIMEOUT_MS = 2_000;

export type ScratchOptions = Pick<ConnectOptions, 'signal' | 'authorities'>;

/** A new name for a scratch database. */
export function scratchName(now: Date): string {
  return `neon_fleet_scratch_${String(Math.floor(now.getTime() / 1000)).padStart(10, '0')}_${randomBytes(8).toString('hex')}`;
}

/**
 * Makes an empty database beside another one, gives it to the work, and removes it whatever happens: work that fails, a run
 * that is stopped, an answer to CREATE DATABASE that was lost. Where the process is killed, the next run on that server
 * removes it: nobody holds it any more.
 *
 * @throws ExplainedError when the role may not make one; whatever the work throws.
 */
export async function withScratchDatabase<T>(
  beside: ConnectionTarget,
  options: ScratchOptions,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const name = scratchName(new Date());
  // Everybody on the server sees what a connection calls itself: while this one lives, the database is somebody's.
  const holder = await connect(beside, { ...options, applicationName: name });
  try {
    await removeLeftovers(holder);
    await createDatabase(holder, name, beside);
    const connection = await connect(
      { ...beside, database: name },
      { ...options, applicationName: 'neon-fleet scratch' },
    );
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  } finally {
    await removeDatabase(beside, name, options).finally(() => holder.close());
  }
}

async function createDatabase(holder: Connection, name: string, beside: ConnectionTarget): Promise<void> {
  try {
    // template0 is as PostgreSQL made it, and never in use.
    await holder.query(`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE template0`);
  } catch (thrown) {
    if (thrown instanceof PostgresError && thrown.sqlState === '42501') throw mayNotCreate(beside);
    throw thrown;
  }
}

function mayNotCreate(beside: ConnectionTarget): ExplainedError {
  return new ExplainedError({
    message: `the role may not make a scratch database on ${placeOf(beside)}`,
    code: 'SQLSTATE 42501',
    hint: 'Give the input scratch-url: any PostgreSQL of the same major version where a database may be made, such as a service container.',
  });
}

/** By a connection of its own, which does not listen to the signal: this is what is left to do when a run is stopped. */
async function removeDatabase(beside: ConnectionTarget, name: string, { authorities }: ScratchOptions): Promise<void> {
  try {
    const connection = await connect(beside, {
      authorities,
      connectTimeoutMs: REMOVE_TIMEOUT_MS,
      applicationName: 'neon-fleet scratch',
    });
    await dropQuietly(connection, name, 'WITH (FORCE)').finally(() => connection.close());
  } catch {
    // Nothing can be done from here; the next baseline on this server finds it by its name.
  }
}

/** Removes what killed runs left on this server. What somebody holds or is connected to stays, and so does what is not ours to remove. */
export async function removeLeftovers(connection: Pick<Connection, 'query'>): Promise<void> {
  const rows = await connection.query(
    `SELECT d.datname AS name FROM pg_catalog.pg_database d
      WHERE d.datname OPERATOR(pg_catalog.~) '${NAME_IN_SQL}'
        AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_stat_activity a
           WHERE a.datid OPERATOR(pg_catalog.=) d.oid OR a.application_name OPERATOR(pg_catalog.=) d.datname::text)`,
  );
  for (const { name } of rows) await dropQuietly(connection, String(name));
}

async function dropQuietly(connection: Pick<Connection, 'query'>, name: string, how = ''): Promise<void> {
  await connection.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(name)} ${how}`).catch(() => undefined);
}
