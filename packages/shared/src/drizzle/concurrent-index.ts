import { escapeLiteral } from 'pg';

import { ExplainedError } from '../errors/index.js';
import type { ConcurrentIndex } from './no-transaction.js';
import { valueOf, type Session } from './schema-state.js';

/** What there is under the name of an index that is to be built. */
export type IndexState =
  | { readonly kind: 'none' }
  /** Left behind by a build that was interrupted or failed; `name` is quoted and qualified. */
  | { readonly kind: 'invalid'; readonly name: string }
  /** Not valid yet: somebody may be building it at this moment. Dropping it would wait for that, and then drop it all the same. */
  | { readonly kind: 'busy'; readonly name: string }
  /** Built, and exactly the one that the statement asks for. */
  | { readonly kind: 'done' }
  | { readonly kind: 'other'; readonly what: string };

/** SQL: whether a client, and not the server's own vacuum, holds the lock on a table that building an index takes. */
export function workedOn(table: string): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
                    WHERE l.relation = ${table} AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted
                      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
                      AND l.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL)`;
}

/** Looks for an index, and whether it is the one that the statement would build. */
export async function findIndex(connection: Session, index: ConcurrentIndex): Promise<IndexState> {
  const [found] = await connection.query(
    `SELECT c.oid::text AS oid, format('%I.%I', n.nspname, c.relname) AS name,
            i.indexrelid IS NOT NULL AS is_index, i.indrelid IS NOT DISTINCT FROM t.oid AS on_table, i.indisvalid AS valid,
            ${workedOn('t.oid')} AS busy
       FROM pg_catalog.pg_class t
       JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
       JOIN pg_catalog.pg_class c ON c.oid = to_regclass(quote_ident(n.nspname) || '.' || ${escapeLiteral(index.name)})
       LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
      WHERE t.oid = to_regclass(${escapeLiteral(index.table)})`,
  );
  if (found === undefined) return { kind: 'none' };
  const name = String(found['name']);
  if (found['is_index'] !== true) return { kind: 'other', what: `${name} exists and is no index` };
  if (found['on_table'] !== true) return { kind: 'other', what: `an index ${name} exists on another table` };
  if (found['valid'] !== true) return { kind: found['busy'] === true ? 'busy' : 'invalid', name };
  switch (await isSameDefinition(connection, index, String(found['oid']))) {
    case true:
      return { kind: 'done' };
    case false:
      return { kind: 'other', what: `an index ${name} exists with another definition` };
    case undefined:
      return { kind: 'other', what: `an index ${name} exists, and whether it is the one asked for cannot be told` };
  }
}

/**
 * Builds the same index on an empty table of the same columns and compares what PostgreSQL says of the two: only
 * PostgreSQL knows what a definition comes to. Everything is rolled back. Undefined when it cannot be built there.
 */
async function isSameDefinition(
  connection: Session,
  index: ConcurrentIndex,
  oid: string,
): Promise<boolean | undefined> {
  const definition = (which: string) => `regexp_replace(pg_get_indexdef(${which}.indexrelid), '^.*? USING ', '')`;
  const answers = await connection.pipeline([
    'BEGIN',
    `CREATE TEMP TABLE ${index.tableName} (LIKE ${index.table}) ON COMMIT DROP`,
    `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${index.name} ON pg_temp.${index.tableName} ${index.definition}`,
    `SELECT a.indisunique = b.indisunique AND ${definition('a')} = ${definition('b')} AS same
       FROM pg_catalog.pg_index a, pg_catalog.pg_index b
      WHERE a.indexrelid = ${oid}::oid AND b.indexrelid = to_regclass('pg_temp.' || ${escapeLiteral(index.name)})`,
    'ROLLBACK',
  ]);
  const compared = answers[3];
  if (compared?.status !== 'fulfilled') return undefined;
  const [row] = valueOf(compared);
  return row === undefined ? undefined : row['same'] === true;
}

/** Nobody can say by whom an object was made that has the name of what a migration was to make. */
export function inTheWay(where: string, what: string): ExplainedError {
  return new ExplainedError({
    message: `${where}: ${what}, and drizzle's table does not say that this migration was applied`,
    code: 'interrupted',
    hint: 'If it is what the migration was to make, record the migration by hand; otherwise drop or rename it, and run again.',
  });
}
