import { createHash, randomUUID } from 'node:crypto';

import type { LocalNeon } from '@neon-fleet/local-neon';
import pg from 'pg';

import {
  DRIZZLE_TABLE,
  type DrizzleFormat,
  type MigrateOptions,
  type Migration,
  type MigrationFolder,
} from '../../src/drizzle/index.js';

/** A folder in which each migration has these statements; generated a minute apart, in the order given. */
export function folderOf(
  files: Readonly<Record<string, readonly string[]>>,
  format: DrizzleFormat = 'v0',
  outside: readonly string[] = [],
): MigrationFolder {
  const migrations = Object.entries(files).map(([tag, statements], index): Migration => ({
    tag,
    when: Date.UTC(2026, 0, 1, 0, index),
    hash: createHash('sha256')
      .update(`${tag}\n${statements.join('\n')}`)
      .digest('hex'),
    statements,
    noTransaction: outside.includes(tag),
  }));
  return { format, migrations, digest: '' };
}

/** Options of a migration that waits for nobody for long. */
export function migrateOptions(folder: MigrationFolder, overrides: Partial<MigrateOptions> = {}): MigrateOptions {
  return {
    folder,
    table: DRIZZLE_TABLE,
    lockWaitMs: 60_000,
    lockTimeoutMs: 5_000,
    statementTimeoutMs: 60_000,
    authorities: undefined,
    signal: new AbortController().signal,
    note: () => undefined,
    ...overrides,
  };
}

/** A connection of the test's own. */
export async function connectTo(url: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** Makes an empty database for a catalog. @returns its URL, as a superuser */
export async function newCatalogDatabase({ postgresUrl }: LocalNeon): Promise<string> {
  const name = `catalog_${randomUUID().replaceAll('-', '')}`;
  await ask(postgresUrl, `CREATE DATABASE ${name}`);
  return postgresUrl.replace(/\/postgres(\?|$)/, `/${name}$1`);
}

/** Asks a database one thing. */
export async function ask<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  await using client = await connectTo(url);
  return (await client.query<Row>(sql)).rows;
}

/** The hashes that drizzle's table holds, in the order in which they were written. */
export async function recordedHashes(url: string): Promise<string[]> {
  const rows = await ask<{ hash: string }>(url, 'SELECT hash FROM drizzle.__drizzle_migrations ORDER BY id');
  return rows.map(({ hash }) => hash);
}
