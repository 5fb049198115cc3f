import { setTimeout as delay } from 'node:timers/promises';

import { explain } from '../errors/index.js';
import { isConnectionLoss, PostgresError, SQLSTATE, type Row } from '../postgres/index.js';
import { recordSql, type MigrationsTable } from './migrations-table.js';
import { fileOf, type DrizzleFormat, type Migration } from './migrations.js';
import { stateSql, valueOf, type Session } from './schema-state.js';

/** What applying needs besides the migrations. */
export interface ApplyContext {
  readonly connection: Session;
  readonly format: DrizzleFormat;
  readonly table: MigrationsTable;
  /** PostgreSQL's `lock_timeout`. */
  readonly lockTimeoutMs: number;
  /** PostgreSQL's `statement_timeout`. */
  readonly statementTimeoutMs: number;
  /** How often a migration is tried again that did not get a table's lock in time. */
  readonly lockRetries: number;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

/** What {@link stateSql} gave after the last step. */
export type ReadBack = PromiseSettledResult<Row[]>;

/** The answer to what makes migrations count was lost: whether it was carried out has to be looked up. */
export class CommitLostError extends Error {
  override name = 'CommitLostError';

  constructor(
    /** The migrations of which it is not known whether they are applied. */
    readonly migrations: readonly Migration[],
    options: ErrorOptions,
  ) {
    super('the connection broke while the migrations were being committed', options);
  }
}

/**
 * Applies migrations in one transaction, together with the rows that drizzle writes: after a failure, or a kill at any
 * moment, the database is as it was.
 *
 * Takes three round trips, however many statements there are: begin, all statements, commit. Nothing is committed before
 * every statement has been answered.
 *
 * @param prepare SQL that makes or completes drizzle's table, when it needs that; in the same transaction.
 * @throws PostgresError that names the migration and the statement; CommitLostError.
 */
export async function applyInTransaction(
  context: ApplyContext,
  migrations: readonly Migration[],
  prepare: string | undefined,
): Promise<ReadBack> {
  return withLockRetries(context, async () => {
    const transaction = await begin(context, prepare);
    try {
      await runAll(context, stepsOf(context, migrations, transaction));
    } catch (thrown) {
      // The connection may be gone, and the transaction with it.
      await context.connection.query('ROLLBACK').catch(() => undefined);
      throw thrown;
    }
    return commit(context, migrations);
  });
}

/** Begins, and answers with the transaction's id. What follows is sent only when this has been answered: it must not run outside. */
async function begin(context: ApplyContext, prepare: string | undefined): Promise<string> {
  const { connection, lockTimeoutMs, statementTimeoutMs } = context;
  const [, begun] = await connection.pipeline([
    ENDS_WITH_ITS_CLIENT,
    [
      'BEGIN',
      `SET LOCAL lock_timeout = ${lockTimeoutMs}`,
      `SET LOCAL statement_timeout = ${statementTimeoutMs}`,
      ...(prepare === undefined ? [] : [prepare]),
      'SELECT pg_catalog.pg_current_xact_id()::text AS transaction',
    ].join('; '),
  ]);
  try {
    const [row] = valueOf(begun);
    return String(row?.['transaction']);
  } catch (thrown) {
    await connection.query('ROLLBACK').catch(() => undefined);
    throw thrown;
  }
}

/** Ends a backend that works for nobody any more, should this process be killed. Not every server can do it: it may fail. */
export const ENDS_WITH_ITS_CLIENT = `SET client_connection_check_interval = '2s'`;

interface Step {
  readonly sql: string;
  readonly explainFailure: (thrown: unknown) => unknown;
}

function stepsOf({ format, table }: ApplyContext, migrations: readonly Migration[], transaction: string): Step[] {
  return migrations.flatMap((migration) => [
    ...migration.statements.map((sql, index) => ({
      sql,
      explainFailure: (thrown: unknown) => inStatement(format, migration, index, thrown),
    })),
    {
      sql: recordSql(table, format, migration, transaction),
      explainFailure: (thrown: unknown) =>
        thrown instanceof PostgresError && thrown.sqlState === INVALID_TEXT
          ? transactionEnded(fileOf(format, migration))
          : thrown,
    },
  ]);
}

/** Only the transaction's check can have this error, see {@link recordSql}. */
const INVALID_TEXT = '22P02';
const INVALID_TRANSACTION_TERMINATION = '2D000';

async function runAll({ connection }: ApplyContext, steps: readonly Step[]): Promise<void> {
  const answers = await connection.pipeline(steps.map(({ sql }) => sql));
  for (const [index, answer] of answers.entries()) {
    // Those after it fail for no reason of their own.
    if (answer.status === 'rejected') throw steps[index]?.explainFailure(answer.reason);
  }
}

/** Names the statement that an error is about. */
export function inStatement(
  format: DrizzleFormat,
  migration: Migration,
  index: number,
  thrown: unknown,
): PostgresError {
  const error = explain(thrown);
  const where = `${fileOf(format, migration)}, statement ${index + 1} of ${migration.statements.length}`;
  return new PostgresError(
    { ...error, message: `${where}: ${error.message}` },
    thrown instanceof PostgresError ? thrown.sqlState : undefined,
  );
}

/** The folder was checked for it; what that check did not recognise shows here, before anything is recorded. */
function transactionEnded(file: string): PostgresError {
  return new PostgresError(
    {
      message: `${file} ended the transaction that it was applied in; what stands before that in it is committed, and not recorded`,
      hint: 'Take the COMMIT or ROLLBACK out of the file, and undo by hand what it left in this database.',
    },
    INVALID_TRANSACTION_TERMINATION,
  );
}

/** Commits, and reads back in the same round trip. */
async function commit({ connection, table }: ApplyContext, migrations: readonly Migration[]): Promise<ReadBack> {
  const [committed, readBack] = await connection.pipeline(['COMMIT', stateSql(table)]);
  if (committed?.status === 'fulfilled' && readBack !== undefined) return readBack;
  const reason: unknown = committed?.status === 'rejected' ? committed.reason : undefined;
  if (isConnectionLoss(reason)) throw new CommitLostError(migrations, { cause: reason });
  throw reason;
}

const RETRY_PAUSE_MS = 500;

/**
 * Does something again that did not get a lock in time, a few times and with pauses between: customers' queries queue
 * behind whoever waits for a lock, and get their turn in the pauses.
 */
export async function withLockRetries<T>(
  { lockRetries, signal, note }: Pick<ApplyContext, 'lockRetries' | 'signal' | 'note'>,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (thrown) {
      const gotNoLock = thrown instanceof PostgresError && thrown.sqlState === SQLSTATE.lockNotAvailable;
      if (!gotNoLock || attempt > lockRetries) throw gotNoLock ? afterAttempts(thrown, attempt) : thrown;
      note(`${thrown.message}; trying again (${attempt} of ${lockRetries})`);
      // Tenants that were held up by the same thing must not come back all at once.
      await delay(RETRY_PAUSE_MS * attempt * (0.5 + Math.random()), undefined, { signal });
    }
  }
}

function afterAttempts(error: PostgresError, attempts: number): PostgresError {
  if (attempts === 1) return error;
  return new PostgresError({ ...explain(error), message: `${error.message}; tried ${attempts} times` }, error.sqlState);
}
