import { explain, ExplainedError, type Explanation } from '../errors/index.js';
import { isConnectionLoss } from '../postgres/index.js';
import { valueOf, type Session } from './schema-state.js';
import { splitStatements } from './sql-text.js';

/**
 * Checks that a post-check is one query.
 *
 * @throws ExplainedError
 */
export function refuseUnusablePostCheck(sql: string): void {
  const statements = splitStatements(sql).length;
  if (statements === 1) return;
  throw new ExplainedError({
    message: `post-check: it holds ${statements} statements; nothing was done`,
    hint: "It is one query that gives one row with one value, true when all is well, such as: SELECT count(*) = 0 FROM tasks WHERE status = ''",
  });
}

/**
 * Asks a query whether a database is as it should be; it can change nothing. Returns what is wrong, without values: they
 * are customers'.
 *
 * @throws PostgresError when the connection broke.
 */
export async function findPostCheckFailure(
  connection: Session,
  sql: string,
  { statementTimeoutMs, lockTimeoutMs }: { readonly statementTimeoutMs: number; readonly lockTimeoutMs: number },
): Promise<Explanation | undefined> {
  const begin = `BEGIN READ ONLY; SET LOCAL statement_timeout = ${statementTimeoutMs}; SET LOCAL lock_timeout = ${lockTimeoutMs}`;
  const [, answer, end] = await connection.pipeline([begin, sql, 'ROLLBACK']);
  if (answer?.status === 'rejected') {
    if (isConnectionLoss(answer.reason)) throw answer.reason;
    const error = explain(answer.reason);
    return { ...error, message: `the post-check failed: ${error.message}` };
  }
  if (end?.status === 'rejected') throw end.reason;
  const why = objectionTo(valueOf(answer));
  return why === undefined ? undefined : { message: `the post-check says no: ${why}` };
}

function objectionTo(rows: readonly Readonly<Record<string, unknown>>[]): string | undefined {
  const [row, ...others] = rows;
  if (row === undefined || others.length > 0) return `it gave ${rows.length} rows in place of one`;
  const values = Object.values(row);
  if (values.length !== 1) return `it gave ${values.length} values in place of one`;
  return values[0] === true ? undefined : 'its answer is not true';
}
