import { escapeIdentifier, escapeLiteral } from 'pg';

import type { RowName } from './match-rows.js';
import type { DrizzleFormat, Migration } from './migrations.js';

/** Where drizzle keeps its record; both names can be changed in drizzle's configuration. */
export interface MigrationsTable {
  readonly schema: string;
  readonly table: string;
}

export const DRIZZLE_TABLE: MigrationsTable = { schema: 'drizzle', table: '__drizzle_migrations' };

/** The table's name, quoted for SQL. */
export function qualifiedName({ schema, table }: MigrationsTable): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
}

/** Where a statement that must not run twice is noted while it runs; there only for so long. */
export function startedTable({ schema }: MigrationsTable): string {
  return qualifiedName({ schema, table: '__neon_fleet_started' });
}

const COLUMNS: Record<DrizzleFormat, string> = {
  v0: 'id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint',
  v1: 'id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint, name text, applied_at timestamp with time zone DEFAULT now()',
};

/** Makes the table as the drizzle of that format does. */
export function createTableSql(table: MigrationsTable, format: DrizzleFormat): string {
  return `CREATE SCHEMA IF NOT EXISTS ${escapeIdentifier(table.schema)};
    CREATE TABLE IF NOT EXISTS ${qualifiedName(table)} (${COLUMNS[format]})`;
}

/** Turns a table of drizzle 0.x into one of 1.0, as drizzle 1.0 does: names for the rows, and no time of applying. */
export function upgradeTableSql(table: MigrationsTable, names: readonly RowName[]): string {
  const name = qualifiedName(table);
  const values = names.map((row) => `(${row.id}, ${escapeLiteral(row.name)})`).join(', ');
  return [
    `ALTER TABLE ${name} ADD COLUMN IF NOT EXISTS name text`,
    `ALTER TABLE ${name} ADD COLUMN IF NOT EXISTS applied_at timestamp with time zone DEFAULT now()`,
    ...(names.length === 0
      ? []
      : [
          `UPDATE ${name} t SET name = v.name, applied_at = NULL FROM (VALUES ${values}) v (id, name) WHERE t.id = v.id`,
        ]),
  ].join('; ');
}

/**
 * Writes the row that drizzle writes for a migration.
 *
 * @param transaction the row is written only in this transaction; anywhere else it is an error of class 22.
 */
export function recordSql(
  table: MigrationsTable,
  format: DrizzleFormat,
  { tag, hash, when }: Migration,
  transaction?: string,
): string {
  const now = 'pg_catalog.pg_current_xact_id()::text';
  // The other branch must not be a constant: PostgreSQL would compute it while planning.
  const createdAt =
    transaction === undefined
      ? String(when)
      : `CASE WHEN ${now} OPERATOR(pg_catalog.=) ${escapeLiteral(transaction)} THEN ${when} ELSE pg_catalog.concat(${now}, ' is not the transaction that was begun')::bigint END`;
  return format === 'v0'
    ? `INSERT INTO ${qualifiedName(table)} (hash, created_at) VALUES (${escapeLiteral(hash)}, ${createdAt})`
    : `INSERT INTO ${qualifiedName(table)} (hash, created_at, name) VALUES (${escapeLiteral(hash)}, ${createdAt}, ${escapeLiteral(tag)})`;
}
