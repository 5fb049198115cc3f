import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';

import { migrateDatabase, type MigrateOptions } from '../../src/drizzle/index.js';
import { cutAtCommit } from '../support/cut-at-commit.js';
import { folderOf, migrateOptions, recordedHashes } from '../support/migrations.js';

let neon: LocalNeon;

beforeAll(async () => {
  neon = await startLocalNeon({ s3: false });
});
afterAll(async () => {
  await neon.stop();
});

const FOLDER = folderOf({ '0000_init': ['CREATE TABLE made (id int)'], '0001_next': ['CREATE TABLE more (id int)'] });

async function migrateThrough(moment: 'before' | 'after', options: Partial<MigrateOptions> = {}) {
  const [projectId = ''] = await neon.seedProjects([moment]);
  const url = await neon.adminUrlFor(projectId);
  await using way = await cutAtCommit(url, moment);
  const result = await migrateDatabase(way.url, migrateOptions(FOLDER, options));
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ made: string | null }>(`SELECT to_regclass('public.made')::text AS made`);
  await client.end();
  return { result, url, made: rows[0]?.made ?? undefined };
}

describe('a connection that breaks during COMMIT', () => {
  test('after the server has committed counts as success, because the database says so, and the run goes on', async () => {
    const { result, url, made } = await migrateThrough('after');
    expect(made).toBe('made');
    expect(result).toMatchObject({ status: 'succeeded', migration: { applied: ['0000_init', '0001_next'] } });
    expect(await recordedHashes(url)).toEqual(FOLDER.migrations.map(({ hash }) => hash));
  });

  test('and the same with all migrations in one transaction', async () => {
    const { result, url } = await migrateThrough('after', { transaction: 'all' });
    expect(result).toMatchObject({ status: 'succeeded', migration: { applied: ['0000_init', '0001_next'] } });
    expect(await recordedHashes(url)).toHaveLength(2);
  });

  test('before the server has committed counts as failure of the way there, and nothing is there', async () => {
    const { result, made } = await migrateThrough('before');
    expect(made).toBeUndefined();
    expect(result).toMatchObject({
      status: 'failed',
      infrastructure: true,
      detail: expect.stringContaining('the database is as it was') as unknown,
      migration: { applied: [] },
    });
  });
});
