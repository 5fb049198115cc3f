import { setTimeout as delay } from 'node:timers/promises';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';

import {
  inspectDatabase,
  migrateDatabase,
  readWalPosition,
  type MigrateOptions,
  type MigrationFolder,
} from '../../src/drizzle/index.js';
import { StoppedError, type RestorePoint, type TenantResult } from '../../src/fleet/index.js';
import { LOCK_KEY, tryLockSql } from '../../src/postgres/index.js';
import { ask, connectTo, folderOf, migrateOptions, recordedHashes } from '../support/migrations.js';
import { watchWay } from '../support/watched-way.js';

let neon: LocalNeon;

beforeAll(async () => {
  neon = await startLocalNeon({ s3: false });
});
afterAll(async () => {
  await neon.stop();
});

async function newDatabase(): Promise<string> {
  const [projectId = ''] = await neon.seedProjects(['tenant']);
  return neon.adminUrlFor(projectId);
}

const INIT = { '0000_init': ['CREATE TABLE users (id int)', 'CREATE TABLE tasks (id int)'] };
const NAME = { '0001_name': ['ALTER TABLE users ADD name text'] };
const DONE = { '0002_done': ['ALTER TABLE tasks ADD done bool'] };
const ALL = folderOf({ ...INIT, ...NAME, ...DONE });

function migrate(url: string, folder: MigrationFolder = ALL, overrides: Partial<MigrateOptions> = {}) {
  return migrateDatabase(url, migrateOptions(folder, overrides));
}

async function columnsOf(url: string): Promise<string[]> {
  const rows = await ask<{ name: string }>(
    url,
    `SELECT table_name || '.' || column_name AS name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

const hashesOf = ({ migrations }: MigrationFolder) => migrations.map(({ hash }) => hash);

describe('transactions', () => {
  const poisoned = folderOf({ ...INIT, ...NAME, '0002_poison': ['ALTER TABLE tasks ADD ok bool', 'SELECT 1/0'] });

  test('are one for each migration: what comes before a failing one stays, and is recorded', async () => {
    const url = await newDatabase();
    const result = await migrate(url, poisoned);
    expect(result).toMatchObject({
      status: 'failed',
      detail:
        '0002_poison.sql, statement 2 of 2: division by zero; applied before that, and kept: 0000_init, 0001_name',
      error: { code: 'SQLSTATE 22012' },
      migration: { to: '0001_name', applied: ['0000_init', '0001_name'] },
    });
    expect(result).not.toHaveProperty('infrastructure');
    expect(await recordedHashes(url)).toEqual(hashesOf(poisoned).slice(0, 2));
    expect(await columnsOf(url)).toEqual(['tasks.id', 'users.id', 'users.name']);
  });

  test('are one for all when that is asked for: a failure leaves nothing at all', async () => {
    const url = await newDatabase();
    expect(await migrate(url, poisoned, { transaction: 'all' })).toMatchObject({
      status: 'failed',
      detail: '0002_poison.sql, statement 2 of 2: division by zero; the database is as it was',
      migration: { applied: [] },
    });
    const schemas = await ask(url, `SELECT 1 FROM pg_namespace WHERE nspname = 'drizzle'`);
    expect([...schemas, ...(await columnsOf(url))]).toEqual([]);
  });

  test('let an enum value be used by the migration after the one that adds it', async () => {
    const url = await newDatabase();
    const type = { '0000_type': [`CREATE TYPE mood AS ENUM ('ok')`, 'CREATE TABLE m (mood mood)'] };
    const add = `ALTER TYPE mood ADD VALUE 'sad'`;
    const use = `INSERT INTO m VALUES ('sad')`;
    await migrate(url, folderOf(type));
    const inOneFile = folderOf({ ...type, '0001_both': [add, use] });
    expect(await migrate(url, inOneFile)).toMatchObject({
      status: 'failed',
      error: { code: 'SQLSTATE 55P04', hint: expect.stringContaining('migration of its own') },
    });
    const apart = folderOf({ ...type, '0001_add': [add], '0002_use': [use] });
    expect(await migrate(url, apart, { transaction: 'all' })).toMatchObject({ error: { code: 'SQLSTATE 55P04' } });
    expect(await migrate(url, apart)).toMatchObject({ status: 'succeeded' });
  });

  test('end with their statements: one that the check did not see is found, and nothing is recorded', async () => {
    const url = await newDatabase();
    const folder = folderOf({ ...INIT, '0001_commit': ['ALTER TABLE users ADD a int', 'COMMIT', 'SELECT 1'] });
    expect(await migrate(url, folder)).toMatchObject({
      status: 'failed',
      error: { message: expect.stringMatching(/^0001_commit\.sql ended the transaction/) },
      migration: { to: '0000_init' },
    });
    expect(await recordedHashes(url)).toHaveLength(1);
  });

  test('are not committed when a statement failed, although a later one goes back to a savepoint', async () => {
    const url = await newDatabase();
    const folder = folderOf({
      '0000_x': ['CREATE TABLE x ()', 'SAVEPOINT a', 'SELECT 1/0', 'ROLLBACK TO SAVEPOINT a'],
    });
    expect(await migrate(url, folder)).toMatchObject({ status: 'failed', error: { code: 'SQLSTATE 22012' } });
    expect(await ask(url, `SELECT 1 FROM pg_class WHERE relname = 'x'`)).toEqual([]);
  });
});

describe('what a migration is held against', () => {
  test('the version that is asked for, and never back', async () => {
    const url = await newDatabase();
    expect(await migrate(url, ALL, { to: '0001' })).toMatchObject({
      status: 'succeeded',
      migration: { to: '0001_name', applied: ['0000_init', '0001_name'] },
    });
    expect(await migrate(url, ALL, { to: '0001_name' })).toMatchObject({ status: 'unchanged', detail: 'at 0001_name' });
    expect(await migrate(url)).toMatchObject({
      status: 'succeeded',
      migration: { from: '0001_name', applied: ['0002_done'] },
    });
    expect(await migrate(url, ALL, { to: '0000' })).toMatchObject({
      status: 'unchanged',
      detail: 'at 0002_done, which is beyond 0000; nothing is taken back',
    });
    await expect(migrate(url, ALL, { to: '0009' })).rejects.toThrow(/no migration is called "0009"/);
  });

  test('an order: what is out of it is left alone, stops the rollout, or is applied', async () => {
    const url = await newDatabase();
    const [init, , done] = ALL.migrations;
    if (init === undefined || done === undefined) throw new Error('the folder has three');
    await migrate(url, { ...ALL, migrations: [init, done] });

    expect(await migrate(url)).toMatchObject({ status: 'skipped', reason: 'drift' });
    const failure = await migrate(url, ALL, { onDrift: 'fail' });
    expect(failure).toMatchObject({ status: 'failed', stopsRollout: true, error: { code: 'drift' } });
    expect(await recordedHashes(url)).toHaveLength(2);

    expect(await migrate(url, ALL, { onDrift: 'apply' })).toMatchObject({
      status: 'succeeded',
      detail: 'applied 0001_name',
    });
    expect(await migrate(url)).toMatchObject({ status: 'unchanged' });
    expect((await recordedHashes(url)).toSorted()).toEqual(hashesOf(ALL).toSorted());
  });

  test('other drift is not applied', async () => {
    const url = await newDatabase();
    await ask(url, 'CREATE TABLE legacy ()');
    expect(await migrate(url, ALL, { onDrift: 'apply' })).toMatchObject({ status: 'skipped', reason: 'drift' });
  });
});

describe('round trips', () => {
  async function turnsOf(work: (url: string) => Promise<unknown>, url: string): Promise<number> {
    await using way = await watchWay(url);
    await work(way.url);
    return way.turns;
  }

  test('are one for a tenant that is up to date, the lock included, and three for each migration', async () => {
    const url = await newDatabase();
    const connecting = await turnsOf(async (way) => (await connectTo(way)).end(), url);
    const applying = await turnsOf((way) => migrate(way), url);
    const upToDate = await turnsOf((way) => migrate(way), url);
    expect(upToDate - connecting).toBe(1);
    // Lock and state; what else there is, as nothing is recorded; begin, statements, commit.
    expect(applying - connecting).toBe(2 + 3 * ALL.migrations.length);
  });
});

describe('a table that somebody else holds', () => {
  test('is asked for again, and got when it is free', async () => {
    const url = await newDatabase();
    await migrate(url, folderOf(INIT));
    await using blocker = await connectTo(url);
    await blocker.query('BEGIN; LOCK TABLE users');
    const notes: string[] = [];
    let freed: Promise<unknown> | undefined;
    const result = await migrate(url, ALL, {
      lockTimeoutMs: 50,
      note: (line) => {
        notes.push(line);
        if (line.includes('trying again (2 of 3)')) freed = blocker.query('COMMIT');
      },
    });
    await freed;
    expect(result).toMatchObject({ status: 'succeeded' });
    expect(notes.filter((line) => line.includes('SQLSTATE') || line.includes('trying again'))).toHaveLength(2);
    expect(await recordedHashes(url)).toEqual(hashesOf(ALL));
  });

  test('is given up after the retries, with nothing done', async () => {
    const url = await newDatabase();
    await migrate(url, folderOf(INIT));
    await using blocker = await connectTo(url);
    await blocker.query('BEGIN; LOCK TABLE users');
    const result = await migrate(url, ALL, { lockTimeoutMs: 30, lockRetries: 1 });
    await blocker.query('COMMIT');
    expect(result).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/^0001_name\.sql, statement 1 of 1: .*; tried 2 times; the database is as it was$/),
      error: { code: 'SQLSTATE 55P03' },
    });
    expect(await recordedHashes(url)).toHaveLength(1);
  });

  test('no other failure is tried again', async () => {
    const url = await newDatabase();
    const notes: string[] = [];
    await migrate(url, folderOf({ '0000_x': ['SELECT 1/0'] }), { note: (line) => notes.push(line) });
    expect(notes.filter((line) => line.includes('trying again'))).toEqual([]);
  });

  test('a statement ends at its own limit', async () => {
    const url = await newDatabase();
    const result = await migrate(url, folderOf({ '0000_x': ['SELECT pg_sleep(60)'] }), { statementTimeoutMs: 50 });
    expect(result).toMatchObject({ status: 'failed', error: { code: 'SQLSTATE 57014' } });
  });
});

describe('the lock of the tenant', () => {
  test('keeps a second run out', async () => {
    const url = await newDatabase();
    await using other = await connectTo(url);
    await other.query(`SELECT pg_advisory_lock(${LOCK_KEY[0]}, ${LOCK_KEY[1]})`);
    expect(await migrate(url, ALL, { lockWaitMs: 10 })).toMatchObject({ status: 'skipped', reason: 'locked' });
    expect(await columnsOf(url)).toEqual([]);
  });

  test('is waited for, and what is there then counts', async () => {
    const url = await newDatabase();
    await using other = await connectTo(url);
    await other.query(`SELECT pg_advisory_lock(${LOCK_KEY[0]}, ${LOCK_KEY[1]})`);
    const running = migrate(url, ALL);
    await other.query('CREATE TABLE legacy ()');
    await delay(300); // longer than the time between two questions
    await other.end();
    expect(await running).toMatchObject({ status: 'skipped', reason: 'drift' });
  });
});

describe('a post-check', () => {
  test.each([
    ['is true', 'SELECT count(*) = 0 FROM users', undefined],
    ['is false', 'SELECT count(*) > 0 FROM users', 'its answer is not true'],
    ['is a text', `SELECT 'secret-of-a-customer'`, 'its answer is not true'],
    ['has no row', 'SELECT true WHERE false', 'it gave 0 rows'],
    ['has two rows', 'SELECT true FROM generate_series(1, 2)', 'it gave 2 rows'],
    ['has two values', 'SELECT true AS a, true AS b', 'it gave 2 values'],
    ['fails', 'SELECT nothing FROM users', 'column "nothing" does not exist'],
    ['would write', 'INSERT INTO users VALUES (1) RETURNING true', 'read-only transaction'],
  ])('that %s', async (_, postCheck, why) => {
    const url = await newDatabase();
    const result = await migrate(url, ALL, { postCheck });
    expect(result.status).toBe(why === undefined ? 'succeeded' : 'failed');
    if (why !== undefined) expect(result.detail).toMatch(new RegExp(`^the post-check .*${why}.*kept: 0000_init`));
    expect(JSON.stringify(result)).not.toContain('secret-of-a-customer');
    // It is no less false when it is asked again.
    expect((await migrate(url, ALL, { postCheck })).status).toBe(why === undefined ? 'unchanged' : 'failed');
    expect(await recordedHashes(url)).toHaveLength(3);
  });

  test('that takes longer than a statement may is ended, and the tenant has failed', async () => {
    const url = await newDatabase();
    const postCheck = 'SELECT true FROM pg_sleep(60)';
    const result = await migrate(url, ALL, { postCheck, statementTimeoutMs: 2_000 });
    expect(result).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/^the post-check failed: .*statement timeout.*kept: 0000_init/),
      error: { code: 'SQLSTATE 57014' },
      migration: { applied: ['0000_init', '0001_name', '0002_done'] },
    });
    expect(result).not.toHaveProperty('infrastructure');
  });

  test('of two statements is refused before anything is done', async () => {
    const url = await newDatabase();
    await expect(migrate(url, ALL, { postCheck: 'COMMIT; SELECT true' })).rejects.toThrow(/it holds 2 statements/);
    expect(await columnsOf(url)).toEqual([]);
  });
});

describe('a restore point', () => {
  const lsnPoint: NonNullable<MigrateOptions['readRestorePoint']> = async (connection) => ({
    kind: 'lsn',
    host: 'ep-main.example',
    ...(await readWalPosition(connection)),
  });
  const poisoned = folderOf({ ...INIT, ...NAME, '0002_poison': ['SELECT 1/0'] });
  /** Puts an empty database back to being empty, and ends all of its sessions, as Neon's restore does. */
  const rollBackOf = (url: string, meanwhile: () => Promise<void> = () => Promise.resolve()) =>
    jest.fn(async (point: RestorePoint) => {
      await meanwhile();
      await ask(url, 'DROP SCHEMA drizzle CASCADE; DROP TABLE users, tasks');
      await endSessions(url);
      return `put back to ${point.kind}`;
    });
  const endSessions = (url: string) =>
    ask(
      url,
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
  const RESTORE = { readRestorePoint: lsnPoint, onFailure: 'restore' } as const;

  test('is read before the first change, only where there is one, and is in the record', async () => {
    const url = await newDatabase();
    const readRestorePoint = jest.fn(lsnPoint);
    const result = await migrate(url, ALL, { readRestorePoint });
    expect(result.migration?.restorePoint).toMatchObject({
      kind: 'lsn',
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
    });
    const point = result.migration?.restorePoint;
    const [later] = await ask<{ before: boolean }>(
      url,
      `SELECT '${point?.kind === 'lsn' ? point.lsn : ''}'::pg_lsn < pg_current_wal_insert_lsn() AS before`,
    );
    expect(later?.before).toBe(true);
    expect(await migrate(url, ALL, { readRestorePoint })).toMatchObject({ status: 'unchanged' });
    expect(readRestorePoint).toHaveBeenCalledTimes(1);
  });

  test('that cannot be had prevents the migration', async () => {
    const url = await newDatabase();
    const readRestorePoint = () => Promise.reject(new Error('no history'));
    await expect(migrate(url, ALL, { readRestorePoint })).rejects.toThrow('no history');
    expect(await columnsOf(url)).toEqual([]);
  });

  test('is gone back to after a failure that left something behind, if that was asked for', async () => {
    const url = await newDatabase();
    const rollBack = rollBackOf(url);
    const result = await migrate(url, poisoned, { ...RESTORE, rollBack });
    expect(rollBack).toHaveBeenCalledTimes(1);
    expect(result).toMatchObject({
      status: 'rolled-back',
      detail: '0002_poison.sql, statement 1 of 1: division by zero; put back to lsn',
      migration: { applied: [] },
    });
    expect(result.migration).not.toHaveProperty('changed');
  });

  test('is gone back to while nobody else can get in: who waits for the lock finds what it was before', async () => {
    const url = await newDatabase();
    let waiting: Promise<TenantResult> | undefined;
    const rollBack = rollBackOf(url, async () => {
      const [held] = await ask<{ held: boolean }>(url, tryLockSql('exclusive'));
      expect(held?.held).toBe(false);
      const waits = `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock%' AND application_name LIKE 'neon-fleet migrate%' AND datname = current_database() AND pid <> pg_backend_pid()`;
      waiting = migrate(url, ALL);
      while ((await ask(url, waits)).length === 0) await delay(10);
    });
    const result = await migrate(url, poisoned, { ...RESTORE, rollBack });
    // Its session was ended together with all others; it began anew, and with everything.
    expect(await waiting).toMatchObject({
      status: 'succeeded',
      migration: { applied: ALL.migrations.map(({ tag }) => tag) },
    });
    expect(await columnsOf(url)).toEqual(['tasks.done', 'tasks.id', 'users.id', 'users.name']);
    // Which of the two came first after the restore is not decided; what is said is what was seen.
    if (result.status === 'rolled-back') return;
    expect(result).toMatchObject({
      status: 'failed',
      error: {
        message: expect.stringMatching(/it was put back, but is not at no migration again: /),
      },
      migration: { applied: ['0000_init', '0001_name'], restorePoint: { kind: 'lsn' } },
    });
  });

  test.each([
    ['let go of by a migration', ['DISCARD ALL', 'SELECT 1/0']],
    ['lost with its connection', ['SELECT pg_terminate_backend(pg_backend_pid())']],
  ])('is gone back to under a new lock when it was %s', async (_, statements) => {
    const url = await newDatabase();
    const folder = folderOf({ ...INIT, '0001_bad': statements }, 'v0', ['0001_bad']);
    const rollBack = rollBackOf(url, async () => {
      expect(await ask(url, tryLockSql('exclusive'))).toEqual([{ held: false }]);
    });
    expect(await migrate(url, folder, { ...RESTORE, rollBack })).toMatchObject({ status: 'rolled-back' });
    expect(rollBack).toHaveBeenCalledTimes(1);
  });

  test('is not gone back to when the lock was lost and somebody else has been at it since', async () => {
    const url = await newDatabase();
    const folder = folderOf({ ...INIT, '0001_bad': ['DISCARD ALL', 'SELECT pg_sleep(60)'] }, 'v0', ['0001_bad']);
    const rollBack = rollBackOf(url);
    const running = migrate(url, folder, { ...RESTORE, rollBack });
    const sleeping = `SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND datname = current_database()`;
    while ((await ask(url, sleeping)).length === 0) await delay(10);
    const newer = folderOf({ ...INIT, '0001_bad': ['SELECT 1'], '0002_done': DONE['0002_done'] });
    expect(await migrate(url, newer)).toMatchObject({ status: 'succeeded' });
    await ask(url, sleeping.replace('SELECT pid', 'SELECT pg_terminate_backend(pid)'));

    expect(await running).toMatchObject({
      status: 'failed',
      error: {
        message: expect.stringMatching(/putting the database back failed as well: .* not at 0000_init any more/),
      },
      migration: { applied: ['0000_init'], changed: true, restorePoint: { kind: 'lsn' } },
    });
    expect(rollBack).not.toHaveBeenCalled();
    expect(await columnsOf(url)).toContain('tasks.done');
  });

  test('that was gone back to without effect is not called gone back to', async () => {
    const url = await newDatabase();
    const rollBack = () => Promise.resolve('put back');
    const result = await migrate(url, poisoned, { ...RESTORE, rollBack });
    expect(result).toMatchObject({
      status: 'failed',
      error: {
        message: expect.stringMatching(/it was put back, but is not at no migration again: it is at 0001_name$/),
        hint: expect.stringContaining('Look at it'),
      },
      migration: { applied: ['0000_init', '0001_name'], restorePoint: { kind: 'lsn' } },
    });
  });

  test('whose effect cannot be looked at, because another run is quicker, is not called gone back to', async () => {
    const url = await newDatabase();
    let other: Awaited<ReturnType<typeof connectTo>> | undefined;
    const rollBack = async (point: RestorePoint) => {
      const words = await rollBackOf(url)(point);
      other = await connectTo(url);
      await other.query(`SELECT pg_advisory_lock(${LOCK_KEY[0]}, ${LOCK_KEY[1]})`);
      return words;
    };
    const result = await migrate(url, poisoned, { ...RESTORE, rollBack, lockWaitMs: 1 });
    await other?.end();
    expect(result).toMatchObject({
      status: 'failed',
      error: { message: expect.stringMatching(/whether it is back could not be looked at/) },
      migration: { restorePoint: { kind: 'lsn' } },
    });
  });

  test('is not gone back to where nothing was left behind', async () => {
    const url = await newDatabase();
    const rollBack = rollBackOf(url);
    const result = await migrate(url, poisoned, { ...RESTORE, rollBack, transaction: 'all' });
    expect(rollBack).not.toHaveBeenCalled();
    expect(result).toMatchObject({ status: 'failed', detail: expect.stringMatching(/; the database is as it was$/) });
    expect(result.migration).not.toHaveProperty('restorePoint');
    expect(result.migration).not.toHaveProperty('changed');
  });

  test('is not gone back to unless asked for', async () => {
    const url = await newDatabase();
    const rollBack = rollBackOf(url);
    const result = await migrate(url, poisoned, { readRestorePoint: lsnPoint, rollBack });
    expect(rollBack).not.toHaveBeenCalled();
    expect(result).toMatchObject({ status: 'failed', migration: { changed: true, restorePoint: { kind: 'lsn' } } });
  });

  test('that does not work either is said with both causes', async () => {
    const url = await newDatabase();
    const rollBack = () => Promise.reject(new Error('the branch is protected'));
    const result = await migrate(url, poisoned, { ...RESTORE, rollBack });
    expect(result).toMatchObject({
      status: 'failed',
      error: {
        message: expect.stringMatching(/division by zero; and putting .* failed as well: the branch is protected/),
      },
      detail: expect.stringMatching(/; applied before that, and kept: 0000_init, 0001_name$/),
      migration: { restorePoint: { kind: 'lsn' }, applied: ['0000_init', '0001_name'] },
    });
  });

  test('that works, and is said not to, is looked at', async () => {
    const url = await newDatabase();
    const rollBack = async (point: RestorePoint) => {
      await rollBackOf(url)(point);
      throw new Error('the operation did not end in time');
    };
    expect(await migrate(url, poisoned, { ...RESTORE, rollBack })).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/did not end in time; all the same it is back at no migration$/),
      migration: { restorePoint: { kind: 'lsn' } },
    });
  });

  test('is gone back to after a post-check that says no', async () => {
    const url = await newDatabase();
    const rollBack = rollBackOf(url);
    const options = { ...RESTORE, rollBack, postCheck: 'SELECT false' } as const;
    expect(await migrate(url, ALL, options)).toMatchObject({ status: 'rolled-back' });
    expect(await columnsOf(url)).toEqual([]);
    // A run that has changed nothing has nothing that could be taken back.
    await migrate(url, ALL);
    expect(await migrate(url, ALL, options)).toMatchObject({ status: 'failed' });
    expect(rollBack).toHaveBeenCalledTimes(1);
  });

  test('is in the record of a file that was done in part, although nothing is applied', async () => {
    const url = await newDatabase();
    await migrate(url, folderOf(INIT));
    const half = folderOf({ ...INIT, '0001_half': ['CREATE TABLE IF NOT EXISTS half ()', 'VACUUM nowhere'] }, 'v0', [
      '0001_half',
    ]);
    expect(await migrate(url, half, { readRestorePoint: lsnPoint })).toMatchObject({
      status: 'failed',
      migration: { from: '0000_init', to: '0000_init', applied: [], changed: true, restorePoint: { kind: 'lsn' } },
    });
  });
});

describe('a run that is told to stop', () => {
  test('says what it has applied, and rolls the rest back', async () => {
    const url = await newDatabase();
    const stop = new AbortController();
    const folder = folderOf({ ...INIT, '0001_slow': ['ALTER TABLE users ADD a int', 'SELECT pg_sleep(60)'] });
    const running = migrate(url, folder, { signal: stop.signal });
    await using watcher = await connectTo(url);
    const sleeping = `SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND datname = current_database()`;
    while ((await watcher.query(sleeping)).rowCount === 0) await delay(10);
    stop.abort(new StoppedError('deadline'));
    expect(await running).toMatchObject({
      status: 'skipped',
      reason: 'deadline',
      migration: { to: '0000_init', applied: ['0000_init'] },
    });
    expect(await columnsOf(url)).toEqual(['tasks.id', 'users.id']);
  });
});

describe('a look', () => {
  test('says what would be done, and does nothing', async () => {
    const url = await newDatabase();
    const options = { ...migrateOptions(ALL) };
    const empty = await inspectDatabase(url, options);
    expect(empty).toMatchObject({ assessment: { kind: 'pending', from: undefined }, busy: false });
    expect(empty.serverVersion).toMatch(/^\d+\.\d+/);
    expect(await ask(url, `SELECT 1 FROM pg_namespace WHERE nspname = 'drizzle'`)).toEqual([]);

    await migrate(url, ALL, { to: '0001' });
    expect(await inspectDatabase(url, options)).toMatchObject({ assessment: { kind: 'pending', from: '0001_name' } });
    expect(await inspectDatabase(url, { ...options, to: '0001' })).toMatchObject({
      assessment: { kind: 'up-to-date', applied: 2, beyond: false },
    });
    expect(await inspectDatabase(url, { ...options, folder: folderOf(INIT) })).toMatchObject({
      assessment: { kind: 'drift', findings: [{ kind: 'unknown', count: 1, ahead: true }] },
    });
  });

  test('does not wait for a run, and sees it', async () => {
    const url = await newDatabase();
    await using other = await connectTo(url);
    await other.query(`SELECT pg_advisory_lock(${LOCK_KEY[0]}, ${LOCK_KEY[1]})`);
    expect(await inspectDatabase(url, migrateOptions(ALL))).toMatchObject({ busy: true });
  });
});

test('two runs at once on one database apply each migration once', async () => {
  const url = await newDatabase();
  const results = await Promise.all([migrate(url), migrate(url), migrate(url)]);
  expect(results.map(({ status }) => status).toSorted()).toEqual(['succeeded', 'unchanged', 'unchanged']);
  expect(await recordedHashes(url)).toEqual(hashesOf(ALL));
});
