import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { TestFleet, outcomeOf, reportOf, statuses } from '../support/fleet.js';
import { writeMigrations } from '../support/migrations.js';

let fleet: TestFleet;

beforeAll(async () => {
  fleet = await TestFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const FILES = {
  '0000_a': ['CREATE TABLE a (id int)'],
  '0001_b': ['CREATE TABLE b (id int)'],
  '0002_c': ['CREATE TABLE c (id int)'],
  '0003_d': ['CREATE TABLE d (id int)'],
} as const;

/** The first migrations of the four, as an older checkout has them. */
async function checkout(name: string, files: Readonly<Record<string, readonly string[]>>): Promise<string> {
  return writeMigrations(path.join(fleet.folder, name), files);
}

function firstOf(count: number): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(FILES).slice(0, count));
}

/** The first migrations of the four, and a newer one that no other checkout has. */
async function branchedOff(name: string, common: number): Promise<string> {
  const folder = await checkout(name, { ...FILES, '0004_other': ['CREATE TABLE other (id int)'] });
  const file = path.join(folder, 'meta', '_journal.json');
  const journal = JSON.parse(await readFile(file, 'utf8')) as { entries: { idx: number }[] };
  journal.entries = journal.entries.filter(({ idx }) => idx < common || idx === 4);
  await writeFile(file, JSON.stringify(journal));
  return folder;
}

/** An organisation as it is in life: at four versions, one edited, one ahead, one pushed by hand, and no tenants at all. */
async function organisation(prefix: string): Promise<Record<string, string>> {
  const names = ['empty', 'first', 'second', 'third', 'newest', 'edited', 'ahead', 'pushed'];
  const ids = await fleet.neon.seedProjects([...names.map((name) => `${prefix}-${name}`), `tools of ${prefix}`]);
  const id = Object.fromEntries(names.map((name, index) => [name, ids[index] ?? '']));
  const migrate = (tenants: string, folder: string) =>
    fleet.run('migrate', { tenants: `${prefix}-${tenants}`, 'migrations-folder': folder });
  await migrate('first', await checkout(`${prefix}-1`, firstOf(1)));
  await migrate('second', await checkout(`${prefix}-2`, firstOf(2)));
  await migrate('third', await checkout(`${prefix}-3`, firstOf(3)));
  await migrate('newest', await checkout(`${prefix}-4`, firstOf(4)));
  await migrate('edited', await checkout(`${prefix}-e`, { ...firstOf(2), '0001_b': ['CREATE TABLE b (id bigint)'] }));
  await migrate('ahead', await checkout(`${prefix}-5`, { ...FILES, '0004_e': ['CREATE TABLE e (id int)'] }));
  await fleet.query(id['pushed'] ?? '', 'CREATE TABLE a (id int)');
  return { ...id, tools: ids.at(-1) ?? '' };
}

describe('an organisation whose tenants differ', () => {
  test('gets from each what is right for it, and only from tenants', async () => {
    const id = await organisation('org');
    const folder = await checkout('org-now', FILES);
    const run = await fleet.run('migrate', { tenants: 'org-*', 'migrations-folder': folder });

    expect(statuses(run)).toEqual({
      'org-empty': 'succeeded',
      'org-first': 'succeeded',
      'org-second': 'succeeded',
      'org-third': 'succeeded',
      'org-newest': 'unchanged: up-to-date',
      'org-edited': 'skipped: drift',
      'org-ahead': 'skipped: drift',
      'org-pushed': 'skipped: drift',
    });
    expect(run).toMatchObject({ exitCode: 1, outputs: { verdict: 'incomplete' } });
    expect(outcomeOf(run, 'org-third').detail).toBe('applied 0003_d');
    expect(outcomeOf(run, 'org-edited').detail).toContain('0001_b');
    expect(outcomeOf(run, 'org-ahead').detail).toContain('ahead of this checkout');
    expect(outcomeOf(run, 'org-pushed').detail).toContain('public.a');
    expect(await fleet.tables(id['pushed'] ?? '')).toEqual(['public.a']);
    expect(await fleet.neon.connections(id['tools'] ?? '')).toEqual({ direct: 0, pooled: 0 });
  });

  test('is shown what would run, with the SQL, by a dry run that changes nothing', async () => {
    const id = await organisation('dry');
    const folder = await checkout('dry-now', FILES);
    const run = await fleet.run('migrate', { tenants: 'dry-*', 'migrations-folder': folder, 'dry-run': 'true' });

    expect(run.exitCode).toBe(0);
    expect(run.outputs['tenants']).toBe('4');
    expect(run.summary).toContain('CREATE TABLE d (id int)');
    for (const name of ['dry-empty', 'dry-first', 'dry-second', 'dry-third', 'dry-edited']) {
      expect(run.summary).toContain(name);
    }
    expect(await fleet.tables(id['empty'] ?? '')).toEqual([]);
    expect(await fleet.tables(id['third'] ?? '')).not.toContain('public.d');
  });

  test('is stopped at the first contradiction when that is asked for', async () => {
    await organisation('strict');
    const folder = await checkout('strict-now', FILES);
    const run = await fleet.run('migrate', {
      tenants: 'strict-*',
      'migrations-folder': folder,
      'on-drift': 'fail',
      concurrency: '1',
      waves: 'strict-edited, 100%',
    });
    expect(run.exitCode).toBe(1);
    expect(reportOf(run).counts).toMatchObject({ failed: 1, skipped: 7 });
    expect(outcomeOf(run, 'strict-edited')).toMatchObject({ status: 'failed', error: { code: 'drift' } });
  });

  test('may be held against a migration before an application is deployed', async () => {
    await organisation('gate');
    const folder = await checkout('gate-now', FILES);
    const inputs = { command: 'assert', 'migrations-folder': folder };
    const behind = await fleet.run('migrate', {
      ...inputs,
      tenants: 'gate-*\n!gate-edited\n!gate-ahead\n!gate-pushed',
      'at-least': '0002',
    });
    expect(behind).toMatchObject({ exitCode: 1, outputs: { verdict: 'failed', lagging: '3', unchanged: '2' } });
    expect(behind.summary).toContain('lacks 0002_c');

    const there = await fleet.run('migrate', {
      ...inputs,
      tenants: 'gate-third\ngate-newest',
      'at-least': '0002_c',
    });
    expect(there).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded', lagging: '0' } });
  });

  test('may be further than the checkout that holds it against a migration', async () => {
    const [ahead, beside, before] = ['further-ahead', 'further-beside', 'further-before'] as const;
    const ids = await fleet.neon.seedProjects([ahead, beside, before]);
    const connections = async () => Promise.all(ids.map(async (id) => (await fleet.neon.connections(id)).direct));
    const migrate = async (tenants: string, common: number) =>
      fleet.run('migrate', { tenants, 'migrations-folder': await branchedOff(tenants, common) });
    await migrate(ahead, 4);
    await migrate(beside, 2);
    await migrate(before, 1);

    const earlier = await connections();
    const run = await fleet.run('migrate', {
      command: 'assert',
      'migrations-folder': await checkout('further-now', FILES),
      tenants: 'further-*',
      'at-least': '0001',
    });
    // One look at each is enough.
    expect(await connections()).toEqual(earlier.map((count) => count + 1));
    expect(statuses(run)).toEqual({
      [ahead]: 'unchanged: up-to-date',
      [beside]: 'unchanged: up-to-date',
      [before]: 'failed',
    });
    for (const tenant of [ahead, beside]) {
      const { detail } = outcomeOf(run, tenant);
      expect(detail).toBe('has 0001_b, and further migrations that this checkout does not have');
    }
    expect(outcomeOf(run, before).detail).toContain('lacks 0001_b');
    expect(run).toMatchObject({ exitCode: 1, outputs: { verdict: 'failed', lagging: '1', unchanged: '2' } });
  });

  test('is red in a gate where what leads up to the migration is not what was applied', async () => {
    await organisation('edit');
    const run = await fleet.run('migrate', {
      command: 'assert',
      'migrations-folder': await checkout('edit-now', FILES),
      tenants: 'edit-edited\nedit-pushed',
      'at-least': '0001',
    });
    expect(statuses(run)).toEqual({ 'edit-edited': 'skipped: drift', 'edit-pushed': 'skipped: drift' });
    expect(run).toMatchObject({ exitCode: 1, outputs: { verdict: 'incomplete', lagging: '0' } });
  });

  test('is brought up to a migration and no further', async () => {
    const id = await organisation('upto');
    const folder = await checkout('upto-now', FILES);
    const run = await fleet.run('migrate', {
      tenants: 'upto-first\nupto-third\nupto-newest',
      'migrations-folder': folder,
      to: '0002',
    });
    expect(run.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '1', unchanged: '2' });
    expect(outcomeOf(run, 'upto-first').migration).toMatchObject({ from: '0000_a', to: '0002_c' });
    expect(await fleet.tables(id['first'] ?? '')).not.toContain('public.d');
    expect(outcomeOf(run, 'upto-newest').detail).toContain('beyond');
  });
});
