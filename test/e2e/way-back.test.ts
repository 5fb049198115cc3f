import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createApiClient } from '@neondatabase/api-client';

import { TestFleet, outcomeOf, reportOf, statuses } from '../support/fleet.js';
import { writeMigrations } from '../support/migrations.js';

let fleet: TestFleet;
let count = 0;
let folder: string;

beforeAll(async () => {
  fleet = await TestFleet.start({ restorePoints: true });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  fleet.neon.faults.clear();
  count += 1;
  folder = path.join(fleet.folder, `drizzle-${count}`);
});

const NOTES = ['CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL)'];
const DROPS = ['ALTER TABLE notes DROP COLUMN text'];
const FAILS = ['SELECT 1 / (SELECT count(*) FROM notes WHERE id < 0)'];

/** Tenants that are at the first migration, with a row of a customer's each. */
async function seed(...names: string[]): Promise<{ ids: string[]; tenants: string; name: (short: string) => string }> {
  const name = (short: string) => `b${count} ${short}`;
  const ids = await fleet.neon.seedProjects(names.map(name));
  const tenants = `b${count} *`;
  await writeMigrations(folder, { '0000_notes': NOTES });
  await fleet.run('migrate', { tenants, 'migrations-folder': folder });
  for (const id of ids) await sql(id, `INSERT INTO notes VALUES (1, 'kept')`);
  return { ids, tenants, name };
}

/** Speaks to a tenant as its owner does: through its endpoint, so that the branch that is there now answers. */
async function sql(projectId: string, text: string): Promise<unknown[]> {
  return fleet.query(projectId, text);
}

async function branchNames(projectId: string): Promise<string[]> {
  const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
  const { data } = await api.listProjectBranches({ projectId });
  return data.branches.map(({ name }) => name);
}

async function columns(projectId: string): Promise<string[]> {
  const rows = await fleet.query<{ name: string }>(
    projectId,
    `SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'notes' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

describe('on-failure: restore', () => {
  test.each(['lsn', 'branch'])('puts back what a failed migration left behind (%s)', async (kind) => {
    const { ids, tenants, name } = await seed('half');
    const [id = ''] = ids;
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_drop': DROPS, '0002_fails': FAILS });

    const run = await fleet.run('migrate', {
      tenants,
      'migrations-folder': folder,
      'restore-point': kind,
      'on-failure': 'restore',
    });

    expect(statuses(run)).toEqual({ [name('half')]: 'rolled-back' });
    expect(run).toMatchObject({ exitCode: 1, outputs: { verdict: 'failed', failed: '1' } });
    expect(await columns(id)).toEqual(['id', 'text']);
    expect(await sql(id, 'SELECT * FROM notes')).toEqual([{ id: 1, text: 'kept' }]);
    expect((await branchNames(id)).some((branch) => branch.startsWith('replaced-'))).toBe(true);
    // It can be migrated again as if nothing had been.
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_drop': DROPS });
    const again = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    expect(again.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '1' });
  });

  test('puts back what the second attempt left behind as well', async () => {
    const { ids, tenants, name } = await seed('again');
    const [id = ''] = ids;
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_drop': DROPS, '0002_fails': FAILS });
    for (const attempt of ['1', '2']) {
      const run = await fleet.run(
        'migrate',
        { tenants, 'migrations-folder': folder, 'on-failure': 'restore' },
        { env: { GITHUB_RUN_ATTEMPT: attempt } },
      );
      expect(statuses(run)).toEqual({ [name('again')]: 'rolled-back' });
      expect(await columns(id)).toEqual(['id', 'text']);
    }
  });

  test('restores nothing when the failed transaction left nothing behind', async () => {
    const { ids, tenants, name } = await seed('whole');
    const [id = ''] = ids;
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_fails': FAILS });
    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder, 'on-failure': 'restore' });
    expect(statuses(run)).toEqual({ [name('whole')]: 'failed' });
    expect(await branchNames(id)).toHaveLength(1);
    expect(await sql(id, 'SELECT * FROM notes')).toHaveLength(1);
  });

  test('says both when going back fails as well, and where the way back is', async () => {
    const { ids, tenants, name } = await seed('stuck');
    const [id = ''] = ids;
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_drop': DROPS, '0002_fails': FAILS });
    fleet.neon.faults.set({ kind: 'status', status: 400, path: 'restoreProjectBranch' });
    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder, 'on-failure': 'restore' });
    const outcome = outcomeOf(run, name('stuck'));
    expect(outcome).toMatchObject({ status: 'failed', migration: { applied: ['0001_drop'] } });
    expect(JSON.stringify(outcome)).toContain('division by zero');
    expect(JSON.stringify(outcome)).toContain('restoreProjectBranch');
    expect(run.summary).toContain('How to go back');
    expect(run.summary).toContain(id);
  });
});

describe('undo', () => {
  test('takes a rollout back for every tenant that it changed, keeps what was written since, and only once', async () => {
    const { ids, name } = await seed('one', 'two', 'untouched');
    const [one = '', two = '', untouched = ''] = ids;
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_drop': DROPS });
    const chosen = `${name('one')}\n${name('two')}`;
    const rollout = await fleet.run('migrate', { tenants: chosen, 'migrations-folder': folder });
    expect(rollout.outputs['succeeded']).toBe('2');
    expect(rollout.summary).toContain('How to go back: 2 tenants');
    for (const id of [one, two]) await sql(id, 'INSERT INTO notes VALUES (2)');
    const report = path.join(fleet.folder, `rollout-${count}.json`);
    await writeFile(report, rollout.report ?? '');
    const inputs = { command: 'undo', 'undo-report': report, 'migrations-folder': folder };

    const dry = await fleet.run('migrate', { ...inputs, 'dry-run': 'true' });
    expect(dry.exitCode).toBe(0);
    expect(dry.summary).toContain('would go back to 0000_notes');
    expect(await columns(one)).toEqual(['id']);

    const undone = await fleet.run('migrate', inputs);
    expect(undone).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded', succeeded: '2' } });
    for (const id of [one, two]) {
      expect(await sql(id, 'SELECT * FROM notes')).toEqual([{ id: 1, text: 'kept' }]);
      expect((await branchNames(id)).filter((branch) => branch.startsWith('replaced-'))).toHaveLength(1);
    }
    expect(outcomeOf(undone, name('one')).detail).toContain('what was written from');
    expect(await branchNames(untouched)).toHaveLength(1);

    const again = await fleet.run('migrate', inputs);
    expect(again).toMatchObject({ exitCode: 0, outputs: { unchanged: '2', succeeded: '0' } });
    expect((await branchNames(one)).filter((branch) => branch.startsWith('replaced-'))).toHaveLength(1);
  });

  test('restores once when the answer to the restore was lost', async () => {
    const { ids, tenants } = await seed('lost');
    const [id = ''] = ids;
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_drop': DROPS });
    const rollout = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    const report = path.join(fleet.folder, `rollout-${count}.json`);
    await writeFile(report, rollout.report ?? '');
    fleet.neon.faults.set({ kind: 'lost-answer', path: 'restoreProjectBranch', times: 1 });
    const undone = await fleet.run('migrate', {
      command: 'undo',
      'undo-report': report,
      'migrations-folder': folder,
    });
    expect(undone.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '1' });
    expect((await branchNames(id)).filter((branch) => branch.startsWith('replaced-'))).toHaveLength(1);
    expect(await columns(id)).toEqual(['id', 'text']);
  });

  test('leaves a tenant alone that a newer rollout has been at', async () => {
    const { ids, tenants, name } = await seed('moved');
    const [id = ''] = ids;
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_drop': DROPS });
    const rollout = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    const report = path.join(fleet.folder, `rollout-${count}.json`);
    await writeFile(report, rollout.report ?? '');
    await writeMigrations(folder, {
      '0000_notes': NOTES,
      '0001_drop': DROPS,
      '0002_more': ['CREATE TABLE more (id int)'],
    });
    await fleet.run('migrate', { tenants, 'migrations-folder': folder });

    const undone = await fleet.run('migrate', {
      command: 'undo',
      'undo-report': report,
      'migrations-folder': folder,
    });
    expect(undone.exitCode).toBe(1);
    expect(outcomeOf(undone, name('moved')).detail).toContain('would undo more than this rollout');
    expect(await fleet.tables(id)).toContain('public.more');
    expect(await branchNames(id)).toHaveLength(1);
  });

  test('leaves a tenant alone when the checkout does not know what it has: older, or without the migration', async () => {
    const { ids, tenants, name } = await seed('unknown');
    const [id = ''] = ids;
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_drop': DROPS });
    const rollout = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    const report = path.join(fleet.folder, `rollout-${count}.json`);
    await writeFile(report, rollout.report ?? '');
    const newer = path.join(fleet.folder, `newer-${count}`);
    await writeMigrations(newer, {
      '0000_notes': NOTES,
      '0001_drop': DROPS,
      '0002_more': ['CREATE TABLE more (id int)'],
    });
    await fleet.run('migrate', { tenants, 'migrations-folder': newer });
    const reverted = await writeMigrations(path.join(fleet.folder, `reverted-${count}`), { '0000_notes': NOTES });

    for (const checkout of [folder, reverted]) {
      const undone = await fleet.run('migrate', {
        command: 'undo',
        'undo-report': report,
        'migrations-folder': checkout,
      });
      expect(undone.exitCode).toBe(1);
      expect(statuses(undone)).toEqual({ [name('unknown')]: 'failed' });
    }
    expect(await fleet.tables(id)).toContain('public.more');
    expect(await branchNames(id)).toHaveLength(1);
  });

  test('takes back a migration that had been merged out of order', async () => {
    const { ids, tenants } = await seed('late');
    const [id = ''] = ids;
    const late = { '0000_notes': NOTES, '0001_late': DROPS, '0002_more': ['CREATE TABLE more (id int)'] };
    await writeMigrations(folder, late);
    const without = path.join(fleet.folder, `without-${count}`);
    await writeMigrations(without, late);
    const journal = path.join(without, 'meta', '_journal.json');
    const entries = JSON.parse(await readFile(journal, 'utf8')) as { entries: { tag: string }[] };
    entries.entries = entries.entries.filter(({ tag }) => tag !== '0001_late');
    await writeFile(journal, JSON.stringify(entries));
    await fleet.run('migrate', { tenants, 'migrations-folder': without });

    const rollout = await fleet.run('migrate', { tenants, 'migrations-folder': folder, 'on-drift': 'apply' });
    expect(rollout.outputs['succeeded']).toBe('1');
    expect(await columns(id)).toEqual(['id']);
    const report = path.join(fleet.folder, `rollout-${count}.json`);
    await writeFile(report, rollout.report ?? '');
    const undone = await fleet.run('migrate', {
      command: 'undo',
      'undo-report': report,
      'migrations-folder': folder,
    });
    expect(undone.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '1' });
    expect(await columns(id)).toEqual(['id', 'text']);
    expect(await fleet.tables(id)).toContain('public.more');
  });

  test('refuses an exclusion that excludes nobody', async () => {
    const { ids, tenants } = await seed('spared');
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_drop': DROPS });
    const rollout = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    const report = path.join(fleet.folder, `rollout-${count}.json`);
    await writeFile(report, rollout.report ?? '');
    const undone = await fleet.run('migrate', {
      command: 'undo',
      'undo-report': report,
      'migrations-folder': folder,
      tenants: '*\n!spaerd',
    });
    expect(undone.exitCode).toBe(1);
    expect(await columns(ids[0] ?? '')).toEqual(['id']);
  });

  test.each([
    ['a file that is not there', undefined],
    ['a file that is no report', '{"a":1}'],
  ])('refuses %s', async (_, content) => {
    await writeMigrations(folder, { '0000_notes': NOTES });
    const report = path.join(fleet.folder, `none-${count}.json`);
    if (content !== undefined) await writeFile(report, content);
    const run = await fleet.run('migrate', { command: 'undo', 'undo-report': report, 'migrations-folder': folder });
    expect(run).toMatchObject({ exitCode: 1, outputs: { verdict: 'failed' } });
    expect(run.outputs['message']).toContain('undo-report');
  });
});

describe('post-check', () => {
  test('fails a tenant whose answer is not true', async () => {
    const { tenants, name } = await seed('checked');
    await writeMigrations(folder, { '0000_notes': NOTES, '0001_more': ['CREATE TABLE more (id int)'] });
    const run = await fleet.run('migrate', {
      tenants,
      'migrations-folder': folder,
      'post-check': 'SELECT count(*) > 5 FROM notes',
    });
    expect(run.exitCode).toBe(1);
    expect(outcomeOf(run, name('checked'))).toMatchObject({
      status: 'failed',
      migration: { applied: ['0001_more'] },
    });
    expect(reportOf(run).counts.failed).toBe(1);
  });
});
