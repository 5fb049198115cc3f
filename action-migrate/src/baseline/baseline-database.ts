import {
  driftResult,
  lockedResult,
  qualifiedName,
  recordSql,
  underLock,
  type Migration,
  type MigrationFolder,
  type SchemaState,
} from '@neon-fleet/shared/drizzle';
import { explain } from '@neon-fleet/shared/errors';
import type { TenantResult } from '@neon-fleet/shared/fleet';
import {
  isConnectionLoss,
  parseConnectionUri,
  type Connection,
  type ConnectionTarget,
} from '@neon-fleet/shared/postgres';

import { readCatalog } from './catalog.js';
import type { CatalogScope } from './catalog-sql.js';
import { compareCatalogs, type Difference } from './compare.js';
import { prepareTableSql, readRecord, upTo } from './record.js';
import type { References } from './reference.js';
import { removeLeftovers } from './scratch.js';
import { differenceWords } from './words.js';

export interface BaselineOptions {
  readonly folder: MigrationFolder;
  /** The migration whose version the database is said to have; see `findMigration`. */
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
    return await whileLocked(target, options, (connection, state) => baseline(connection, state, target, options));
  } catch (thrown) {
    if (!(thrown instanceof CommitLostError)) throw thrown;
    return whileLocked(target, options, (_, state) => lookAfterLostCommit(state, options, thrown));
  }
}

/** The answer to COMMIT was lost: whether it was carried out has to be looked up. */
class CommitLostError extends Error {
  override name = 'CommitLostError';
}

async function whileLocked(
  target: ConnectionTarget,
  { scope, dryRun, ...options }: BaselineOptions,
  work: (connection: Connection, state: SchemaState) => BaselineResult | Promise<BaselineResult>,
): Promise<BaselineResult> {
  // To look, it is enough that the schema stands still.
  const mode = dryRun ? 'shared' : 'exclusive';
  const lock = { ...options, table: scope.table, mode, applicationName: 'neon-fleet baseline' } as const;
  const done = await underLock(target, lock, ({ connection, state }) => work(connection, state));
  return done ?? { result: lockedResult(), differences: [] };
}

async function baseline(
  connection: Connection,
  state: SchemaState,
  target: ConnectionTarget,
  options: BaselineOptions,
): Promise<BaselineResult> {
  const { folder, at, scope, references, dryRun, note, lockTimeoutMs, statementTimeoutMs } = options;
  await connection.query(`SET lock_timeout = ${lockTimeoutMs}; SET statement_timeout = ${statementTimeoutMs}`);
  await removeLeftovers(connection, new Date());
  const record = readRecord(folder, state, at);
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
  return adopt(connection, state, target, options);
}

async function adopt(
  connection: Connection,
  state: SchemaState,
  target: ConnectionTarget,
  { folder, at, scope, references, signal }: BaselineOptions,
): Promise<BaselineResult> {
  const { table } = scope;
  const insertRows = upTo(folder, at).map((migration) => recordSql(table, folder.format, migration));
  signal.throwIfAborted();
  try {
    // drizzle itself knows nothing of our lock: that nobody writes a record meanwhile, the lock of its table sees to.
    const [there] = await connection.query(
      `BEGIN; ${prepareTableSql(folder, state, table)};
       LOCK TABLE ${qualifiedName(table)} IN SHARE ROW EXCLUSIVE MODE;
       SELECT pg_catalog.count(*)::int AS rows FROM ${qualifiedName(table)}`,
    );
    if (there?.['rows'] !== 0) return await rollBack(connection, drift('somebody wrote a record into it meanwhile'));
    await connection.query(insertRows.join('; '));
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
    if (!isConnectionLoss(thrown)) throw thrown;
    throw new CommitLostError("the connection broke while drizzle's rows were being committed", { cause: thrown });
  }
}

/** What the database says now, under the lock that the lost session has let go of, is the answer that was lost. */
function lookAfterLostCommit(
  state: SchemaState,
  { folder, at }: BaselineOptions,
  lost: CommitLostError,
): BaselineResult {
  const record = readRecord(folder, state, at);
  if (record.kind === 'recorded') {
    return succeeded(`${adoptedWords(folder, at)}; the answer to COMMIT was lost, read back instead`);
  }
  const error = { ...explain(lost), hint: 'Nothing was written. Run again.' };
  return { result: { status: 'failed', detail: error.message, error, infrastructure: true }, differences: [] };
}

function adoptedWords(folder: MigrationFolder, at: Migration): string {
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
  return { result: driftResult(detail), differences: [] };
}

function notEqual(at: Migration, differences: readonly Difference[]): BaselineResult {
  const detail = `is not what the migrations up to ${at.tag} make: ${differenceWords(differences)}`;
  return { result: driftResult(detail), differences };
}
