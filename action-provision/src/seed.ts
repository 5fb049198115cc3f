import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { PostgresError, type Connection } from '@neon-fleet/shared/postgres';

/** The statements that a new tenant's database starts with. */
export interface Seed {
  readonly file: string;
  readonly sql: string;
  /** SHA-256 in hex. */
  readonly digest: string;
}

/** Reads a seed file. @throws ExplainedError when it cannot be read or is empty. */
export async function readSeed(file: string): Promise<Seed> {
  const sql = await readFile(file, 'utf8').catch((thrown: unknown) => {
    throw new ExplainedError({
      message: `seed-sql: ${JSON.stringify(file)} cannot be read: ${explain(thrown).message}; nothing was done`,
      hint: 'Is the repository checked out, and the path right? It is taken from the working directory.',
    });
  });
  if (sql.trim() === '')
    throw new ExplainedError({ message: `seed-sql: ${JSON.stringify(file)} is empty; nothing was done` });
  return { file, sql, digest: createHash('sha256').update(sql).digest('hex') };
}

/**
 * Puts the seed into a database that has not had one, in one transaction with the record that it has: killed at any
 * moment, it is in wholly or not at all, and never twice. A seed that was changed later is for new tenants.
 */
export async function applySeed(connection: Pick<Connection, 'query'>, seed: Seed): Promise<string[]> {
  await connection.query('BEGIN');
  try {
    await connection.query(
      `CREATE SCHEMA IF NOT EXISTS neon_fleet;
       CREATE TABLE IF NOT EXISTS neon_fleet.seed (
         only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row), digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
    );
    const claimed = await connection.query(
      'INSERT INTO neon_fleet.seed (digest) VALUES ($1) ON CONFLICT DO NOTHING RETURNING digest',
      [seed.digest],
    );
    const [inside] = await connection.query('SELECT pg_catalog.pg_current_xact_id()::text AS id');
    if (claimed.length > 0) {
      await connection.query(seed.sql);
      const [still] = await connection.query('SELECT pg_catalog.pg_current_xact_id()::text AS id');
      if (still?.['id'] !== inside?.['id']) throw endsTheTransaction(seed);
    }
    await connection.query('COMMIT');
    return claimed.length > 0 ? ['seeded'] : [];
  } catch (thrown) {
    await connection.query('ROLLBACK').catch(() => undefined);
    if (!(thrown instanceof PostgresError)) throw thrown;
    throw new PostgresError({ ...explain(thrown), message: `seed-sql: ${thrown.message}` }, thrown.sqlState);
  }
}

function endsTheTransaction({ file }: Seed): ExplainedError {
  return new ExplainedError({
    message: `seed-sql: ${JSON.stringify(file)} ends the transaction that it is run in`,
    hint: 'Take BEGIN, COMMIT and ROLLBACK out of the file: all of it is in, or nothing.',
  });
}
