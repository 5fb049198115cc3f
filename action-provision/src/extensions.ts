import type { Connection } from '@neon-fleet/shared/postgres';
import { escapeIdentifier } from 'pg';

/** Creates the extensions that are missing; says what it did. Nothing is ever dropped or moved to another version. */
export async function ensureExtensions(
  connection: Pick<Connection, 'query'>,
  extensions: readonly string[],
): Promise<string[]> {
  if (extensions.length === 0) return [];
  const rows = await connection.query('SELECT extname FROM pg_catalog.pg_extension');
  const there = new Set(rows.map(({ extname }) => extname));
  const missing = extensions.filter((name) => !there.has(name));
  for (const name of missing) await connection.query(`CREATE EXTENSION IF NOT EXISTS ${escapeIdentifier(name)}`);
  return missing.length === 0
    ? []
    : [`created the ${missing.length === 1 ? 'extension' : 'extensions'} ${missing.join(', ')}`];
}
