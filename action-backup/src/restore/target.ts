import type { Manifest } from '@neon-fleet/shared/backups';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import {
  connect,
  directHost,
  placeOf,
  PostgresError,
  type Connection,
  type ConnectionTarget,
  type ConnectOptions,
} from '@neon-fleet/shared/postgres';

import { quoted } from '../roles/role-sql.js';
import { versionOf } from './load-any.js';

const INVALID_CATALOG_NAME = '3D000';
/** Somebody else has made it: before, or at the same moment, when it is the server's own catalog that refuses. */
const ALREADY_MADE: ReadonlySet<string> = new Set(['42P04', '23505']);

/** What to do about a target that lets nobody in: nothing of it is looked up, it is what target-url says. */
const TARGET_HINTS: Readonly<Record<string, string>> = {
  '28P01':
    'Is the password in target-url the one of today? Fetch the URI anew in the step before, or reset the password.',
  [INVALID_CATALOG_NAME]: 'target-url names a database that is not there. Create it, empty, and run again.',
};

type Options = Pick<ConnectOptions, 'signal' | 'authorities'>;

/**
 * Connects to the database to restore into.
 *
 * @param createMissing whether the database is made when it is not there.
 */
export async function connectToTarget(
  target: ConnectionTarget,
  options: Options,
  createMissing = false,
): Promise<Connection> {
  const settings = { ...options, applicationName: 'neon-fleet restore lock' };
  try {
    return await connect(target, settings);
  } catch (thrown) {
    if (!(thrown instanceof PostgresError) || thrown.sqlState === undefined) throw thrown;
    if (createMissing && thrown.sqlState === INVALID_CATALOG_NAME) {
      await createDatabase(target, options);
      return connect(target, settings);
    }
    const hint = TARGET_HINTS[thrown.sqlState];
    if (hint === undefined) throw thrown;
    throw new PostgresError({ ...explain(thrown), hint }, thrown.sqlState, thrown.whileConnecting);
  }
}

/** Every server has it, and nobody's data is in it. */
const MAINTENANCE_DATABASE = 'postgres';

async function createDatabase(target: ConnectionTarget, options: Options): Promise<void> {
  const connection = await connect(
    { ...target, database: MAINTENANCE_DATABASE },
    { ...options, applicationName: 'neon-fleet restore' },
  );
  try {
    // As pg_dump asks for it: without what a site has added to template1, and in the encoding of every Neon database.
    await connection.query(`CREATE DATABASE ${quoted(target.database)} TEMPLATE template0 ENCODING 'UTF8'`);
  } catch (thrown) {
    if (thrown instanceof PostgresError && ALREADY_MADE.has(thrown.sqlState ?? '')) return;
    const { message, code } = explain(thrown);
    throw new ExplainedError(
      {
        message: `there is no database ${placeOf(target)}, and it cannot be made: ${message}`,
        ...(code === undefined ? {} : { code }),
        hint: 'The role of target-url needs CREATEDB. Or make the databases before, empty, and run again.',
      },
      { cause: thrown },
    );
  } finally {
    await connection.close();
  }
}

/** A place that is the same whichever way it is written: the pooler of an endpoint leads to the same database. */
export function samePlace(target: Pick<ConnectionTarget, 'host' | 'port' | 'database'>): string {
  return `${directHost(target.host)}:${target.port}/${target.database}`;
}

/** Whether the target is the very database that the backup was made of; its pooler leads there as well. */
export function isSource({ source }: Pick<Manifest, 'source'>, target: ConnectionTarget): boolean {
  return source !== undefined && (source === samePlace(target) || source === placeOf(target));
}

export function isTheSource({ key }: Pick<Manifest, 'key'>, place: string): ExplainedError {
  return new ExplainedError({
    message: `${place} is the database that ${key} was made of: a backup is never restored over its source; it was left as it was`,
    hint: 'Restore into a new project or branch, compare, and switch over.',
  });
}

/** Checks that the target's server can take the dump. @returns its major version. @throws ExplainedError */
export async function checkServer(
  connection: Pick<Connection, 'query'>,
  { postgres }: Pick<Manifest, 'postgres'>,
  target: ConnectionTarget,
): Promise<number> {
  const [row] = await connection.query("SELECT current_setting('server_version') AS version");
  const version = String(row?.['version']);
  const { major } = versionOf(version);
  if (major >= versionOf(postgres.server).major) return major;
  throw new ExplainedError({
    message: `${placeOf(target)} is PostgreSQL ${version}, older than the ${postgres.server} that the backup was made of; it was left as it was`,
    hint: 'Restore into a database of the same major version or a newer one.',
  });
}

export function notEmpty(place: string, contents: string): ExplainedError {
  return new ExplainedError({
    message: `${place} is not empty: it has ${contents}; it was left as it was`,
    hint: 'Restore into a new database. To restore on top of what is there, set allow-non-empty: true.',
  });
}
