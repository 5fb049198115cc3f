import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { TestFleet, outcomeOf, reportOf, statuses } from '../support/fleet.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';
import { shardsOf, Workflow } from '../support/workflow.js';

let fleet: TestFleet;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  count += 1;
});

/** Tenants of one test only, in the order of their names. */
async function seed(size: number): Promise<{ ids: string[]; tenants: string; name: (index: number) => string }> {
  const name = (index: number) => `d${count}-${String(index).padStart(3, '0')}`;
  const ids = await fleet.neon.seedProjects(Array.from({ length: size }, (_, index) => name(index)));
  return { ids, tenants: `d${count}-*`, name };
}

async function folderOf(files: Readonly<Record<string, readonly string[]>>, name = 'drizzle'): Promise<string> {
  return writeMigrations(path.join(fleet.folder, `${name}-${count}`), files);
}

const ONE = { '0000_init': GUIDE_TABLES };

/** The requests for connection URIs since a number of requests. */
function urisAskedFor(since: number) {
  return fleet.neon
    .requests()
    .slice(since)
    .filter(({ path: asked }) => asked.includes('connection_uri'));
}

describe('the Neon API', () => {
  test('is asked at the part of the rate that the jobs beside one another leave to each', async () => {
    const { tenants } = await seed(64);
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${count}`), {
      'migrations-folder': await folderOf(ONE),
      'neon-api-rate': '480',
      'max-parallel': '4',
      concurrency: '16',
    });
    const plan = await workflow.plan({ tenants, 'tenants-per-shard': '16' });
    expect(shardsOf(plan)).toEqual([1, 2, 3, 4]);
    const before = fleet.neon.requests().length;
    const run = await workflow.apply(1);
    expect(run.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '16' });
    const asked = urisAskedFor(before).map(({ atMs }) => atMs);
    expect(asked).toHaveLength(16);
    // A quarter of 480 a minute: ten of them at once, and the other six at less than two a second. Undivided it is all at once.
    expect(Math.max(...asked) - Math.min(...asked)).toBeGreaterThan(3_000);
  });

  test('is asked for a URI just before it is used: a run that is stopped has asked for few', async () => {
    const { ids, tenants } = await seed(30);
    const folder = await folderOf({ '0000_slow': ['CREATE TABLE begun (id int)', 'SELECT pg_sleep(0.2)'] });
    const before = fleet.neon.requests().length;
    let cancel: () => void = () => undefined;
    const run = await fleet.start(
      'migrate',
      { tenants, 'migrations-folder': folder, concurrency: '3' },
      {
        onLog: (text) => {
          if (text.includes('4/30')) cancel();
        },
      },
    );
    cancel = () => run.cancel();
    const finished = await run.finished;
    expect(finished.outputs['verdict']).toBe('incomplete');
    const started = reportOf(finished).outcomes.filter(({ attempts }) => attempts > 0).length;
    const asked = urisAskedFor(before).length;
    expect(started).toBeGreaterThanOrEqual(4);
    expect(started).toBeLessThan(ids.length);
    expect(asked).toBeLessThanOrEqual(started + 3);
    expect(asked).toBeGreaterThanOrEqual(4);
  });
});

describe('a rollout', () => {
  test('of one transaction leaves the tenants that fail unchanged, 3 of 100', async () => {
    const { ids, tenants, name } = await seed(100);
    const poisoned = [3, 50, 99];
    for (const index of poisoned) await fleet.query(ids[index] ?? '', 'CREATE DOMAIN public.occupied AS int');
    const folder = await folderOf({ ...ONE, '0001_second': ['CREATE DOMAIN public.occupied AS text'] });
    const run = await fleet.run('migrate', {
      tenants,
      'migrations-folder': folder,
      'max-failures': '5',
      transaction: 'all',
    });
    expect(run).toMatchObject({
      exitCode: 1,
      outputs: { verdict: 'failed', succeeded: '97', failed: '3', skipped: '0' },
    });
    for (const index of poisoned) {
      expect(run.summary).toContain(name(index));
      expect(outcomeOf(run, name(index))).toMatchObject({ status: 'failed', migration: { applied: [] } });
      // Not even drizzle's own table.
      expect(await fleet.tables(ids[index] ?? '')).toEqual([]);
    }
    expect(await fleet.tables(ids[4] ?? '')).toContain('drizzle.__drizzle_migrations');
  });

  test('without restore points notes none, promises none, and cannot be undone', async () => {
    const { ids, tenants, name } = await seed(2);
    const folder = await folderOf(ONE);
    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder, 'restore-point': 'none' });
    expect(run.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '2' });
    const { migration } = outcomeOf(run, name(0));
    expect(migration).toMatchObject({ applied: ['0000_init'] });
    expect(migration).not.toHaveProperty('restorePoint');
    expect(run.summary).not.toContain('undo');
    const report = path.join(fleet.folder, `report-${count}.json`);
    await writeFile(report, run.report ?? '');

    const undo = await fleet.run('migrate', { command: 'undo', 'undo-report': report, 'migrations-folder': folder });
    expect(undo.exitCode).toBe(1);
    expect(undo.log).toContain('restore point');
    for (const id of ids) expect(await fleet.tables(id)).toContain('public.tasks');
  });

  test('takes the name of a canary that is settled already for no mistake', async () => {
    const { tenants, name } = await seed(3);
    const folder = await folderOf(ONE);
    await fleet.run('migrate', { tenants: name(0), 'migrations-folder': folder });
    const inputs = { tenants, 'migrations-folder': folder, waves: `${name(0)}\n100%` };

    const plan = await fleet.run('migrate', { command: 'plan', state: 'live', ...inputs });
    expect(plan).toMatchObject({ exitCode: 0, outputs: { tenants: '2' } });
    expect(JSON.parse(plan.outputs['waves'] ?? '')).toMatchObject([{ wave: 1, name: '100%', tenants: 2 }]);
    const wrong = await fleet.run('migrate', { command: 'plan', ...inputs, waves: 'd-nobody, 100%' });
    expect(wrong.log).toContain('no selected tenant matches "d-nobody"');

    const run = await fleet.run('migrate', inputs);
    expect(statuses(run)).toEqual({
      [name(0)]: 'unchanged: up-to-date',
      [name(1)]: 'succeeded',
      [name(2)]: 'succeeded',
    });
  });

  test('is not carried out as a dry run', async () => {
    const { ids, tenants } = await seed(1);
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${count}`), {
      'migrations-folder': await folderOf(ONE),
    });
    await workflow.plan({ tenants });
    const before = fleet.neon.requests().length;
    const run = await workflow.apply(1, { 'dry-run': 'true' });
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain('dry-run: given true together with apply');
    expect(fleet.neon.requests()).toHaveLength(before);
    expect(await fleet.tables(ids[0] ?? '')).toEqual([]);
  });
});

describe('a gate before a deployment', () => {
  /** The same migrations as drizzle 1.0 has them: a folder each. */
  async function foldersOf(journal: string): Promise<string> {
    const { entries } = JSON.parse(await readFile(path.join(journal, 'meta', '_journal.json'), 'utf8')) as {
      entries: { tag: string; when: number }[];
    };
    const target = path.join(fleet.folder, `folders-${count}`);
    for (const { tag, when } of entries) {
      const time = new Date(when).toISOString().replace(/\D/g, '').slice(0, 14);
      const place = path.join(target, `${time}_${tag.slice(5)}`);
      await mkdir(place, { recursive: true });
      await writeFile(path.join(place, 'migration.sql'), await readFile(path.join(journal, `${tag}.sql`)));
      await writeFile(path.join(place, 'snapshot.json'), '{"version":"8","dialect":"postgres"}');
    }
    return target;
  }

  test('is green for a table of drizzle 0.x under a folder of 1.0, and leaves it as it is', async () => {
    const { ids, tenants } = await seed(1);
    const journal = await folderOf({ ...ONE, '0001_second': ['CREATE TABLE late (id int)'] });
    await fleet.run('migrate', { tenants, 'migrations-folder': journal });
    const columns = () =>
      fleet.query(
        ids[0] ?? '',
        "SELECT attname FROM pg_attribute WHERE attrelid = 'drizzle.__drizzle_migrations'::regclass AND attnum > 0 ORDER BY attnum",
      );
    const before = await columns();
    const folders = await foldersOf(journal);
    const inputs = { command: 'assert', tenants, 'migrations-folder': folders, 'at-least': '20260101000100_second' };
    const run = await fleet.run('migrate', inputs);
    expect(run).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded', unchanged: '1', lagging: '0' } });
    expect(await columns()).toEqual(before);
  });
});
