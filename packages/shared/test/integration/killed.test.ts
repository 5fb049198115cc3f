import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { migrateDatabase, type MigrationFolder, type TransactionMode } from '../../src/drizzle/index.js';
import { tryLockSql } from '../../src/postgres/index.js';
import { killedAtTurn, type Turn } from '../support/killed-at-turn.js';
import { ask, connectTo, folderOf, migrateOptions, recordedHashes } from '../support/migrations.js';

let neon: LocalNeon;

beforeAll(async () => {
  neon = await startLocalNeon({ s3: false });
});
afterAll(async () => {
  await neon.stop();
});

const CHILD = path.join(import.meta.dirname, '../support/migrate-child.ts');

/** Each of these fails when it is run a second time, or leaves a second row. */
const TRANSACTIONAL = folderOf({
  '0000_init': ['CREATE TABLE steps (name text)', `INSERT INTO steps VALUES ('0000_init')`],
  '0001_users': ['CREATE TABLE users (id int)', `INSERT INTO steps VALUES ('0001_users')`],
  '0002_name': [
    'ALTER TABLE users ADD name text',
    'SELECT pg_sleep(0.05)',
    `INSERT INTO steps VALUES ('0002_name')`,
    'ALTER TABLE users ADD born date',
  ],
  '0003_tasks': ['CREATE TABLE tasks (id int)', `INSERT INTO steps VALUES ('0003_tasks')`],
});

/** The same with an index in between that is built outside a transaction. */
const WITH_INDEX = folderOf(
  {
    '0000_init': ['CREATE TABLE steps (name text)', `INSERT INTO steps VALUES ('0000_init')`],
    '0001_index': [
      'CREATE INDEX CONCURRENTLY steps_name ON steps (name)',
      'CREATE INDEX CONCURRENTLY steps_length ON steps (length(name))',
    ],
    '0002_tasks': ['CREATE TABLE tasks (id int)', `INSERT INTO steps VALUES ('0002_tasks')`],
  },
  'v0',
  ['0001_index'],
);

/** Has a process migrate a database and kills it. @returns whether it was killed before it had ended */
function migrateAndKill(
  url: string,
  folder: MigrationFolder,
  { transaction, ...turn }: Turn & { transaction: TransactionMode },
): Promise<boolean> {
  return killedAtTurn(CHILD, url, turn, (by) => ({ JOB: JSON.stringify({ url: by, folder, transaction }) }));
}

/** Waits until nobody works on a database any more. */
async function untilFree(url: string): Promise<void> {
  await using client = await connectTo(url);
  while ((await client.query<{ held: boolean }>(tryLockSql('exclusive'))).rows[0]?.held !== true) await delay(20);
}

/** What a database holds, by name; empty when there is nothing yet. */
async function stepsOf(url: string): Promise<string[]> {
  const [made] = await ask<{ made: string | null }>(url, `SELECT to_regclass('public.steps')::text AS made`);
  if (made?.made == null) return [];
  return (await ask<{ name: string }>(url, 'SELECT name FROM steps ORDER BY name')).map(({ name }) => name);
}

async function recordedTags(url: string, { migrations }: MigrationFolder): Promise<string[]> {
  const [made] = await ask<{ made: string | null }>(
    url,
    `SELECT to_regclass('drizzle.__drizzle_migrations')::text AS made`,
  );
  if (made?.made == null) return [];
  return (await recordedHashes(url)).map((hash) => migrations.find((one) => one.hash === hash)?.tag ?? 'unknown');
}

async function newDatabase(name: string): Promise<string> {
  const [projectId = ''] = await neon.seedProjects([name]);
  return neon.adminUrlFor(projectId);
}

// The first three turns are those of connecting.
const MOMENTS = [4, 5, 6, 7, 8, 9, 10, 12, 14, 16].map((turn, index) => ({ turn, heard: index % 2 === 0 }));

describe('a process that is killed while it migrates', () => {
  test.each(MOMENTS)(
    'at turn $turn, heard: $heard, leaves exactly what is recorded, and the next run does the rest once',
    async ({ turn, heard }) => {
      const url = await newDatabase(`killed-${turn}`);
      expect(await migrateAndKill(url, TRANSACTIONAL, { transaction: 'per-migration', turn, heard })).toBe(true);
      await untilFree(url);

      const recorded = await recordedTags(url, TRANSACTIONAL);
      expect(await stepsOf(url)).toEqual(recorded);
      const tags = TRANSACTIONAL.migrations.map(({ tag }) => tag);
      expect(recorded).toEqual(tags.slice(0, recorded.length));

      const result = await migrateDatabase(url, migrateOptions(TRANSACTIONAL));
      expect(['succeeded', 'unchanged']).toContain(result.status);
      expect(result.migration?.applied).toEqual(tags.slice(recorded.length));
      expect(await stepsOf(url)).toEqual(tags);
      expect(await recordedTags(url, TRANSACTIONAL)).toEqual(tags);
    },
  );

  test.each([6, 7, 8].flatMap((turn) => [true, false].map((heard) => ({ turn, heard }))))(
    'with all in one transaction, at turn $turn, heard: $heard, leaves all or nothing',
    async ({ turn, heard }) => {
      const url = await newDatabase(`all-${turn}-${heard}`);
      expect(await migrateAndKill(url, TRANSACTIONAL, { transaction: 'all', turn, heard })).toBe(true);
      await untilFree(url);
      const recorded = await recordedTags(url, TRANSACTIONAL);
      expect([0, TRANSACTIONAL.migrations.length]).toContain(recorded.length);
      expect(await stepsOf(url)).toEqual(recorded);
      const result = await migrateDatabase(url, migrateOptions(TRANSACTIONAL, { transaction: 'all' }));
      expect(['succeeded', 'unchanged']).toContain(result.status);
      expect(await stepsOf(url)).toHaveLength(TRANSACTIONAL.migrations.length);
    },
  );

  test.each([10, 11, 12, 13, 14, 15, 16].map((turn) => ({ turn, heard: turn % 2 === 0 })))(
    'with indexes built concurrently, at turn $turn, heard: $heard, is completed by the next run',
    async ({ turn, heard }) => {
      const url = await newDatabase(`index-${turn}`);
      expect(await migrateAndKill(url, WITH_INDEX, { transaction: 'per-migration', turn, heard })).toBe(true);
      const result = await migrateDatabase(url, migrateOptions(WITH_INDEX));
      expect(result).toMatchObject({ status: 'succeeded' });
      expect(await recordedTags(url, WITH_INDEX)).toEqual(WITH_INDEX.migrations.map(({ tag }) => tag));
      expect(await stepsOf(url)).toEqual(['0000_init', '0002_tasks']);
      const indexes = await ask<{ name: string; valid: boolean }>(
        url,
        `SELECT indexrelid::regclass::text AS name, indisvalid AS valid FROM pg_index WHERE indrelid = 'steps'::regclass ORDER BY 1`,
      );
      expect(indexes).toEqual([
        { name: 'steps_length', valid: true },
        { name: 'steps_name', valid: true },
      ]);
    },
  );
});
