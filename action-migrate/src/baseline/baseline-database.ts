import { readSchemaState, type Migration, type MigrationsTable, type SchemaState } from '@neon-fleet/shared/drizzle';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import type { TenantResult } from '@neon-fleet/shared/fleet';
import {
  connect,
  parseConnectionUri,
  PostgresError,
  takeLock,
  type Connection,
  type ConnectionTarget,
} from '@neon-fleet/shared/postgres';

import { readCatalog } from './catalog.js';
import type { CatalogScope } from './catalog-sql.js';
import { compareCatalogs, type Difference } from './compare.js';
import { adoptSql, qualifiedName, readRecord, type Folder } from './record.js';
import type { References } from './reference.js';
import { removeLeftovers } from './scratch.js';
import { differenceWords } from './words.js';

export interface BaselineOptions {
  readonly folder: Folder;
  /** The migration whose version the database is said to have; see {@link findVersion}. */
  readonly at: Migration;
  readonly scope: CatalogScope;
  /** What the migrations up to `at` make. */
  readonly references: References;
  /** Only look; nothing is written. */
  readonly dryRun: boolean;
  /** How long another run may keep the tenant's lock before the tenant is skipped. */
  readonly lockWaitMs: number;
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly authorities: readonly string[] | undefined;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

/** What became of one tenant, and what stands in the way of adopting it. */
export interface BaselineResult {
  readonly result: TenantResult;
  readonly differences: readonly Difference[];
}

/**
 * Finds the migration to adopt databases at.
 *
 * @throws ExplainedError when the folder has none of that name.
 */
export function findVersion(migrations: readonly Migration[], at: string): Migration {
  const found = migrations.find(({ tag }) => tag === at);
  if (found !== undefined) return found;
  const newest = migrations.slice(-5).map(({ tag }) => tag);
  throw new ExplainedError({
    message: `at: the folder has no migration ${JSON.stringify(at)}; nothing was done`,
    hint: `Its newest are ${newest.join(', ')}.`,
  });
}

/** The migrations up to a version, itself included. */
export function upTo({ migrations }: Folder, at: Migration): readonly Migration[] {
  return migrations.slice(0, migrations.indexOf(at) + 1);
}

/**
 * Adopts a database whose schema came from elsewhere: where it is what the migrations up to a version make, drizzle's rows
 * for them are written, so that migrating goes on from there. A database that differs is left alone, and so is all data.
 *
 * It holds the tenant's lock; the rows are written in one transaction, in which everything is looked at once more.
 *
 * @param uri of the direct host.
 */
export async function baselineDatabase(uri: string, options: BaselineOptions): Promise<BaselineResult> {
  const target = parseConnectionUri(uri);
  try {
    return await underLock(target, options, (connection) => baseline(connection, target, options));
  } catch (thrown) {
    if (!(thrown instanceof CommitLostError)) throw thrown;
    return underLock(target, options, (connection) => lookAfterLostCommit(connection, options, thrown));
  }
}

/** The answer to COMMIT was lost: whether it was carried out has to be looked up. */
class CommitLostError extends Error {
  override name = 'CommitLostError';
}

async function underLock(
  target: ConnectionTarget,
  { dryRun, lockWaitMs, authorities, signal }: BaselineOptions,
  work: (connection: Connection) => Promise<BaselineResult>,
): Promise<BaselineResult> {
  const connection = await connect(target, { signal, authorities, applicationName: 'neon-fleet baseline' });
  try {
    // To look, it is enough that the schema stands still.
    const mode = dryRun ? 'shared' : 'exclusive';
    if (!(await takeLock(connection, { mode, waitMs: lockWaitMs, signal }))) return lockedElsewhere();
    return await work(connection);
  } finally {
    await connection.close();
  }
}

async function baseline(
  connection: Connection,
  target: ConnectionTarget,
  options: BaselineOptions,
): Promise<BaselineResult> {
  const { folder, at, scope, references, dryRun, note, lockTimeoutMs, statementTimeoutMs } = options;
  await connection.query(`SET lock_timeout = ${lockTimeoutMs}; SET statement_timeout = ${statementTimeoutMs}`);
  await removeLeftovers(connection, new Date());
  const record = readRecord(folder, await readState(connection, scope.table), at);
  if (record.kind === 'recorded') return unchanged(`drizzle's record says ${record.version} already`);
  if (record.kind === 'contradiction') return drift(record.why);

  const actual = await readCatalog(connection, scope);
  const expected = await references.forServer(actual.serverMajor, target);
  const differences = compareCatalogs(expected, actual);
  if (differences.length > 0) return notEqual(at, differences);
  if (dryRun) {
    const rows = upTo(folder, at).length;
    return succeeded(`is what the migrations up to ${at.tag} make; ${rows} of drizzle's rows would be written`);
  }
  note(`The schema is what the migrations up to ${at.tag} make; writing drizzle's rows`);
  return adopt(connection, target, options);
}

async function adopt(
  connection: Connection,
  target: ConnectionTarget,
  { folder, at, scope, references, signal }: BaselineOptions,
): Promise<BaselineResult> {
  const { table } = scope;
  const migrations = upTo(folder, at);
  const { createTable, insertRows } = adoptSql(table, folder.format, migrations);
  signal.throwIfAborted();
  try {
    // drizzle itself knows nothing of our lock: that nobody writes a record meanwhile, the lock of its table sees to.
    const [there] = await connection.query(
      `BEGIN; ${createTable};
       LOCK TABLE ${qualifiedName(table)} IN SHARE ROW EXCLUSIVE MODE;
       SELECT pg_catalog.count(*)::int AS rows FROM ${qualifiedName(table)}`,
    );
    if (there?.['rows'] !== 0) return await rollBack(connection, drift('somebody wrote a record into it meanwhile'));
    await connection.query(insertRows);
    // The last thing before the end: whatever changed in the schema since it was read shows here.
    const actual = await readCatalog(connection, scope);
    const differences = compareCatalogs(await references.forServer(actual.serverMajor, target), actual);
    if (differences.length > 0) return await rollBack(connection, notEqual(at, differences));
  } catch (thrown) {
    // The connection may be gone, and the transaction with it.
    await connection.query('ROLLBACK').catch(() => undefined);
    throw thrown;
  }
  await commit(connection);
  return succeeded(adoptedWords(folder, at));
}

async function rollBack(connection: Connection, result: BaselineResult): Promise<BaselineResult> {
  await connection.query('ROLLBACK');
  return result;
}

async function commit(connection: Connection): Promise<void> {
  try {
    await connection.query('COMMIT');
  } catch (thrown) {
    if (thrown instanceof PostgresError && thrown.sqlState !== undefined) throw thrown;
    throw new CommitLostError("the connection broke while drizzle's rows were being committed", { cause: thrown });
  }
}

/** What the database says now, under the lock that the lost session has let go of, is the answer that was lost. */
async function lookAfterLostCommit(
  connection: Connection,
  { folder, at, scope }: BaselineOptions,
  lost: CommitLostError,
): Promise<BaselineResult> {
  const record = readRecord(folder, await readState(connection, scope.table), at);
  if (record.kind === 'recorded') {
    return succeeded(`${adoptedWords(folder, at)}; the answer to COMMIT was lost, read back instead`);
  }
  const error = { ...explain(lost), hint: 'Nothing was written. Run again.' };
  return { result: { status: 'failed', detail: error.message, error }, differences: [] };
}

function readState(connection: Connection, table: MigrationsTable): Promise<SchemaState> {
  return readSchemaState(connection, table);
}

function adoptedWords(folder: Folder, at: Migration): string {
  const later = folder.migrations.length - upTo(folder, at).length;
  return `adopted at ${at.tag}${later === 0 ? '' : `; ${later} later ${later === 1 ? 'migration is' : 'migrations are'} pending`}`;
}

function succeeded(detail: string): BaselineResult {
  return { result: { status: 'succeeded', detail }, differences: [] };
}

function unchanged(detail: string): BaselineResult {
  return { result: { status: 'unchanged', reason: 'up-to-date', detail }, differences: [] };
}

function drift(detail: string): BaselineResult {
  return { result: { status: 'skipped', reason: 'drift', detail }, differences: [] };
}

function notEqual(at: Migration, differences: readonly Difference[]): BaselineResult {
  const detail = `is not what the migrations up to ${at.tag} make: ${differenceWords(differences)}`;
  return { result: { status: 'skipped', reason: 'drift', detail }, differences };
}

function lockedElsewhere(): BaselineResult {
  const detail = 'another run of neon-fleet (a migration or a backup) holds the lock of this database';
  return { result: { status: 'skipped', reason: 'locked', detail }, differences: [] };
}
