import type { TenantResult } from '../fleet/index.js';
import { connect, parseConnectionUri, takeLock, type Connection, type ConnectionTarget } from '../postgres/index.js';
import { explain } from '../errors/index.js';
import { applyMigrations, CommitLostError } from './apply.js';
import { assess, type Assessment } from './assessment.js';
import type { Migration } from './migrations.js';
import { readSchemaState, type MigrationsTable } from './schema-state.js';

export interface MigrateOptions {
  readonly migrations: readonly Migration[];
  readonly table: MigrationsTable;
  /** How long another run may keep the tenant's lock before the tenant is skipped. */
  readonly lockWaitMs: number;
  /** PostgreSQL's `lock_timeout`: how long a statement may queue for a table, with customers' queries queueing behind it. */
  readonly lockTimeoutMs: number;
  /** PostgreSQL's `statement_timeout`. */
  readonly statementTimeoutMs: number;
  readonly authorities: readonly string[] | undefined;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

/**
 * Brings one database to the folder's version: under the tenant's lock, in one transaction, and read back afterwards.
 * What a run needs to know about the tenant comes as its result; only what nobody foresaw is thrown.
 *
 * @param uri of the direct host: session state such as locks and timeouts does not survive a pooler.
 */
export async function migrateDatabase(uri: string, options: MigrateOptions): Promise<TenantResult> {
  const target = parseConnectionUri(uri);
  try {
    return await migrateOnce(target, options);
  } catch (thrown) {
    if (thrown instanceof CommitLostError) return await lookAfterLostCommit(target, options, thrown);
    throw thrown;
  }
}

async function migrateOnce(target: ConnectionTarget, options: MigrateOptions): Promise<TenantResult> {
  const { signal, authorities, lockWaitMs, note } = options;
  const connection = await connect(target, { signal, authorities, applicationName: 'neon-fleet migrate' });
  try {
    if (!(await takeLock(connection, { mode: 'exclusive', waitMs: lockWaitMs, signal }))) return lockedElsewhere();
    return await bringForward(connection, options);
  } finally {
    await connection.close();
    if (signal.aborted) note('The connection was closed because the run is stopping.');
  }
}

async function bringForward(connection: Connection, options: MigrateOptions): Promise<TenantResult> {
  const assessment = assess(options.migrations, await readSchemaState(connection, options.table));
  switch (assessment.kind) {
    case 'up-to-date':
      return { status: 'unchanged', reason: 'up-to-date', detail: `at ${assessment.version}` };
    case 'drift':
      return { status: 'skipped', reason: 'drift', detail: assessment.why };
    case 'pending':
      return applyPending(connection, assessment, options);
  }
}

async function applyPending(
  connection: Connection,
  { pending, from }: Assessment & { kind: 'pending' },
  { table, lockTimeoutMs, statementTimeoutMs, migrations, signal, note }: MigrateOptions,
): Promise<TenantResult> {
  note(`${from === undefined ? 'Empty database' : `At ${from}`}; applying ${pending.map(({ tag }) => tag).join(', ')}`);
  signal.throwIfAborted();
  // Set only now: the wait for the tenant's own lock has a limit of its own.
  await connection.query(`SET lock_timeout = ${lockTimeoutMs}; SET statement_timeout = ${statementTimeoutMs}`);
  // Ends a backend that works for nobody any more, should this process be killed; not every server can do it.
  await connection.query(`SET client_connection_check_interval = '2s'`).catch(() => undefined);
  await applyMigrations(connection, pending, table);
  const after = assess(migrations, await readSchemaState(connection, table));
  if (after.kind !== 'up-to-date') return notAsExpected(after);
  return { status: 'succeeded', detail: appliedWords(pending) };
}

/** The connection broke during COMMIT: what the database says now is the answer that was lost. */
async function lookAfterLostCommit(
  target: ConnectionTarget,
  { signal, authorities, migrations, table, lockWaitMs }: MigrateOptions,
  lost: CommitLostError,
): Promise<TenantResult> {
  const connection = await connect(target, { signal, authorities, applicationName: 'neon-fleet migrate' });
  try {
    // Until the old session has ended and let go of the lock, it may still commit.
    if (!(await takeLock(connection, { mode: 'exclusive', waitMs: lockWaitMs, signal }))) return lockedElsewhere();
    const now = assess(migrations, await readSchemaState(connection, table));
    if (now.kind === 'up-to-date') {
      return { status: 'succeeded', detail: `at ${now.version}; the answer to COMMIT was lost, read back instead` };
    }
    const error = { ...explain(lost), hint: 'Nothing of them was committed. Run again.' };
    return { status: 'failed', detail: error.message, error };
  } finally {
    await connection.close();
  }
}

function lockedElsewhere(): TenantResult {
  return {
    status: 'skipped',
    reason: 'locked',
    detail: 'another run of neon-fleet (a migration or a backup) holds the lock of this database',
  };
}

function notAsExpected(after: Assessment): TenantResult {
  const found = after.kind === 'drift' ? after.why : `still pending after they were applied`;
  const error = {
    message: `the migrations were committed, but the database does not say so: ${found}`,
    hint: 'Does a migration write to the table of migrations itself?',
  };
  return { status: 'failed', detail: error.message, error };
}

function appliedWords(pending: readonly Migration[]): string {
  const [only, ...others] = pending.map(({ tag }) => tag);
  return others.length === 0
    ? `applied ${only ?? ''}`
    : `applied ${pending.length}: ${pending.map(({ tag }) => tag).join(', ')}`;
}
