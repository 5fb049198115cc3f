import { escapeLiteral } from 'pg';

import { workedOn } from './concurrent-index.js';
import type { Session } from './schema-state.js';
import { MASKED_NAME, maskSql } from './sql-text.js';

/** A `REINDEX … CONCURRENTLY`. */
export interface ConcurrentReindex {
  readonly scope: 'index' | 'table' | 'schema' | 'database';
  /** As it is written; a database may go without. */
  readonly name: string | undefined;
}

const REINDEX = new RegExp(
  String.raw`^\s*reindex\b\s*(\([^()]*\))?\s*(index|table|schema|database)\b\s*(concurrently\b)?\s*((?:${MASKED_NAME}\s*\.\s*)?${MASKED_NAME})?`,
  'di',
);
const CONCURRENTLY_ON = /\bconcurrently\b(?!\s*(?:=\s*)?(?:false|off|0)\b)/i;

/** Reads a statement as a `REINDEX` that is done concurrently, in either of its spellings. */
export function concurrentReindexOf(statement: string): ConcurrentReindex | undefined {
  const match = REINDEX.exec(maskSql(statement));
  if (match === null) return undefined;
  const [, options = '', scope = '', concurrently] = match;
  if (concurrently === undefined && !CONCURRENTLY_ON.test(options)) return undefined;
  const place = match.indices?.[4];
  return {
    scope: scope.toLowerCase() as ConcurrentReindex['scope'],
    name: place === undefined ? undefined : statement.slice(...place),
  };
}

/** An index that an interrupted `REINDEX … CONCURRENTLY` has left, half built or replaced and not dropped. */
export interface LeftoverIndex {
  /** Quoted and qualified. */
  readonly name: string;
  /** Somebody may be at work on it at this moment. */
  readonly busy: boolean;
}

/**
 * Finds what earlier attempts at the same statement have left: indexes that are not valid, have the name that PostgreSQL
 * gives to a copy of an index that is there, and its columns. They cost every write, and each attempt leaves one more.
 *
 * Those of TOAST tables are not among them: their owner may not name them, and PostgreSQL alone can put that right.
 */
export async function findLeftovers(connection: Session, reindex: ConcurrentReindex): Promise<LeftoverIndex[]> {
  const rows = await connection.query(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, ${workedOn('t.oid')} AS busy
       FROM pg_catalog.pg_index i
       JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
       JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AND n.nspname NOT LIKE 'pg\\_%'
        AND EXISTS (
              SELECT FROM pg_catalog.pg_index b JOIN pg_catalog.pg_class o ON o.oid = b.indexrelid,
                     regexp_replace(c.relname::text, '_cc(new|old)[0-9]*$', '') AS copied
               WHERE b.indrelid = i.indrelid AND b.indexrelid <> i.indexrelid
                 AND b.indkey::text = i.indkey::text AND b.indclass::text = i.indclass::text
                 AND (o.relname::text = copied
                      -- A name is at most 63 bytes long, and cut to make room for the suffix.
                      OR octet_length(c.relname::text) >= 60 AND starts_with(o.relname::text, copied))
                 AND ${inScope(reindex)})
      ORDER BY 1`,
  );
  return rows.map(({ name, busy }) => ({ name: String(name), busy: busy === true }));
}

/** Whether the index `o` on the table `t` in the schema `n` is among those that the statement rebuilds. */
function inScope({ scope, name }: ConcurrentReindex): string {
  if (name === undefined || scope === 'database') return 'true';
  if (scope === 'schema') return `n.oid = to_regnamespace(${escapeLiteral(name)})`;
  const named = `to_regclass(${escapeLiteral(name)})`;
  const oid = scope === 'index' ? 'o.oid' : 't.oid';
  return `(${oid} = ${named} OR ${oid} IN (SELECT relid FROM pg_catalog.pg_partition_tree(${named})))`;
}
