import { explain, ExplainedError, type Explanation } from '../errors/index.js';
import { stopReasonOf, type RestorePoint, type TenantResult } from '../fleet/index.js';
import { isConnectionLoss, parseConnectionUri, type Connection, type ConnectionTarget } from '../postgres/index.js';
import { CommitLostError, applyInTransaction, type ApplyContext, type ReadBack } from './apply.js';
import { applyOutside, InterruptedError } from './apply-outside.js';
import { assess, type Assessment, type SchemaState } from './assessment.js';
import { lockDatabase } from './lock-database.js';
import type { RowName } from './match-rows.js';
import { createTableSql, upgradeTableSql, type MigrationsTable } from './migrations-table.js';
import type { Migration, MigrationFolder } from './migrations.js';
import { findPostCheckFailure, refuseUnusablePostCheck } from './post-check.js';
import { putBack } from './put-back.js';
import { driftResult, lockedResult } from './results.js';
import { leftBehindWords, newRun, recordOf, type Run } from './run-so-far.js';
import { finishReading } from './schema-state.js';
import { divide, type TransactionMode, type Unit } from './units.js';

/** What to do with a tenant whose database contradicts the folder. `apply`: apply what is only out of order. */
export type OnDrift = 'skip' | 'fail' | 'apply';

/** What to do after a failure that left something behind. */
export type OnFailure = 'keep' | 'restore';

export interface MigrateOptions {
  readonly folder: MigrationFolder;
  readonly table: MigrationsTable;
  /** Tag to migrate up to, or a beginning of it that is unique; nothing is ever taken back. Default: the newest. */
  readonly to?: string | undefined;
  /** Default: `per-migration`. */
  readonly transaction?: TransactionMode | undefined;
  /** Default: `skip`. */
  readonly onDrift?: OnDrift | undefined;
  /** How long another run may keep the tenant's lock before the tenant is skipped. */
  readonly lockWaitMs: number;
  /** PostgreSQL's `lock_timeout`: how long a statement may queue for a table, with customers' queries queueing behind it. */
  readonly lockTimeoutMs: number;
  /** How often a migration is tried again that did not get a table's lock in that time. Default: 3. */
  readonly lockRetries?: number | undefined;
  /** PostgreSQL's `statement_timeout`. */
  readonly statementTimeoutMs: number;
  /** A query that must give one row with the one value true, or the tenant has failed. */
  readonly postCheck?: string | undefined;
  /** Called on the open connection before the first change, if there is to be one. What it throws leaves all as it was. */
  readonly readRestorePoint?: ((connection: Connection) => Promise<RestorePoint | undefined>) | undefined;
  /** Default: `keep`. */
  readonly onFailure?: OnFailure | undefined;
  /**
   * Puts the database back and says so in words. Called only after a failure that left something, under the tenant's lock;
   * that it ends all sessions of the database is expected.
   */
  readonly rollBack?: ((restorePoint: RestorePoint) => Promise<string>) | undefined;
  readonly authorities: readonly string[] | undefined;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

/** The answer to COMMIT was lost, and the database says that it was not carried out. */
class NotCommittedError extends ExplainedError {
  constructor() {
    super({
      message: 'the connection broke while the migrations were being committed',
      hint: 'Nothing of them was committed. Run again.',
    });
    this.name = 'NotCommittedError';
  }
}

const DEFAULT_LOCK_RETRIES = 3;
/** How often a broken connection is replaced to look what became of a commit. */
const MAX_SESSIONS = 3;

/**
 * Brings one database to the folder's version: under the tenant's lock, and read back afterwards. What a run needs to know
 * about the tenant comes as its result, with a record of what was applied; thrown is what prevented the first change.
 *
 * @param uri of the direct host: session state such as locks and timeouts does not survive a pooler.
 */
export async function migrateDatabase(uri: string, options: MigrateOptions): Promise<TenantResult> {
  if (options.postCheck !== undefined) refuseUnusablePostCheck(options.postCheck);
  const target = parseConnectionUri(uri);
  const run = newRun();
  try {
    return await migrateInSessions(target, options, run);
  } catch (thrown) {
    return afterFailure(thrownResult(thrown, options, run), run, target, undefined, options);
  }
}

/** @throws what was thrown before the first change, for whoever knows what it means: a quota, a lost project, a stop. */
function thrownResult(thrown: unknown, { signal }: MigrateOptions, run: Run): TenantResult {
  if (!run.began || (signal.aborted && !run.changed && run.unsettled.length === 0)) throw thrown;
  return signal.aborted ? stopped(signal, run, thrown) : failed(run, thrown);
}

/** @param connection with the tenant's lock; undefined when it is gone. */
async function afterFailure(
  result: TenantResult,
  run: Run,
  target: ConnectionTarget,
  connection: Connection | undefined,
  options: MigrateOptions,
): Promise<TenantResult> {
  if (result.status !== 'failed' || options.onFailure !== 'restore' || !run.changed) return result;
  return putBack(result, run, target, connection, options);
}

async function migrateInSessions(target: ConnectionTarget, options: MigrateOptions, run: Run): Promise<TenantResult> {
  let lost: CommitLostError | undefined;
  for (let session = 1; ; session += 1) {
    try {
      return await migrateInSession(target, options, run, lost);
    } catch (thrown) {
      if (!(thrown instanceof CommitLostError)) throw thrown;
      run.unsettled = tagsOf(thrown.migrations);
      if (session === MAX_SESSIONS || options.signal.aborted) throw thrown;
      options.note(`${thrown.message}; looking what became of it`);
      lost = thrown;
    }
  }
}

async function migrateInSession(
  target: ConnectionTarget,
  options: MigrateOptions,
  run: Run,
  lost: CommitLostError | undefined,
): Promise<TenantResult> {
  // After a lost answer the old session may still commit, until it has ended and let go of the lock.
  const locked = await lockDatabase(target, { ...options, applicationName: 'neon-fleet migrate' });
  if (locked === undefined && lost !== undefined) throw lost;
  if (locked === undefined) return lockedResult();
  const { connection, state } = locked;
  try {
    let result: TenantResult;
    try {
      if (lost !== undefined) settle(lost, state, options, run);
      result = await bringForward(connection, state, options, run);
    } catch (thrown) {
      if (thrown instanceof CommitLostError) throw thrown;
      result = thrownResult(thrown, options, run);
    }
    // While the lock is held: whoever got in between would lose by it what they did.
    return await afterFailure(result, run, target, connection, options);
  } finally {
    await connection.close();
    if (options.signal.aborted) options.note('The connection was closed because the run is stopping.');
  }
}

/** What the database says now is the answer that was lost. @throws NotCommittedError when it says no */
function settle(lost: CommitLostError, state: SchemaState, { folder }: MigrateOptions, run: Run): void {
  run.unsettled = [];
  const now = assess(folder, state);
  const missing = now.kind === 'pending' ? now.pending : now.kind === 'drift' ? now.pendingWithOutOfOrder : [];
  if (lost.migrations.some((migration) => missing.includes(migration))) throw new NotCommittedError();
  markApplied(run, lost.migrations);
}

async function bringForward(
  connection: Connection,
  state: SchemaState,
  options: MigrateOptions,
  run: Run,
): Promise<TenantResult> {
  const assessment = assess(options.folder, state, options);
  if (!run.began) run.from = run.to = versionOf(assessment);
  switch (assessment.kind) {
    case 'up-to-date':
      if (assessment.upgrade !== undefined)
        return upgradeOnly(connection, assessment, assessment.upgrade, options, run);
      return concluded(connection, assessment, options, run);
    case 'drift':
      if (options.onDrift === 'apply' && assessment.onlyOutOfOrder) {
        return applyPending(connection, state, { pending: assessment.pendingWithOutOfOrder }, options, run);
      }
      return driftResult(assessment.why, options.onDrift);
    case 'pending':
      return applyPending(connection, state, assessment, options, run);
  }
}

function versionOf(assessment: Assessment): string | undefined {
  return assessment.kind === 'up-to-date' ? assessment.version : assessment.from;
}

async function applyPending(
  connection: Connection,
  state: SchemaState,
  { pending, upgrade }: { readonly pending: readonly Migration[]; readonly upgrade?: readonly RowName[] },
  options: MigrateOptions,
  run: Run,
): Promise<TenantResult> {
  const { folder, table, signal, note } = options;
  note(`${run.to === undefined ? 'Empty database' : `At ${run.to}`}; applying ${tagsOf(pending).join(', ')}`);
  signal.throwIfAborted();
  if (!run.began) run.restorePoint = await options.readRestorePoint?.(connection);
  signal.throwIfAborted();
  run.began = true;

  const context = contextOf(connection, options);
  let prepare =
    state.table === 'absent'
      ? createTableSql(table, folder.format)
      : upgrade === undefined
        ? undefined
        : upgradeTableSql(table, upgrade);
  let readBack: ReadBack | undefined;
  for (const unit of divide(pending, options.transaction ?? 'per-migration', folder.format)) {
    signal.throwIfAborted();
    readBack = await applyUnit(context, unit, prepare, run);
    prepare = undefined;
  }
  const after = assess(folder, await finishReading(connection, table, readBack), options);
  if (after.kind !== 'up-to-date') return notAsExpected(after, run);
  return concluded(connection, after, options, run);
}

function contextOf(connection: Connection, options: MigrateOptions): ApplyContext {
  const { folder, table, lockTimeoutMs, statementTimeoutMs, signal, note } = options;
  const lockRetries = options.lockRetries ?? DEFAULT_LOCK_RETRIES;
  return { connection, format: folder.format, table, lockTimeoutMs, statementTimeoutMs, lockRetries, signal, note };
}

async function applyUnit(context: ApplyContext, unit: Unit, prepare: string | undefined, run: Run): Promise<ReadBack> {
  if (unit.kind === 'transaction') {
    const readBack = await applyInTransaction(context, unit.migrations, prepare);
    markApplied(run, unit.migrations);
    return readBack;
  }
  try {
    const readBack = await applyOutside(context, unit.migration, prepare, () => {
      run.changed = true;
    });
    markApplied(run, [unit.migration]);
    return readBack;
  } catch (thrown) {
    if (thrown instanceof InterruptedError && thrown.now) {
      run.unsettled = [unit.migration.tag];
      run.cutOff = true;
    }
    throw thrown;
  }
}

function markApplied(run: Run, migrations: readonly Migration[]): void {
  run.applied.push(...tagsOf(migrations));
  run.to = migrations.at(-1)?.tag ?? run.to;
  run.changed = true;
}

/** Nothing is pending, but drizzle 1.0 would complete the table of 0.x all the same. */
async function upgradeOnly(
  connection: Connection,
  assessment: Assessment & { kind: 'up-to-date' },
  upgrade: readonly RowName[],
  options: MigrateOptions,
  run: Run,
): Promise<TenantResult> {
  run.began = true;
  const readBack = await applyInTransaction(
    contextOf(connection, options),
    [],
    upgradeTableSql(options.table, upgrade),
  );
  const after = assess(options.folder, await finishReading(connection, options.table, readBack), options);
  if (after.kind !== 'up-to-date') return notAsExpected(after, run);
  const result = await concluded(connection, assessment, options, run);
  if (result.status !== 'unchanged') return result;
  return {
    ...result,
    status: 'succeeded',
    detail: `${result.detail}; its table of migrations now is one of drizzle 1.0`,
  };
}

/** The database is where it should be; the user's own question has the last word. */
async function concluded(
  connection: Connection,
  assessment: Assessment & { kind: 'up-to-date' },
  options: MigrateOptions,
  run: Run,
): Promise<TenantResult> {
  const objection =
    options.postCheck === undefined ? undefined : await findPostCheckFailure(connection, options.postCheck, options);
  if (objection !== undefined) return failedWith(run, objection);
  const migration = recordOf(run);
  if (run.applied.length > 0) return { status: 'succeeded', detail: appliedWords(run.applied), migration };
  const beyond = assessment.beyond ? `, which is beyond ${options.to ?? ''}; nothing is taken back` : '';
  return { status: 'unchanged', reason: 'up-to-date', detail: `at ${assessment.version}${beyond}`, migration };
}

function notAsExpected(after: Assessment, run: Run): TenantResult {
  const found = after.kind === 'drift' ? after.why : `still pending after they were applied`;
  const error = {
    message: `the migrations were committed, but the database does not say so: ${found}`,
    hint: 'Does a migration write to the table of migrations itself?',
  };
  return failedWith(run, error);
}

function failed(run: Run, thrown: unknown): TenantResult {
  const wayFailed =
    isConnectionLoss(thrown) ||
    thrown instanceof CommitLostError ||
    thrown instanceof NotCommittedError ||
    (thrown instanceof InterruptedError && thrown.now);
  return failedWith(run, explain(thrown), wayFailed ? { infrastructure: true } : {});
}

function failedWith(run: Run, error: Explanation, more: { infrastructure?: true } = {}): TenantResult {
  return {
    status: 'failed',
    detail: `${error.message}; ${leftBehindWords(run)}`,
    error,
    migration: recordOf(run),
    ...more,
  };
}

/** The run was told to stop when it had already done something: the report has to know. */
function stopped(signal: AbortSignal, run: Run, thrown: unknown): TenantResult {
  return {
    status: 'skipped',
    reason: stopReasonOf(signal),
    detail: `stopped while being worked on; ${leftBehindWords(run)}`,
    error: explain(thrown),
    migration: recordOf(run),
  };
}

function appliedWords(applied: readonly string[]): string {
  const [only, ...others] = applied;
  return others.length === 0 ? `applied ${only ?? ''}` : `applied ${applied.length}: ${applied.join(', ')}`;
}

function tagsOf(migrations: readonly Migration[]): string[] {
  return migrations.map(({ tag }) => tag);
}
