import { explain } from '../errors/index.js';
import { PostgresError, type Connection } from '../postgres/index.js';
import type { Migration } from './migrations.js';
import { qualifiedName, type MigrationsTable } from './schema-state.js';
import { escapeIdentifier } from 'pg';

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
  await connection.query(
    `BEGIN;
     CREATE SCHEMA IF NOT EXISTS ${escapeIdentifier(table.schema)};
     CREATE TABLE IF NOT EXISTS ${qualifiedName(table)} (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)`,
  );
  try {
    for (const migration of migrations) {
      await runStatements(connection, migration);
      await connection.query(`INSERT INTO ${qualifiedName(table)} (hash, created_at) VALUES ($1, $2)`, [
        migration.hash,
        migration.when,
      ]);
    }
  } catch (thrown) {
    // The connection may be gone, and the transaction with it.
    await connection.query('ROLLBACK').catch(() => undefined);
    throw thrown;
  }
  await commit(connection);
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
