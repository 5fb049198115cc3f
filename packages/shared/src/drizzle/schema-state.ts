import { escapeIdentifier, escapeLiteral } from 'pg';

import { PostgresError, SQLSTATE, type Connection } from '../postgres/index.js';
import type { AppliedMigration, SchemaState } from './assessment.js';

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

/**
 * Reads what has been applied. One round trip for a database that has the table, which is every one but the first time.
 */
export async function readSchemaState(
  connection: Pick<Connection, 'query'>,
  table: MigrationsTable,
): Promise<SchemaState> {
  try {
    // `to_jsonb` gives whatever columns there are, so that drizzle 1.0's table can be told from the older form.
    const rows = await connection.query(`SELECT to_jsonb(m) AS row FROM ${qualifiedName(table)} m ORDER BY id`);
    if (rows.length === 0) return await readEmptyTable(connection, table);
    const records = rows.map(({ row }) => (typeof row === 'object' && row !== null ? row : {}));
    if (records.some((record) => 'name' in record)) return { table: 'of-drizzle-1' };
    return { table: 'present', applied: records.map(readApplied) };
  } catch (thrown) {
    if (!(thrown instanceof PostgresError && thrown.sqlState === SQLSTATE.undefinedTable)) throw thrown;
    return { table: 'absent', userTables: await readUserTables(connection, table) };
  }
}

function readApplied(record: object): AppliedMigration {
  const hash: unknown = Reflect.get(record, 'hash');
  const createdAt: unknown = Reflect.get(record, 'created_at');
  return {
    hash: typeof hash === 'string' ? hash : '',
    createdAt: typeof createdAt === 'number' ? createdAt : undefined,
  };
}

/** An empty table may be a first migration that failed after drizzle had made its table: then what else is there decides. */
async function readEmptyTable(
  connection: Pick<Connection, 'query'>,
  { schema, table }: MigrationsTable,
): Promise<SchemaState> {
  const columns = await connection.query(
    `SELECT 1 FROM information_schema.columns
      WHERE table_schema = ${escapeLiteral(schema)} AND table_name = ${escapeLiteral(table)} AND column_name = 'name'`,
  );
  if (columns.length > 0) return { table: 'of-drizzle-1' };
  return { table: 'absent', userTables: await readUserTables(connection, { schema, table }) };
}

/** Tables and views that somebody made: not PostgreSQL's, not an extension's, not drizzle's own record. */
async function readUserTables(
  connection: Pick<Connection, 'query'>,
  { schema, table }: MigrationsTable,
): Promise<string[]> {
  const rows = await connection.query(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND n.nspname NOT LIKE 'pg\\_%'
        AND NOT (n.nspname = ${escapeLiteral(schema)} AND c.relname = ${escapeLiteral(table)})
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
      ORDER BY 1`,
  );
  return rows.map(({ name }) => String(name));
}
