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

/** Says who made it and when, so that what a killed run left behind can be told, and is told from anything else. */
const NAME = /^neon_fleet_scratch_(\d{10})_[0-9a-f]{16}$/;
const NAME_IN_SQL = '^neon_fleet_scratch_[0-9]{10}_[0-9a-f]{16}$';

/** Much longer than a reference takes to build. */
const LEFTOVER_AFTER_MS = 60 * 60 * 1000;
/** A run that was cancelled has five seconds in all. */
const REMOVE_TIMEOUT_MS = 2_000;

export type ScratchOptions = Pick<ConnectOptions, 'signal' | 'authorities'>;

/** A new name for a scratch database. */
export function scratchName(now: Date): string {
  return `neon_fleet_scratch_${String(Math.floor(now.getTime() / 1000)).padStart(10, '0')}_${randomBytes(8).toString('hex')}`;
}

/** Which of a server's databases are scratch databases that nobody can still be working with. */
export function leftovers(names: readonly string[], now: Date): string[] {
  return names.filter((name) => {
    const madeAtSeconds = NAME.exec(name)?.[1];
    return madeAtSeconds !== undefined && now.getTime() - Number(madeAtSeconds) * 1000 > LEFTOVER_AFTER_MS;
  });
}

/**
 * Makes an empty database beside another one, gives it to the work, and removes it whatever happens: work that fails, a run
 * that is stopped, an answer to CREATE DATABASE that was lost.
 *
 * @throws ExplainedError when the role may not make one; whatever the work throws.
 */
export async function withScratchDatabase<T>(
  beside: ConnectionTarget,
  options: ScratchOptions,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const name = scratchName(new Date());
  try {
    await createDatabase(beside, name, options);
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
    await removeDatabase(beside, name, options);
  }
}

async function createDatabase(beside: ConnectionTarget, name: string, options: ScratchOptions): Promise<void> {
  const connection = await connect(beside, { ...options, applicationName: 'neon-fleet scratch' });
  try {
    // template0 is as PostgreSQL made it, and never in use.
    await connection.query(`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE template0`);
  } catch (thrown) {
    if (thrown instanceof PostgresError && thrown.sqlState === '42501') throw mayNotCreate(beside);
    throw thrown;
  } finally {
    await connection.close();
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

/** Removes what killed runs left on this server. Those that somebody is connected to stay, and so does what is not ours to remove. */
export async function removeLeftovers(connection: Pick<Connection, 'query'>, now: Date): Promise<void> {
  const rows = await connection.query(
    `SELECT d.datname AS name FROM pg_catalog.pg_database d
      WHERE d.datname OPERATOR(pg_catalog.~) '${NAME_IN_SQL}'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datid OPERATOR(pg_catalog.=) d.oid)`,
  );
  for (const name of leftovers(
    rows.map(({ name }) => String(name)),
    now,
  ))
    await dropQuietly(connection, name);
}

async function dropQuietly(connection: Pick<Connection, 'query'>, name: string, how = ''): Promise<void> {
  await connection.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(name)} ${how}`).catch(() => undefined);
}
