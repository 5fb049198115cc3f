import { setTimeout as delay } from 'node:timers/promises';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { migrateDatabase, type MigrateOptions, type MigrationFolder } from '../../src/drizzle/index.js';
import { ask, connectTo, folderOf, migrateOptions, recordedHashes } from '../support/migrations.js';
import { watchWay } from '../support/watched-way.js';

let neon: LocalNeon;

beforeAll(async () => {
  neon = await startLocalNeon({ s3: false });
});
afterAll(async () => {
  await neon.stop();
});

const INIT = {
  '0000_init': [
    'CREATE TABLE users (id int, name text)',
    'INSERT INTO users SELECT i, i::text FROM generate_series(1, 100) i',
  ],
};
const INDEX = 'CREATE INDEX CONCURRENTLY users_name ON users (lower(name)) WHERE id > 1';

/** A folder whose second migration runs outside a transaction. */
function withOutside(...statements: readonly string[]): MigrationFolder {
  return folderOf({ ...INIT, '0001_outside': statements }, 'v0', ['0001_outside']);
}

/** A database in which the first migration was applied. */
async function newDatabase(): Promise<string> {
  const [projectId = ''] = await neon.seedProjects(['tenant']);
  const url = await neon.adminUrlFor(projectId);
  await migrate(url, folderOf(INIT));
  return url;
}

function migrate(url: string, folder: MigrationFolder, overrides: Partial<MigrateOptions> = {}) {
  return migrateDatabase(url, migrateOptions(folder, overrides));
}

async function indexesOf(url: string): Promise<Record<string, boolean>> {
  const rows = await ask<{ name: string; valid: boolean }>(
    url,
    `SELECT indexrelid::regclass::text AS name, indisvalid AS valid FROM pg_index WHERE indrelid = 'users'::regclass ORDER BY 1`,
  );
  return Object.fromEntries(rows.map(({ name, valid }) => [name, valid]));
}

/** Leaves behind what a build that was interrupted leaves: an index that is not valid. */
async function interruptBuild(url: string, sql: string): Promise<void> {
  await using holder = await connectTo(url);
  await using builder = await connectTo(url);
  await holder.query('BEGIN; LOCK TABLE users IN ROW EXCLUSIVE MODE');
  // The build waits for the other transaction, and is cut off while it does.
  await builder.query(`SET lock_timeout = '50ms'`);
  await expect(builder.query(sql)).rejects.toMatchObject({ code: '55P03' });
  await holder.query('ROLLBACK');
}

describe('an index that is built concurrently', () => {
  test('is built, and recorded', async () => {
    const url = await newDatabase();
    expect(await migrate(url, withOutside(INDEX))).toMatchObject({
      status: 'succeeded',
      migration: { applied: ['0001_outside'] },
    });
    expect(await indexesOf(url)).toEqual({ users_name: true });
    expect(await recordedHashes(url)).toHaveLength(2);
    expect(await migrate(url, withOutside(INDEX))).toMatchObject({ status: 'unchanged' });
  });

  test('also with all others in one transaction: what comes before it is committed first', async () => {
    const [projectId = ''] = await neon.seedProjects(['fresh']);
    const url = await neon.adminUrlFor(projectId);
    const folder = folderOf(
      { ...INIT, '0001_more': ['ALTER TABLE users ADD a int'], '0002_index': [INDEX], '0003_bad': ['SELECT 1/0'] },
      'v0',
      ['0002_index'],
    );
    expect(await migrate(url, folder, { transaction: 'all' })).toMatchObject({
      status: 'failed',
      migration: { applied: ['0000_init', '0001_more', '0002_index'] },
    });
  });

  test.each([INDEX, INDEX.replace('CONCURRENTLY', 'CONCURRENTLY IF NOT EXISTS')])(
    'and was interrupted before is dropped and built again: %s',
    async (sql) => {
      const url = await newDatabase();
      await interruptBuild(url, INDEX);
      expect(await indexesOf(url)).toEqual({ users_name: false });
      const notes: string[] = [];
      const result = await migrate(url, withOutside(sql), { note: (line) => notes.push(line) });
      expect(result).toMatchObject({ status: 'succeeded' });
      expect(notes.join('\n')).toMatch(/dropping public\.users_name, which an interrupted run left half built/);
      expect(await indexesOf(url)).toEqual({ users_name: true });
    },
  );

  test.each([
    ['the same', 'CREATE INDEX users_name ON users USING btree (lower(name)) WHERE (id > 1)', 'succeeded'],
    ['another column', 'CREATE INDEX users_name ON users (name) WHERE id > 1', 'failed'],
    ['unique', 'CREATE UNIQUE INDEX users_name ON users (lower(name)) WHERE id > 1', 'failed'],
    ['no index', 'CREATE TABLE users_name ()', 'failed'],
    ['on another table', 'CREATE TABLE other (name text); CREATE INDEX users_name ON other (name)', 'failed'],
  ])('and is there already, %s', async (_, sql, status) => {
    const url = await newDatabase();
    await ask(url, sql);
    const result = await migrate(url, withOutside(INDEX));
    expect(result.status).toBe(status);
    if (result.status !== 'failed') return;
    expect(result).toMatchObject({
      error: { code: 'interrupted', hint: expect.stringContaining('drop or rename it') },
    });
    expect(await recordedHashes(url)).toHaveLength(1);
  });

  test.each([
    [
      'with quotes and a schema',
      'CREATE UNIQUE INDEX CONCURRENTLY "Users; Name" ON public."users" ("name") INCLUDE (id)',
    ],
    ['with comments', '-- why\nCREATE INDEX /* not */ CONCURRENTLY plain ON ONLY users USING hash (name)'],
  ])('is recognised %s', async (_, sql) => {
    const url = await newDatabase();
    const folder = withOutside(sql);
    await migrate(url, folder);
    await ask(url, 'DELETE FROM drizzle.__drizzle_migrations WHERE id = 2');
    const notes: string[] = [];
    expect(await migrate(url, folder, { note: (line) => notes.push(line) })).toMatchObject({ status: 'succeeded' });
    expect(notes.join('\n')).toMatch(/the index is there already/);
  });

  test('and fails leaves no half of it behind', async () => {
    const url = await newDatabase();
    const result = await migrate(url, withOutside('CREATE UNIQUE INDEX CONCURRENTLY users_one ON users ((id > 0))'));
    expect(result).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/^0001_outside\.sql, statement 1 of 1: .*; the database is as it was$/),
      error: { code: 'SQLSTATE 23505' },
    });
    expect(await indexesOf(url)).toEqual({});
  });

  test('waits for older transactions longer than a table may be waited for', async () => {
    const url = await newDatabase();
    await using holder = await connectTo(url);
    await holder.query('BEGIN; LOCK TABLE users IN ROW EXCLUSIVE MODE');
    const running = migrate(url, withOutside(INDEX), { lockTimeoutMs: 20, lockRetries: 0 });
    await using watcher = await connectTo(url);
    const waiting = `SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event_type = 'Lock' AND datname = current_database()`;
    while ((await watcher.query(waiting)).rowCount === 0) await delay(10);
    await delay(100); // several times as long as the limit
    await holder.query('ROLLBACK');
    expect(await running).toMatchObject({ status: 'succeeded' });
  });

  test('by somebody else at this moment is not dropped, but waited for', async () => {
    const url = await newDatabase();
    await using holder = await connectTo(url);
    await using builder = await connectTo(url);
    await holder.query('BEGIN; LOCK TABLE users IN ROW EXCLUSIVE MODE');
    const building = builder.query(INDEX);
    await using watcher = await connectTo(url);
    const made = `SELECT 1 FROM pg_class WHERE relname = 'users_name'`;
    while ((await watcher.query(made)).rowCount === 0) await delay(10);
    const notes: string[] = [];
    const [result] = await Promise.all([
      migrate(url, withOutside(INDEX), {
        note: (line) => {
          notes.push(line);
          if (line.includes('trying again (1 of 3)')) void holder.query('ROLLBACK');
        },
      }),
      building,
    ]);
    expect(result).toMatchObject({ status: 'succeeded' });
    expect(notes.join('\n')).toMatch(/somebody else is building public\.users_name/);
    expect(notes.join('\n')).not.toMatch(/dropping/);
    expect(await indexesOf(url)).toEqual({ users_name: true });
  });

  test('is built once by several runs at once, and none of them hangs', async () => {
    const url = await newDatabase();
    const folder = withOutside(INDEX, 'CREATE INDEX CONCURRENTLY users_id ON users (id)');
    const results = await Promise.all([1, 2, 3, 4].map(() => migrate(url, folder)));
    expect(results.map(({ status }) => status).toSorted()).toEqual([
      'succeeded',
      'unchanged',
      'unchanged',
      'unchanged',
    ]);
    expect(await indexesOf(url)).toEqual({ users_id: true, users_name: true });
    expect(await recordedHashes(url)).toHaveLength(2);
  });
});

describe('an index that is rebuilt concurrently', () => {
  const LONG = 'a_name_that_is_as_long_as_a_name_of_an_index_may_be_in_postgres';
  const name = 'CREATE INDEX users_name ON users (lower(name)) WHERE id > 1';
  const id = `CREATE INDEX ${LONG} ON users (id)`;

  test.each([
    ['REINDEX INDEX CONCURRENTLY users_name', 1],
    ['REINDEX (CONCURRENTLY) TABLE users', 2],
    [`REINDEX INDEX CONCURRENTLY ${LONG}`, 2],
    ['REINDEX SCHEMA CONCURRENTLY public', 2],
  ])('and was interrupted before leaves nothing behind: %s', async (sql, attempts) => {
    const url = await newDatabase();
    await ask(url, `${name}; ${id}`);
    for (let attempt = 1; attempt <= attempts; attempt += 1) await interruptBuild(url, sql);
    const left = Object.values(await indexesOf(url)).filter((valid) => !valid);
    expect(left.length).toBeGreaterThanOrEqual(attempts);
    const notes: string[] = [];
    const result = await migrate(url, withOutside(sql), { note: (line) => notes.push(line) });
    expect(result).toMatchObject({ status: 'succeeded' });
    expect(notes.join('\n')).toMatch(/dropping public\.\S+_ccnew1?, which an interrupted REINDEX left/);
    expect(await indexesOf(url)).toEqual({ users_name: true, [LONG]: true });
  });

  test('takes away only what is a copy of what it rebuilds', async () => {
    const url = await newDatabase();
    await ask(url, `${name}; ${id}; CREATE INDEX users_name_ccnew7 ON users (name)`);
    await interruptBuild(url, `REINDEX INDEX CONCURRENTLY ${LONG}`);
    await interruptBuild(url, 'CREATE INDEX CONCURRENTLY users_name_ccnew8 ON users (name, id)');
    const before = await indexesOf(url);
    expect(await migrate(url, withOutside('REINDEX INDEX CONCURRENTLY users_name'))).toMatchObject({
      status: 'succeeded',
    });
    expect(await indexesOf(url)).toEqual(before);
  });

  test('takes away what was replaced and not dropped', async () => {
    const url = await newDatabase();
    await ask(url, name);
    await using holder = await connectTo(url);
    await using builder = await connectTo(url);
    // Who reads with the old index holds up the end of it; the swap is done before that.
    await holder.query('BEGIN; LOCK TABLE users IN ACCESS SHARE MODE');
    const rebuilding = builder.query('REINDEX INDEX CONCURRENTLY users_name').catch((thrown: unknown) => thrown);
    while ((await indexesOf(url))['users_name_ccold'] === undefined) await delay(10);
    const [row] = await ask<{ pid: number }>(
      url,
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'REINDEX%' AND datname = current_database()`,
    );
    expect(row).toBeDefined();
    expect(await rebuilding).toBeInstanceOf(Error);
    await holder.query('ROLLBACK');
    expect(await indexesOf(url)).toEqual({ users_name: true, users_name_ccold: false });
    expect(await migrate(url, withOutside('REINDEX TABLE CONCURRENTLY users'))).toMatchObject({ status: 'succeeded' });
    expect(await indexesOf(url)).toEqual({ users_name: true });
  });

  test('by somebody else at this moment is not disturbed', async () => {
    const url = await newDatabase();
    await ask(url, name);
    await using holder = await connectTo(url);
    await using builder = await connectTo(url);
    await holder.query('BEGIN; LOCK TABLE users IN ROW EXCLUSIVE MODE');
    const rebuilding = builder.query('REINDEX INDEX CONCURRENTLY users_name');
    while ((await indexesOf(url))['users_name_ccnew'] === undefined) await delay(10);
    const notes: string[] = [];
    const [result] = await Promise.all([
      migrate(url, withOutside('REINDEX INDEX CONCURRENTLY users_name'), {
        note: (line) => {
          notes.push(line);
          if (line.includes('trying again (1 of 3)')) void holder.query('ROLLBACK');
        },
      }),
      rebuilding,
    ]);
    expect(result).toMatchObject({ status: 'succeeded' });
    expect(notes.join('\n')).toMatch(/somebody else is building public\.users_name_ccnew/);
    expect(notes.join('\n')).not.toMatch(/dropping/);
    expect(await indexesOf(url)).toEqual({ users_name: true });
  });
});

describe('other statements outside a transaction', () => {
  test('are run one by one', async () => {
    const url = await newDatabase();
    const folder = withOutside('VACUUM users', 'ALTER TABLE users ADD COLUMN IF NOT EXISTS a int', 'ANALYZE users');
    expect(await migrate(url, folder)).toMatchObject({ status: 'succeeded' });
  });

  test('that came before a failing one are said to have taken effect, and the next run repeats them', async () => {
    const url = await newDatabase();
    const add = 'ALTER TABLE users ADD COLUMN IF NOT EXISTS a int';
    const result = await migrate(url, withOutside(add, 'VACUUM nowhere'));
    expect(result).toMatchObject({ status: 'failed', detail: expect.stringMatching(/statement 2 of 2: .*is kept$/) });
    expect(await recordedHashes(url)).toHaveLength(1);
    expect(await migrate(url, withOutside(add, 'VACUUM users'))).toMatchObject({ status: 'succeeded' });
  });

  describe('that must not be run twice', () => {
    const once = withOutside(`UPDATE users SET id = id + 1000 FROM pg_sleep(0)`);
    const moved = async (url: string) =>
      (await ask<{ moved: number }>(url, 'SELECT min(id) - 1 AS moved FROM users'))[0]?.moved;
    const marks = (url: string) => ask(url, `SELECT 1 FROM pg_class WHERE relname = '__neon_fleet_started'`);

    test('leave no trace besides their effect', async () => {
      const url = await newDatabase();
      expect(await migrate(url, once)).toMatchObject({ status: 'succeeded' });
      expect(await moved(url)).toBe(1000);
      expect(await marks(url)).toEqual([]);
    });

    test('and failed may be run again', async () => {
      const url = await newDatabase();
      expect(await migrate(url, withOutside('UPDATE nowhere SET id = 1'))).toMatchObject({ status: 'failed' });
      expect(await marks(url)).toEqual([]);
      expect(await migrate(url, once)).toMatchObject({ status: 'succeeded' });
    });

    test('and commit on the way before they fail are not done again, and somebody is asked', async () => {
      const url = await newDatabase();
      const batches = withOutside(
        `DO $$ BEGIN UPDATE users SET id = id + 1000 WHERE id < 1000; COMMIT; PERFORM 1 / 0; END $$`,
      );
      expect(await migrate(url, batches)).toMatchObject({ status: 'failed', error: { code: 'interrupted' } });
      const before = await moved(url);
      expect(before).toBeGreaterThan(0);
      expect(await migrate(url, batches)).toMatchObject({ status: 'failed', error: { code: 'interrupted' } });
      expect(await moved(url)).toBe(before);
    });

    test('and were cut off are not, and somebody is asked', async () => {
      const url = await newDatabase();
      await using way = await watchWay(url);
      const slow = withOutside(`UPDATE users SET id = id + 1000 FROM pg_sleep(0.5)`);
      const running = migrate(way.url, slow);
      await using watcher = await connectTo(url);
      const updating = `SELECT pid FROM pg_stat_activity WHERE query LIKE 'UPDATE users%' AND state = 'active' AND datname = current_database()`;
      while ((await watcher.query(updating)).rowCount === 0) await delay(10);
      await way[Symbol.asyncDispose]();
      expect(await running).toMatchObject({
        status: 'failed',
        infrastructure: true,
        error: { code: 'interrupted' },
        detail: expect.stringMatching(/whether 0001_outside took effect is not known/),
        migration: { to: '0000_init', applied: [], unsettled: ['0001_outside'], changed: true },
      });

      const next = await migrate(url, slow);
      expect(next).toMatchObject({
        status: 'failed',
        error: {
          code: 'interrupted',
          hint: expect.stringMatching(/^Look whether it did\. If so, record it: INSERT INTO/),
        },
      });
      expect(next).not.toHaveProperty('infrastructure');
      const before = await moved(url);
      expect(await migrate(url, slow)).toMatchObject({ error: { code: 'interrupted' } });
      expect(await moved(url)).toBe(before);

      // What the hint says, for the case that it did not take effect.
      await ask(url, 'UPDATE users SET id = id - 1000 WHERE id > 1000; DROP TABLE drizzle.__neon_fleet_started');
      expect(await migrate(url, slow)).toMatchObject({ status: 'succeeded' });
      expect(await moved(url)).toBe(1000);
    });
  });
});
