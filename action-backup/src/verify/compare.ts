import type { Contents } from '@neon-fleet/shared/backups';
import type { Connection } from '@neon-fleet/shared/postgres';

import { readSchema, type SchemaPrint } from '../dump/snapshot.js';

export interface Comparison {
  /** What was compared and is equal, in words. */
  readonly equal: readonly string[];
  /** What is not, in words; names only, never a value of a row. */
  readonly different: readonly string[];
}

type Querier = Pick<Connection, 'query'>;

/**
 * Compares a restored database with what was recorded when it was dumped: rows of every table, sequences, whether
 * constraints and indexes are valid, and the schema.
 *
 * @param sameMajor whether the server words definitions as the one did that was dumped.
 */
export async function compareContents(
  connection: Querier,
  { rowCounts, sequences, schema, partial }: Contents,
  sameMajor: boolean,
): Promise<Comparison> {
  await connection.query('SET search_path = pg_catalog');
  const equal: string[] = [];
  const different: string[] = [];
  const judge = (words: string, found: readonly string[]) => {
    if (found.length === 0) equal.push(words);
    different.push(...found);
  };
  if (rowCounts !== undefined) {
    const rows = Object.values(rowCounts).reduce((sum, count) => sum + count, 0);
    judge(`${rows} rows of ${Object.keys(rowCounts).length} tables`, await compareRows(connection, rowCounts));
  }
  if (sequences !== undefined) {
    judge(`${Object.keys(sequences).length} sequences`, await compareSequences(connection, sequences));
  }
  const found = await readSchema(connection);
  if (!partial) judge('the schema', compareSchemas(schema, found, sameMajor));
  judge('indexes are valid', await invalidIndexes(connection));
  return { equal, different };
}

async function compareRows(connection: Querier, recorded: Readonly<Record<string, number>>): Promise<string[]> {
  const different: string[] = [];
  for (const [table, count] of Object.entries(recorded)) {
    const name = await nameHere(connection, table);
    const [row] = name === undefined ? [] : await connection.query(`SELECT count(*)::text AS rows FROM ONLY ${name}`);
    const there = row === undefined ? 'none such' : String(row['rows']);
    if (there !== String(count)) different.push(`table ${table} has ${there} rows instead of ${count}`);
  }
  return different;
}

async function compareSequences(connection: Querier, recorded: NonNullable<Contents['sequences']>): Promise<string[]> {
  const different: string[] = [];
  for (const [sequence, { value, called }] of Object.entries(recorded)) {
    const name = await nameHere(connection, sequence);
    const [row] =
      name === undefined ? [] : await connection.query(`SELECT last_value::text AS value, is_called FROM ${name}`);
    if (row?.['value'] !== value || row['is_called'] !== called)
      different.push(`sequence ${sequence} is not at ${value}`);
  }
  return different;
}

/** A recorded name as this server quotes it: what goes into a statement comes from the catalog, not from a manifest. */
async function nameHere(connection: Querier, recorded: string): Promise<string | undefined> {
  const [row] = await connection.query(
    "SELECT format('%I.%I', nspname, relname) AS name FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = to_regclass($1)",
    [recorded],
  );
  return typeof row?.['name'] === 'string' ? row['name'] : undefined;
}

/** What of two schemas differs, by kind of object. Across major versions only the numbers can be compared. */
export function compareSchemas(recorded: SchemaPrint, found: SchemaPrint, sameMajor: boolean): string[] {
  const kinds = [...new Set([...Object.keys(recorded), ...Object.keys(found)])].toSorted();
  return kinds.flatMap((kind) => {
    const [before, now] = [recorded[kind], found[kind]];
    if (before?.count !== now?.count) return [`${now?.count ?? 0} ${kind} instead of ${before?.count ?? 0}`];
    return sameMajor && before?.sha256 !== now?.sha256 ? [`the definitions of the ${kind} differ`] : [];
  });
}

async function invalidIndexes(connection: Querier): Promise<string[]> {
  const rows = await connection.query('SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid');
  return rows.map((row) => `the index ${String(row['name'])} is not valid`);
}
