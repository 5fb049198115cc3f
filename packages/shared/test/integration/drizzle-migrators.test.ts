import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { drizzle as drizzleV0 } from 'drizzle-orm/node-postgres';
import { migrate as migrateV0 } from 'drizzle-orm/node-postgres/migrator';
import { drizzle as drizzleV1 } from 'drizzle-orm-v1/node-postgres';
import { migrate as migrateV1 } from 'drizzle-orm-v1/node-postgres/migrator';
import pg from 'pg';

import { migrateDatabase, readMigrations, type DrizzleFormat } from '../../src/drizzle/index.js';
import { ask, migrateOptions } from '../support/migrations.js';

const run = promisify(execFile);

let neon: LocalNeon;
let root: string;

beforeAll(async () => {
  neon = await startLocalNeon({ s3: false });
  root = await mkdtemp(path.join(tmpdir(), 'neon-fleet-formats-'));
});
afterAll(async () => {
  await neon.stop();
  await rm(root, { recursive: true });
});

/** Three migrations, of which the first has two statements. */
const FILES = [
  'CREATE TABLE users (id serial PRIMARY KEY);\n--> statement-breakpoint\nCREATE TABLE tasks (id int REFERENCES users);',
  "ALTER TABLE users ADD name text NOT NULL DEFAULT 'it''s';",
  'CREATE INDEX tasks_id ON tasks (id);',
] as const;
const NAMES = ['init', 'name', 'index'] as const;
/** Not at a full second, as drizzle-kit 0.31 writes them; folders of 1.0 know seconds only. */
const when = (index: number) => Date.UTC(2026, 0, 1, 12, index, 7, 456);

let folders = 0;

/** Writes the first so many migrations as drizzle-kit of that format does. */
async function folderOf(format: DrizzleFormat, count: number): Promise<string> {
  const folder = path.join(root, `${folders++}`);
  const files = FILES.slice(0, count);
  if (format === 'v0') {
    await mkdir(path.join(folder, 'meta'), { recursive: true });
    const entries = files.map((_, idx) => ({ idx, version: '7', when: when(idx), tag: v0Tag(idx), breakpoints: true }));
    const journal = { version: '7', dialect: 'postgresql', entries };
    await writeFile(path.join(folder, 'meta', '_journal.json'), JSON.stringify(journal));
    for (const [index, sql] of files.entries()) await writeFile(path.join(folder, `${v0Tag(index)}.sql`), sql);
    return folder;
  }
  for (const [index, sql] of files.entries()) {
    await mkdir(path.join(folder, v1Tag(index)), { recursive: true });
    await writeFile(path.join(folder, v1Tag(index), 'migration.sql'), sql);
    await writeFile(path.join(folder, v1Tag(index), 'snapshot.json'), '{"version":"8","dialect":"postgres"}');
  }
  return folder;
}

const v0Tag = (index: number) => `000${index}_${NAMES[index] ?? ''}`;
const v1Tag = (index: number) =>
  `${new Date(when(index)).toISOString().replace(/\D/g, '').slice(0, 14)}_${NAMES[index] ?? ''}`;

async function newDatabase(): Promise<string> {
  const [projectId = ''] = await neon.seedProjects(['tenant']);
  return neon.adminUrlFor(projectId);
}

async function ours(url: string, migrationsFolder: string) {
  return migrateDatabase(url, migrateOptions(await readMigrations(migrationsFolder)));
}

async function theirs(format: DrizzleFormat, url: string, migrationsFolder: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    if (format === 'v0') await migrateV0(drizzleV0(client), { migrationsFolder });
    else await migrateV1(drizzleV1({ client }), { migrationsFolder });
  } finally {
    await client.end();
  }
}

interface State {
  readonly schema: string;
  readonly rows: readonly unknown[];
}

/** The whole schema as pg_dump sees it, and drizzle's rows; when one was applied is only compared as given or not. */
async function stateOf(url: string): Promise<State> {
  const { hostname, port, username, password, pathname } = new URL(url);
  const { stdout } = await run('pg_dump', ['--schema-only', '--no-owner', '--no-privileges'], {
    env: {
      PATH: process.env['PATH'],
      PGHOST: hostname,
      PGPORT: port,
      PGUSER: decodeURIComponent(username),
      PGPASSWORD: decodeURIComponent(password),
      PGDATABASE: decodeURIComponent(pathname.slice(1)),
    },
  });
  const rows = await ask<{ row: Record<string, unknown> }>(
    url,
    'SELECT to_jsonb(m) AS row FROM drizzle.__drizzle_migrations m ORDER BY id',
  );
  return {
    schema: stdout.replace(/^\\(un)?restrict .*$/gm, ''),
    rows: rows.map(({ row }) => ('applied_at' in row ? { ...row, applied_at: typeof row['applied_at'] } : row)),
  };
}

/** Has drizzle of that format apply the first so many migrations. */
const migrated = async (url: string, format: DrizzleFormat, count: number) =>
  theirs(format, url, await folderOf(format, count));

describe.each(['v0', 'v1'] as const)("drizzle-orm's migrator for %s folders", (format) => {
  test('leaves what we leave, and each goes on where the other stopped', async () => {
    const [a, b] = [await newDatabase(), await newDatabase()];
    const one = await folderOf(format, 1);
    expect(await ours(a, one)).toMatchObject({ status: 'succeeded' });
    await theirs(format, b, one);
    const first = await stateOf(b);
    expect(first.rows).toHaveLength(1);
    expect(await stateOf(a)).toEqual(first);

    // Each accepts what the other has done as done …
    await theirs(format, a, one);
    expect(await ours(b, one)).toMatchObject({ status: 'unchanged', reason: 'up-to-date' });
    expect(await stateOf(a)).toEqual(first);
    expect(await stateOf(b)).toEqual(first);

    // … and takes the next steps from there.
    const all = await folderOf(format, 3);
    await theirs(format, a, all);
    expect(await ours(b, all)).toMatchObject({ status: 'succeeded' });
    const last = await stateOf(a);
    expect(last.rows).toHaveLength(3);
    expect(await stateOf(b)).toEqual(last);
  });

  test('finds nothing to do after a migration out of order was applied by us', async () => {
    const url = await newDatabase();
    const folder = await readMigrations(await folderOf(format, 3));
    const [first, second, third] = folder.migrations;
    if (first === undefined || second === undefined || third === undefined) throw new Error('there are three');
    await migrateDatabase(url, migrateOptions({ ...folder, migrations: [first, third] }));
    expect(await migrateDatabase(url, migrateOptions(folder, { onDrift: 'apply' }))).toMatchObject({
      status: 'succeeded',
      migration: { applied: [second.tag] },
    });
    const before = await stateOf(url);
    await theirs(format, url, await folderOf(format, 3));
    expect(await stateOf(url)).toEqual(before);
  });
});

describe('a table of drizzle 0.x under a folder of 1.0', () => {
  test.each([
    ['with something pending', 2, 3],
    ['with nothing pending', 3, 3],
    ['with nothing at all in it', 0, 2],
  ])('%s is completed as drizzle 1.0 does', async (_, before, after) => {
    const [a, b] = [await newDatabase(), await newDatabase()];
    for (const url of [a, b]) {
      if (before > 0) await migrated(url, 'v0', before);
      else {
        await ask(
          url,
          'CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint)',
        );
      }
    }
    const folder = await folderOf('v1', after);
    expect(await ours(a, folder)).toMatchObject({ status: 'succeeded' });
    await theirs('v1', b, folder);
    expect(await stateOf(a)).toEqual(await stateOf(b));
    expect((await stateOf(a)).rows).toHaveLength(after);
    expect(await ours(b, folder)).toMatchObject({ status: 'unchanged' });
    await theirs('v1', a, folder);
    expect(await stateOf(a)).toEqual(await stateOf(b));
  });

  test('with rows that the folder does not have is left alone, and drizzle 1.0 refuses it too', async () => {
    const url = await newDatabase();
    await migrated(url, 'v0', 3);
    const folder = await folderOf('v1', 2);
    const before = await stateOf(url);
    expect(await ours(url, folder)).toMatchObject({ status: 'skipped', reason: 'drift' });
    await expect(theirs('v1', url, folder)).rejects.toThrow(/do not match any local migration/);
    expect(await stateOf(url)).toEqual(before);
  });

  test('is as it was when the migration fails', async () => {
    const url = await newDatabase();
    await migrated(url, 'v0', 1);
    const before = await stateOf(url);
    const folder = await folderOf('v1', 1);
    await mkdir(path.join(folder, v1Tag(1)));
    await writeFile(path.join(folder, v1Tag(1), 'migration.sql'), 'SELECT 1/0');
    expect(await ours(url, folder)).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining(`${v1Tag(1)}/migration.sql, statement 1 of 1: division by zero`),
    });
    expect(await stateOf(url)).toEqual(before);
  });
});

describe('a table of drizzle 1.0 under a folder of 0.x', () => {
  test.each([1, 0])('is never written to, with %i rows in it', async (count) => {
    const url = await newDatabase();
    await migrated(url, 'v1', 1);
    if (count === 0) await ask(url, 'DELETE FROM drizzle.__drizzle_migrations');
    const before = await stateOf(url);
    for (const onDrift of ['skip', 'apply'] as const) {
      const folder = await readMigrations(await folderOf('v0', 3));
      const result = await migrateDatabase(url, migrateOptions(folder, { onDrift }));
      expect(result).toMatchObject({
        status: 'skipped',
        reason: 'drift',
        detail: expect.stringContaining("drizzle 1.0's"),
      });
    }
    expect(await stateOf(url)).toEqual(before);
  });

  test('that was written to by drizzle 0.x all the same is left alone', async () => {
    const url = await newDatabase();
    await migrated(url, 'v1', 1);
    await migrated(url, 'v0', 2).catch(() => undefined);
    await ask(url, `INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('x', 1)`);
    const before = await stateOf(url);
    expect(await ours(url, await folderOf('v1', 3))).toMatchObject({
      status: 'skipped',
      detail: expect.stringMatching(/without a name, which drizzle 0\.x wrote/),
    });
    expect(await stateOf(url)).toEqual(before);
  });
});
