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
  fleet.neon.faults.clear();
  count += 1;
});

/** Tenants of one test only, in the order of their names. */
async function seed(size: number): Promise<{ ids: string[]; tenants: string; name: (index: number) => string }> {
  const name = (index: number) => `r${count}-${String(index).padStart(3, '0')}`;
  const ids = await fleet.neon.seedProjects(Array.from({ length: size }, (_, index) => name(index)));
  return { ids, tenants: `r${count}-*`, name };
}

async function folderOf(files: Readonly<Record<string, readonly string[]>>): Promise<string> {
  return writeMigrations(path.join(fleet.folder, `drizzle-${count}`), files);
}

/** Makes a tenant's second migration fail. */
async function poison(id: string): Promise<void> {
  await fleet.query(id, 'CREATE DOMAIN public.occupied AS int');
}

const TWO_MIGRATIONS = {
  '0000_init': GUIDE_TABLES,
  '0001_second': ['CREATE TABLE fine (id int)', 'CREATE DOMAIN public.occupied AS text'],
};

/** How many migrations drizzle's table records, and how many different ones. */
async function recorded(id: string): Promise<{ rows: number; different: number }> {
  const [row] = await fleet.query<{ rows: string; different: string }>(
    id,
    'SELECT count(*) AS rows, count(DISTINCT hash) AS different FROM drizzle.__drizzle_migrations',
  );
  return { rows: Number(row?.rows), different: Number(row?.different) };
}

describe('an error budget', () => {
  test('lets 97 of 100 tenants finish when three fail and five may', async () => {
    const { ids, tenants, name } = await seed(100);
    const poisoned = [3, 50, 99];
    for (const index of poisoned) await poison(ids[index] ?? '');
    const folder = await folderOf(TWO_MIGRATIONS);

    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder, 'max-failures': '5' });

    expect(run.exitCode).toBe(1);
    expect(run.outputs).toMatchObject({ verdict: 'failed', succeeded: '97', failed: '3', skipped: '0' });
    for (const index of poisoned) {
      expect(run.summary).toContain(name(index));
      expect(outcomeOf(run, name(index))).toMatchObject({ migration: { applied: ['0000_init'] } });
      expect(await recorded(ids[index] ?? '')).toEqual({ rows: 1, different: 1 });
      expect(await fleet.tables(ids[index] ?? '')).not.toContain('public.fine');
    }
    expect(await recorded(ids[4] ?? '')).toEqual({ rows: 2, different: 2 });
  });

  test('stops starting tenants once more have failed than may, and accounts for the rest', async () => {
    const { ids, tenants } = await seed(30);
    for (const id of ids) await poison(id);
    const folder = await folderOf(TWO_MIGRATIONS);

    const run = await fleet.run('migrate', {
      tenants,
      'migrations-folder': folder,
      'max-failures': '2',
      concurrency: '2',
    });
    const counts = reportOf(run).counts;
    expect(counts.total).toBe(30);
    // Those in flight when the budget ran out may still fail.
    expect(counts.failed).toBeGreaterThanOrEqual(3);
    expect(counts.failed).toBeLessThanOrEqual(4);
    expect(counts.skipped).toBe(30 - counts.failed);
    expect(new Set(Object.values(statuses(run)))).toEqual(new Set(['failed', 'skipped: budget']));
  });
});

describe('waves in one job', () => {
  test('touch no other tenant when the first wave fails', async () => {
    const { ids, tenants, name } = await seed(20);
    await poison(ids[0] ?? '');
    const folder = await folderOf(TWO_MIGRATIONS);

    const run = await fleet.run('migrate', {
      tenants,
      'migrations-folder': folder,
      transaction: 'all',
      waves: '1, 10%, 100%',
      'max-failures': '50%',
    });

    expect(run.outputs).toMatchObject({ verdict: 'failed', failed: '1', skipped: '19' });
    expect(outcomeOf(run, name(7))).toMatchObject({ status: 'skipped', reason: 'canary-failed' });
    expect(outcomeOf(run, name(7)).detail).toContain(name(0));
    for (const id of ids) expect(await fleet.tables(id)).toEqual([]);
  });

  test('begin with tenants that are named', async () => {
    const { tenants, name } = await seed(5);
    const folder = await folderOf({ '0000_init': GUIDE_TABLES });
    const run = await fleet.run('migrate', {
      tenants,
      'migrations-folder': folder,
      waves: `${name(3)}, 100%`,
      concurrency: '1',
    });
    const [first] = reportOf(run).outcomes.toSorted((a, b) => a.startedAt.localeCompare(b.startedAt));
    expect(first?.name).toBe(name(3));
    expect(run.outputs['succeeded']).toBe('5');
  });
});

describe('a plan and its shards', () => {
  test('bring every tenant of every shard to the folder’s version, with one report in the end', async () => {
    const { ids, tenants } = await seed(23);
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${count}`), {
      'migrations-folder': await folderOf(TWO_MIGRATIONS),
      'max-parallel': '4',
    });
    const plan = await workflow.plan({ tenants, waves: '1, 100%', 'tenants-per-shard': '6' });
    expect(plan.exitCode).toBe(0);
    expect(plan.outputs).toMatchObject({ shards: '5', tenants: '23', verdict: 'succeeded' });
    expect(JSON.parse(plan.outputs['waves'] ?? '')).toMatchObject([
      { wave: 1, tenants: 1, shards: 1, matrix: { shard: [1] } },
      { wave: 2, tenants: 22, shards: 4, matrix: { shard: [2, 3, 4, 5] } },
    ]);
    // Deciding wakes nobody.
    expect(await fleet.neon.connections(ids[0] ?? '')).toEqual({ direct: 0, pooled: 0 });

    expect((await workflow.apply(1)).exitCode).toBe(0);
    const gate = await workflow.report({ 'through-wave': '1' });
    expect(gate).toMatchObject({ exitCode: 0, outputs: { go: 'true' } });
    const shards = await Promise.all([2, 3, 4, 5].map((shard) => workflow.apply(shard)));
    expect(shards.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0]);

    const report = await workflow.report();
    expect(report.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '23' });
    expect(
      reportOf(report)
        .outcomes.map(({ projectId }) => projectId)
        .toSorted(),
    ).toEqual(ids.toSorted());
    for (const id of ids) expect(await recorded(id)).toEqual({ rows: 2, different: 2 });
  });

  test('start no second wave when the gate after the first is closed', async () => {
    const { ids, tenants } = await seed(6);
    await poison(ids[0] ?? '');
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${count}`), {
      'migrations-folder': await folderOf(TWO_MIGRATIONS),
    });
    await workflow.plan({ tenants, waves: '1, 100%', 'max-failures': '3' });
    expect((await workflow.apply(1)).exitCode).toBe(1);
    expect(await workflow.report({ 'through-wave': '1' })).toMatchObject({ exitCode: 0, outputs: { go: 'false' } });

    const report = await workflow.report();
    expect(report.exitCode).toBe(1);
    expect(report.outputs).toMatchObject({ verdict: 'failed', failed: '1', skipped: '5' });
    expect(new Set(Object.values(statuses(report)))).toEqual(new Set(['failed', 'skipped: canary-failed']));
  });

  test('share the budget: shards that run at once stop by themselves', async () => {
    const { ids, tenants } = await seed(40);
    for (const id of ids) await poison(id);
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${count}`), {
      'migrations-folder': await folderOf(TWO_MIGRATIONS),
      concurrency: '1',
    });
    const plan = await workflow.plan({ tenants, 'max-failures': '4', 'tenants-per-shard': '10' });
    const runs = await Promise.all(shardsOf(plan).map((shard) => workflow.apply(shard)));
    expect(runs).toHaveLength(4);
    const report = reportOf(await workflow.report());
    // Each of four shards may have one, and is stopped by its second.
    expect(report.counts).toMatchObject({ total: 40, failed: 8, skipped: 32 });
  });

  test('are carried out twice at once without doing anything twice, also with an index built concurrently', async () => {
    const { ids, tenants } = await seed(8);
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${count}`), {
      'migrations-folder': await folderOf({
        '0000_init': GUIDE_TABLES,
        '0001_index': ['-- neon-fleet: no-transaction\nCREATE INDEX CONCURRENTLY tasks_title ON tasks (title)'],
        '0002_third': ['ALTER TABLE tasks ADD due date'],
      }),
      'lock-wait': '60s',
    });
    await workflow.plan({ tenants });
    // Neither is told what the other one does.
    const alone = { reports: '' };
    const [one, other] = await Promise.all([workflow.apply(1, alone), workflow.apply(1, alone)]);
    expect([one.exitCode, other.exitCode]).toEqual([0, 0]);
    const done = Number(one.outputs['succeeded']) + Number(other.outputs['succeeded']);
    const found = Number(one.outputs['unchanged']) + Number(other.outputs['unchanged']);
    expect({ done, found }).toEqual({ done: 8, found: 8 });
    for (const id of ids) {
      expect(await recorded(id)).toEqual({ rows: 3, different: 3 });
      const [index] = await fleet.query<{ valid: boolean }>(
        id,
        `SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = 'public.tasks_title'::regclass`,
      );
      expect(index?.valid).toBe(true);
    }
  });

  test('account for a shard whose job was killed, and do only what is left when it is run again', async () => {
    const { ids, tenants, name } = await seed(12);
    const folder = await folderOf({ '0000_init': GUIDE_TABLES });
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${count}`), {
      'migrations-folder': folder,
      concurrency: '1',
    });
    const plan = await workflow.plan({ tenants, 'tenants-per-shard': '6' });
    expect(shardsOf(plan)).toEqual([1, 2]);
    await workflow.apply(1);

    let killed = false;
    const run = await workflow.startApply(
      2,
      {},
      {
        onLog: (text) => {
          if (killed || !text.includes('3/6')) return;
          killed = true;
          run.process.kill('SIGKILL');
        },
      },
    );
    expect((await run.finished).signal).toBe('SIGKILL');

    const report = await workflow.report();
    expect(report.exitCode).toBe(1);
    const reported = reportOf(report);
    expect(reported.counts.total).toBe(12);
    expect(reported.counts.succeeded).toBeGreaterThanOrEqual(9);
    const missing = outcomeOf(report, name(11));
    expect(missing).toMatchObject({ status: 'failed', error: { code: 'no-report' } });
    expect(missing.detail).toContain('shard 2 did not report');

    const requestsBefore = fleet.neon.requests().length;
    const again = await workflow.apply(2, {}, { attempt: 2 });
    expect(again.exitCode).toBe(0);
    // Each of the shard is looked at once: who was changed by the attempt before, too. The other shard is left alone.
    const asked = fleet.neon
      .requests()
      .slice(requestsBefore)
      .filter(({ path: asking }) => asking.includes('connection_uri'));
    expect(asked).toHaveLength(6);
    expect(new Set(asked.map(({ path: asking }) => asking)).size).toBe(6);
    const merged = await workflow.report();
    expect(merged.outputs).toMatchObject({ verdict: 'succeeded', failed: '0' });
    expect(reportOf(merged).counts).toMatchObject({ total: 12, succeeded: 12 });
    for (const id of ids) expect(await recorded(id)).toEqual({ rows: 1, different: 1 });
  });

  test('write their report when they are cancelled, and leave nothing half done', async () => {
    const { ids, tenants } = await seed(5);
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${count}`), {
      'migrations-folder': await folderOf({
        '0000_init': GUIDE_TABLES,
        '0001_slow': ['CREATE TABLE half_done (id int)', 'SELECT pg_sleep(120)'],
      }),
      concurrency: '2',
    });
    await workflow.plan({ tenants });
    const run = await workflow.startApply(1);
    await Promise.all(ids.slice(0, 2).map((id) => fleet.statementRuns(id, '%pg_sleep%')));
    run.cancel();
    const finished = await run.finished;
    expect(finished).toMatchObject({ exitCode: 1, signal: null, outputs: { verdict: 'incomplete' } });
    expect(reportOf(finished).counts.total).toBe(5);
    for (const id of ids.slice(0, 2)) {
      expect(await recorded(id)).toEqual({ rows: 1, different: 1 });
      expect(await fleet.tables(id)).not.toContain('public.half_done');
    }
  });

  test('refuse a plan that was made for other migrations', async () => {
    const { ids, tenants } = await seed(2);
    const folder = await folderOf({ '0000_init': GUIDE_TABLES });
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${count}`), {
      'migrations-folder': folder,
    });
    await workflow.plan({ tenants });
    await folderOf(TWO_MIGRATIONS);
    const run = await workflow.apply(1);
    expect(run.exitCode).toBe(1);
    expect(run.outputs['message']).toContain('the plan was made for something else');
    expect(run.log).toContain('migrations was');
    expect(await fleet.tables(ids[0] ?? '')).toEqual([]);
  });

  test('are none when a live look finds nothing to do', async () => {
    const { tenants } = await seed(3);
    const folder = await folderOf({ '0000_init': GUIDE_TABLES });
    await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${count}`), {
      'migrations-folder': folder,
    });
    const plan = await workflow.plan({ tenants, state: 'live' });
    expect(plan).toMatchObject({ exitCode: 0, outputs: { shards: '0', tenants: '0', matrix: '{"shard":[]}' } });
    expect((await workflow.report()).outputs).toMatchObject({ verdict: 'succeeded', unchanged: '3' });
  });
});
