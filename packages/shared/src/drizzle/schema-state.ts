import { escapeLiteral } from 'pg';

import {
  PostgresError,
  SQLSTATE,
  takeLock,
  tryLockSql,
  type Connection,
  type LockOptions,
  type Row,
} from '../postgres/index.js';
import type { SchemaState } from './assessment.js';
import type { AppliedMigration } from './match-rows.js';
import { qualifiedName, startedTable, type MigrationsTable } from './migrations-table.js';

/** What of a connection is needed to look and to act. */
export type Session = Pick<Connection, 'query' | 'pipeline'>;

/**
 * Reads what has been applied. One round trip for a database that has the table, which is every one but the first time.
 */
export async function readSchemaState(connection: Session, table: MigrationsTable): Promise<SchemaState> {
  const [read] = await connection.pipeline([stateSql(table)]);
  return finishReading(connection, table, read);
}

/**
 * Takes the tenant's lock and reads what has been applied, in one round trip where the lock is free. They are two
 * statements, so that what is read is what there is once the lock is held.
 *
 * @returns undefined when somebody else kept the lock for the whole time.
 */
export async function lockAndRead(
  connection: Session,
  table: MigrationsTable,
  lock: LockOptions,
): Promise<SchemaState | undefined> {
  const [asked, read] = await connection.pipeline([tryLockSql(lock.mode), stateSql(table)]);
  const [answer] = valueOf(asked);
  if (answer?.['held'] === true) return finishReading(connection, table, read);
  return (await takeLock(connection, lock)) ? readSchemaState(connection, table) : undefined;
}

/** Reads shape and rows of the table: one row at least, so that an empty table tells its shape too. */
export function stateSql(table: MigrationsTable): string {
  const name = qualifiedName(table);
  // Whatever columns there are. Nothing is asked of the catalogs: a session that has just begun would have to load them.
  return `SELECT m.* FROM (SELECT) one LEFT JOIN ${name} m ON true ORDER BY m.id`;
}

/** Makes a state of what {@link stateSql} gave; only where nothing is recorded it takes one more look. */
export async function finishReading(
  connection: Session,
  table: MigrationsTable,
  read: PromiseSettledResult<Row[]> | undefined,
): Promise<SchemaState> {
  if (read?.status === 'rejected' && isMissing(read.reason)) {
    return { table: 'absent', userTables: await readUserTables(connection, table) };
  }
  const rows = valueOf(read);
  const format = rows[0] !== undefined && 'name' in rows[0] ? 'v1' : 'v0';
  const applied = rows.filter(({ id }) => id !== null).map(readApplied);
  if (applied.length > 0) return { table: 'present', format, applied };
  // An empty table may be a first migration that failed after drizzle had made its table: then what else is there decides.
  return { table: 'present', format, applied, userTables: await readUserTables(connection, table) };
}

function isMissing(reason: unknown): boolean {
  return (
    reason instanceof PostgresError &&
    (reason.sqlState === SQLSTATE.undefinedTable || reason.sqlState === SQLSTATE.undefinedSchema)
  );
}

/** The rows of one answer. @throws what it was answered with instead. */
export function valueOf(settled: PromiseSettledResult<Row[]> | undefined): Row[] {
  if (settled?.status === 'fulfilled') return settled.value;
  throw settled?.reason ?? new Error('there was no answer');
}

function readApplied({ id, hash, created_at: createdAt, name }: Row): AppliedMigration {
  return {
    id: numberOf(id) ?? 0,
    hash: typeof hash === 'string' ? hash : '',
    createdAt: numberOf(createdAt),
    ...(typeof name === 'string' ? { name } : {}),
  };
}

/** The driver gives a bigint as text. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value !== '' ? Number(value) : undefined;
}

/** Tables and views that somebody made: not PostgreSQL's, not an extension's, not a record of drizzle or of ours. */
async function readUserTables(connection: Session, table: MigrationsTable): Promise<string[]> {
  const rows = await connection.query(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND n.nspname NOT LIKE 'pg\\_%'
        AND c.oid NOT IN (SELECT oid FROM (VALUES (to_regclass(${escapeLiteral(qualifiedName(table))})),
                                                  (to_regclass(${escapeLiteral(startedTable(table))}))) own (oid)
                           WHERE oid IS NOT NULL)
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
      ORDER BY 1`,
  );
  return rows.map(({ name }) => String(name));
}
