import { escapeIdentifier } from 'pg';

import { explain } from '../errors/index.js';
import { PostgresError, type Connection } from '../postgres/index.js';
import type { Migration } from './migrations.js';
import { qualifiedName, type MigrationsTable } from './schema-state.js';

/** The answer to COMMIT was lost: whether it was carried out has to be looked up. */
export class CommitLostError extends Error {
  override name = 'CommitLostError';
}

/**
 * Applies migrations in one transaction, as drizzle does, and writes the rows that drizzle writes: after a failure, or a
 * kill at any moment, the database is as it was.
 *
 * Other than drizzle's migrator this makes drizzle's table inside the transaction too.
 *
 * @throws PostgresError that names the migration and the statement; CommitLostError.
 */
export async function applyMigrations(
  connection: Pick<Connection, 'query'>,
  migrations: readonly Migration[],
  table: MigrationsTable,
): Promise<void> {
  const [begun] = await connection.query(
    `BEGIN;
     CREATE SCHEMA IF NOT EXISTS ${escapeIdentifier(table.schema)};
     CREATE TABLE IF NOT EXISTS ${qualifiedName(table)} (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint);
     SELECT pg_catalog.pg_current_xact_id()::text AS transaction`,
  );
  try {
    for (const migration of migrations) {
      await runStatements(connection, migration);
      const recorded = await connection.query(
        `INSERT INTO ${qualifiedName(table)} (hash, created_at)
         SELECT $1::text, $2::bigint WHERE pg_catalog.pg_current_xact_id()::text OPERATOR(pg_catalog.=) $3 RETURNING id`,
        [migration.hash, migration.when, begun?.['transaction']],
      );
      if (recorded.length === 0) throw transactionEnded(migration);
    }
  } catch (thrown) {
    // The connection may be gone, and the transaction with it.
    await connection.query('ROLLBACK').catch(() => undefined);
    throw thrown;
  }
  await commit(connection);
}

/** The folder was checked for it; what that check did not recognise shows here, before anything is recorded. */
function transactionEnded({ tag }: Migration): PostgresError {
  return new PostgresError({
    message: `${tag}.sql ended the transaction that it was applied in; what stands before that in it is committed, and not recorded`,
    hint: 'Take the COMMIT or ROLLBACK out of the file, and undo by hand what it left in this database.',
  });
}

async function runStatements(connection: Pick<Connection, 'query'>, { tag, statements }: Migration): Promise<void> {
  for (const [index, statement] of statements.entries()) {
    try {
      await connection.query(statement);
    } catch (thrown) {
      const error = explain(thrown);
      throw new PostgresError(
        { ...error, message: `${tag}.sql, statement ${index + 1} of ${statements.length}: ${error.message}` },
        thrown instanceof PostgresError ? thrown.sqlState : undefined,
      );
    }
  }
}

async function commit(connection: Pick<Connection, 'query'>): Promise<void> {
  try {
    await connection.query('COMMIT');
  } catch (thrown) {
    if (thrown instanceof PostgresError && thrown.sqlState !== undefined) throw thrown;
    throw new CommitLostError('the connection broke while the migrations were being committed', { cause: thrown });
  }
}
