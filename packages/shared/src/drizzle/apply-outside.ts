import { escapeLiteral } from 'pg';

import { explain, ExplainedError, type Explanation } from '../errors/index.js';
import { isConnectionLoss } from '../postgres/index.js';
import {
  CommitLostError,
  ENDS_WITH_ITS_CLIENT,
  inStatement,
  withLockRetries,
  type ApplyContext,
  type ReadBack,
} from './apply.js';
import { clearAway, makeWay, type Building } from './half-built.js';
import { recordSql, startedTable } from './migrations-table.js';
import { fileOf, type Migration } from './migrations.js';
import { mayWaitForLocks, repetitionOf } from './no-transaction.js';
import { stateSql } from './schema-state.js';
import { maskSql } from './sql-text.js';

/** The run was cut off in the middle of something that no transaction protects. */
export class InterruptedError extends ExplainedError {
  constructor(
    explanation: Omit<Explanation, 'code'>,
    /** Whether it was this run, by a connection that broke, and not an earlier one. */
    readonly now: boolean,
  ) {
    super({ ...explanation, code: 'interrupted' });
    this.name = 'InterruptedError';
  }
}

/**
 * Applies one migration outside a transaction, statement by statement, and records it when all are done.
 *
 * An interruption anywhere is found by the next run: statements that can be repeated are repeated, an index that was left
 * half built is dropped and built again, and a single statement that must not run twice was noted before it was started.
 *
 * @param onEffect called when something has been changed that a failure would leave behind.
 * @throws PostgresError that names the statement; InterruptedError; CommitLostError.
 */
export async function applyOutside(
  context: ApplyContext,
  migration: Migration,
  prepare: string | undefined,
  onEffect: () => void,
): Promise<ReadBack> {
  const { connection, format, table, statementTimeoutMs, lockTimeoutMs } = context;
  await connection.pipeline([ENDS_WITH_ITS_CLIENT]);
  await connection.query(
    `SET statement_timeout = ${statementTimeoutMs}; SET lock_timeout = ${lockTimeoutMs}${prepare === undefined ? '' : `; ${prepare}`}`,
  );
  const marked = migration.statements.some((statement) => repetitionOf(statement).kind === 'once');
  if (marked) await noteStart(context, migration);
  for (const [index, statement] of migration.statements.entries()) {
    try {
      const changed = await withLockRetries(context, () => runOutside(context, migration, index, statement));
      if (changed) onEffect();
    } catch (thrown) {
      if (isConnectionLoss(thrown)) throw cutOff(context, migration, thrown, { marked, now: true });
      if (mayCommitOnTheWay(statement)) {
        // The mark stays: what it has committed before it failed must not be done again.
        onEffect();
        throw cutOff(context, migration, thrown, { marked, now: false });
      }
      if (marked) await connection.query(`DROP TABLE IF EXISTS ${startedTable(table)}`).catch(() => undefined);
      throw thrown;
    }
  }
  const forget = marked ? `; DROP TABLE IF EXISTS ${startedTable(table)}` : '';
  const [recorded, readBack] = await connection.pipeline([
    recordSql(table, format, migration) + forget,
    stateSql(table),
  ]);
  if (recorded?.status === 'fulfilled' && readBack !== undefined) return readBack;
  const reason: unknown = recorded?.status === 'rejected' ? recorded.reason : undefined;
  if (isConnectionLoss(reason)) throw new CommitLostError([migration], { cause: reason });
  throw reason;
}

/** Outside a transaction the code of a block or procedure may end transactions of its own. */
function mayCommitOnTheWay(statement: string): boolean {
  return /^(do|call)\b/i.test(maskSql(statement).trim());
}

/** @returns whether anything was changed */
async function runOutside(
  { connection, format, lockTimeoutMs, signal, note }: ApplyContext,
  migration: Migration,
  index: number,
  statement: string,
): Promise<boolean> {
  const where = `${fileOf(format, migration)}, statement ${index + 1} of ${migration.statements.length}`;
  const building: Building = { connection, repetition: repetitionOf(statement), where, note };
  if ((await makeWay(building)) === 'done') return false;
  signal.throwIfAborted();
  const lockTimeout = mayWaitForLocks(statement) ? 0 : lockTimeoutMs;
  try {
    await connection.query(`SET lock_timeout = ${lockTimeout}`);
    await connection.query(statement);
    return true;
  } catch (thrown) {
    if (!signal.aborted) await clearAway(building);
    throw inStatement(format, migration, index, thrown);
  }
}

/** Notes that a statement is about to run which must not run twice. */
async function noteStart({ connection, format, table }: ApplyContext, migration: Migration): Promise<void> {
  const started = startedTable(table);
  const tag = escapeLiteral(migration.tag);
  await connection.query(
    `CREATE TABLE IF NOT EXISTS ${started} (tag text PRIMARY KEY, started_at timestamp with time zone NOT NULL DEFAULT now())`,
  );
  const noted = await connection.query(
    `INSERT INTO ${started} (tag) VALUES (${tag}) ON CONFLICT DO NOTHING RETURNING tag`,
  );
  if (noted.length > 0) return;
  throw new InterruptedError(
    {
      message: `${fileOf(format, migration)} was started by an earlier run that was cut off; whether its statement took effect cannot be told`,
      hint: `Look whether it did. If so, record it: ${recordSql(table, format, migration)}; in either case then: DROP TABLE ${started}; and run again.`,
    },
    false,
  );
}

function cutOff(
  { format }: ApplyContext,
  migration: Migration,
  thrown: unknown,
  { marked, now }: { readonly marked: boolean; readonly now: boolean },
): InterruptedError {
  const { message } = explain(thrown);
  return new InterruptedError(
    {
      message: `${message}; ${fileOf(format, migration)} runs outside a transaction, and may have taken effect in part`,
      hint: marked
        ? 'Look in the database whether its statement took effect; the next run will ask for that.'
        : 'Run again: the next run finds out what is there, and finishes it.',
    },
    now,
  );
}
