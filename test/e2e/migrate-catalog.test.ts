import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

import { outcomeOf, reportOf, statuses, TestFleet } from '../support/fleet.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';
import { placesThatShow } from '../support/secrets.js';
import { shardsOf, Workflow } from '../support/workflow.js';

let fleet: TestFleet;
let catalogId: string;
let catalogUrl: string;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start({ restorePoints: true });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(async () => {
  fleet.neon.faults.clear();
  count += 1;
  [catalogId = ''] = await fleet.neon.seedProjects([`the catalog ${count}`]);
  catalogUrl = await fleet.uriOf(catalogId);
});

const ONE = { '0000_init': GUIDE_TABLES };
const TWO = { ...ONE, '0001_second': ['CREATE TABLE fine (id int)', 'CREATE DOMAIN public.occupied AS text'] };

/** Tenants of one test only, in the order of their names, and a folder of migrations. */
async function seed(size: number, files: Readonly<Record<string, readonly string[]>> = ONE) {
  const name = (index: number) => `c${count}-${index}`;
  const ids = await fleet.neon.seedProjects(Array.from({ length: size }, (_, index) => name(index)));
  return { ids, name, tenants: `c${count}-*`, folder: await folderOf(files) };
}

function folderOf(files: Readonly<Record<string, readonly string[]>>, name = 'drizzle'): Promise<string> {
  return writeMigrations(path.join(fleet.folder, `${name}-${count}`), files);
}

async function ask<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
  return fleet.query<Row>(catalogId, sql);
}

/** What the catalog has of each tenant of the test, by name. */
async function versions(): Promise<Record<string, string | null>> {
  const rows = await ask<{ name: string; schema_version: string | null }>(
    'SELECT name, schema_version FROM fleet.project JOIN fleet.customer ON customer.id = customer_id ORDER BY name',
  );
  return Object.fromEntries(rows.map(({ name, schema_version: version }) => [name, version]));
}

const connectionsOf = (ids: readonly string[]) => Promise.all(ids.map((id) => fleet.neon.connections(id)));
const listings = (from: number) =>
  fleet.neon
    .requests()
    .slice(from)
    .filter(({ method, path: at }) => method === 'GET' && at.endsWith('/projects')).length;

describe('migrate with a catalog', () => {
  test('tells it who is at which version, and plans by that without waking or listing anybody', async () => {
    const { ids, tenants, folder } = await seed(3);
    const inputs = { 'migrations-folder': folder, 'catalog-url': catalogUrl };
    const run = await fleet.run('migrate', { tenants, ...inputs });
    expect({ exitCode: run.exitCode, log: run.log }).toMatchObject({ exitCode: 0 });
    expect(run.outputs['catalog-replay'] ?? '').toBe('');
    expect(placesThatShow(new URL(catalogUrl).password, run)).toEqual([]);
    expect(await versions()).toEqual({
      [`c${count}-0`]: '0000_init',
      [`c${count}-1`]: '0000_init',
      [`c${count}-2`]: '0000_init',
    });
    expect(await ask('SELECT action, command, verdict, actor FROM fleet.migration_run')).toEqual([
      { action: 'migrate', command: 'run', verdict: 'succeeded', actor: 'octocat' },
    ]);
    expect(await ask('SELECT DISTINCT region, postgres_version, database_name, status FROM fleet.project')).toEqual([
      { region: 'aws-us-east-1', postgres_version: 17, database_name: null, status: 'ready' },
    ]);

    await fleet.neon.suspendAll();
    const connected = await connectionsOf(ids);
    const requests = fleet.neon.requests().length;
    const believing = { command: 'plan', tenants, source: 'catalog', state: 'catalog', ...inputs };
    const planned = await fleet.run('migrate', believing);
    expect({ exitCode: planned.exitCode, log: planned.log }).toMatchObject({ exitCode: 0 });
    expect(planned.outputs).toMatchObject({ shards: '0', tenants: '0' });
    expect(planned.summary).toContain('by the catalog');
    expect(listings(requests)).toBe(0);
    expect(await connectionsOf(ids)).toEqual(connected);

    // Another migration, or the same ones with another content: they have to be looked at.
    const more = await fleet.run('migrate', { ...believing, 'migrations-folder': await folderOf(TWO, 'two') });
    expect(more.outputs).toMatchObject({ tenants: '3' });
    const edited = { '0000_init': [...GUIDE_TABLES, 'CREATE TABLE late (id int)'] };
    const other = await fleet.run('migrate', { ...believing, 'migrations-folder': await folderOf(edited, 'edited') });
    expect(other.outputs).toMatchObject({ tenants: '3' });
    // Another database, branch or table of migrations has a version of its own.
    for (const place of [{ database: 'other' }, { branch: 'dev' }, { 'migrations-table': 'others' }]) {
      expect((await fleet.run('migrate', { ...believing, ...place })).outputs).toMatchObject({ tenants: '3' });
    }
  });

  test('over many jobs is one run, and what failed is planned again', async () => {
    const { ids, tenants, folder, name } = await seed(4, TWO);
    await fleet.query(ids[1] ?? '', 'CREATE DOMAIN public.occupied AS int');
    const inputs = { 'migrations-folder': folder, 'catalog-url': catalogUrl, 'max-failures': '1' };
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `jobs-${count}`), inputs);
    const planned = await workflow.plan({ tenants, 'tenants-per-shard': '2' });
    expect(shardsOf(planned)).toEqual([1, 2]);
    const applied = await Promise.all([workflow.apply(1), workflow.apply(2)]);
    expect(applied.map(({ exitCode }) => exitCode).toSorted()).toEqual([0, 1]);
    const reported = await workflow.report({ 'catalog-url': catalogUrl });
    expect(reported.outputs).toMatchObject({ verdict: 'failed', succeeded: '3', failed: '1' });

    expect(await ask('SELECT verdict FROM fleet.migration_run')).toEqual([{ verdict: 'failed' }]);
    expect(await ask('SELECT part FROM fleet.run_part ORDER BY part')).toEqual([{ part: 0 }, { part: 1 }, { part: 2 }]);
    expect(await ask('SELECT count(*)::int AS n FROM fleet.migration_outcome')).toEqual([{ n: 4 }]);
    expect(await ask('SELECT sum(failures)::int AS n FROM fleet.shard_failures')).toEqual([{ n: 1 }]);
    expect(await versions()).toEqual({
      [name(0)]: '0001_second',
      [name(1)]: '0000_init',
      [name(2)]: '0001_second',
      [name(3)]: '0001_second',
    });
    const again = await fleet.run('migrate', {
      command: 'plan',
      tenants: '*',
      source: 'catalog',
      state: 'catalog',
      ...inputs,
    });
    expect(again.outputs).toMatchObject({ tenants: '1', shards: '1' });
  });

  test('knows after undo what that leaves behind', async () => {
    const { tenants, folder, name } = await seed(2);
    const inputs = { 'migrations-folder': folder, 'catalog-url': catalogUrl };
    await fleet.run('migrate', { tenants, ...inputs });
    const two = { ...inputs, 'migrations-folder': await folderOf(TWO, 'two') };
    const runner = path.join(fleet.folder, `runner-${count}`);
    const rollout = await fleet.run('migrate', { tenants, ...two }, { folder: runner });
    expect(statuses(rollout)).toEqual({ [name(0)]: 'succeeded', [name(1)]: 'succeeded' });
    expect(Object.values(await versions())).toEqual(['0001_second', '0001_second']);

    const undoing = { command: 'undo', 'undo-report': rollout.outputs['report'] ?? '', ...two };
    const dry = await fleet.run('migrate', { ...undoing, 'dry-run': 'true' });
    expect({ exitCode: dry.exitCode, log: dry.log }).toMatchObject({ exitCode: 0 });
    expect(Object.values(await versions())).toEqual(['0001_second', '0001_second']);
    const undone = await fleet.run('migrate', { ...undoing, tenants: name(0) });
    expect({ exitCode: undone.exitCode, log: undone.log }).toMatchObject({ exitCode: 0 });
    expect(await versions()).toEqual({ [name(0)]: '0000_init', [name(1)]: '0001_second' });

    const planned = await fleet.run('migrate', { command: 'plan', tenants, state: 'catalog', ...two });
    expect(planned.outputs).toMatchObject({ tenants: '1' });
    expect(planned.summary).toContain(name(1));
  });

  test('never migrates the project that the catalog is in', async () => {
    const { ids, folder } = await seed(1);
    const both = [`c${count}-*`, catalogId].join('\n');
    const inputs = { 'migrations-folder': folder, 'catalog-url': catalogUrl };
    const globs = { tenants: `c${count}-*\nthe catalog*`, ...inputs };
    const refused = await fleet.run('migrate', { tenants: both, ...inputs });
    expect(refused.exitCode).toBe(1);
    expect(refused.log).toContain(`no project matches "${catalogId}"`);
    expect(await fleet.tables(ids[0] ?? '')).toEqual([]);
    const run = await fleet.run('migrate', { ...globs, tenants: `c${count}-*\n!the catalog ${count}` });
    expect(statuses(run)).toEqual({ [`c${count}-0`]: 'succeeded' });
    // Also where a plan was made without knowing of it.
    const planFolder = path.join(fleet.folder, `jobs-${count}`);
    const workflow = new Workflow(fleet, 'migrate', planFolder, { 'migrations-folder': folder });
    await workflow.plan({ tenants: catalogId });
    const applied = await workflow.apply(1, { 'catalog-url': catalogUrl });
    expect(outcomeOf(applied, `the catalog ${count}`)).toMatchObject({ status: 'failed' });
    expect(outcomeOf(applied, `the catalog ${count}`).detail).toContain('never a tenant');
  });
});

describe('a catalog that is down', () => {
  const nowhere = 'postgresql://someone:secret-word@127.0.0.1:9/catalog';

  test('changes nothing about a run, which is told later, as often as one likes', async () => {
    const { tenants, folder } = await seed(2);
    const runner = path.join(fleet.folder, `runner-${count}`);
    const inputs = { tenants, 'migrations-folder': folder, 'catalog-url': nowhere };
    const run = await fleet.run('migrate', inputs, { folder: runner });
    expect(run).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded', succeeded: '2' } });
    expect(run.log).toMatch(/::warning::The catalog was not told/);
    expect(placesThatShow('secret-word', run)).toEqual([]);

    const replay = run.outputs['catalog-replay'] ?? '';
    for (let time = 0; time < 2; time += 1) {
      const sync = await fleet.run('provision', { command: 'sync', 'catalog-url': catalogUrl, replay });
      expect({ exitCode: sync.exitCode, log: sync.log }).toMatchObject({ exitCode: 0 });
    }
    expect(Object.values(await versions())).toEqual(['0000_init', '0000_init']);
    expect(await ask('SELECT count(*)::int AS n FROM fleet.migration_outcome')).toEqual([{ n: 2 }]);
    const planned = await fleet.run('migrate', {
      command: 'plan',
      tenants,
      state: 'catalog',
      'migrations-folder': folder,
      'catalog-url': catalogUrl,
    });
    expect(planned.outputs).toMatchObject({ shards: '0' });
  });

  test.each([
    ['source', { source: 'catalog' }],
    ['state', { state: 'catalog' }],
  ])('is an error for a plan that takes its %s from there', async (_, from) => {
    const { ids, tenants, folder } = await seed(1);
    const inputs = { command: 'plan', tenants, 'migrations-folder': folder, ...from };
    const run = await fleet.run('migrate', { ...inputs, 'catalog-url': nowhere });
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain('the catalog cannot be reached, and this run needs it; nothing was done');
    expect(run.outputs['plan'] ?? '').toBe('');
    expect(placesThatShow('secret-word', run)).toEqual([]);
    const without = await fleet.run('migrate', inputs);
    expect(without.log).toContain('catalog without catalog-url');
    const garbled = await fleet.run('migrate', { ...inputs, 'catalog-url': 'mysql://someone:secret-word@host/x' });
    expect(garbled.log).toContain('catalog-url');
    expect(placesThatShow('secret-word', garbled)).toEqual([]);
    expect(await fleet.tables(ids[0] ?? '')).toEqual([]);
  });

  test('leaves a shard its own share of the budget', async () => {
    const { ids, tenants, folder } = await seed(6, TWO);
    for (const id of ids) await fleet.query(id, 'CREATE DOMAIN public.occupied AS int');
    const inputs = { 'migrations-folder': folder, 'max-failures': '2' };
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `jobs-${count}`), inputs);
    await workflow.plan({ tenants, 'tenants-per-shard': '3' });
    const applied = await workflow.apply(1, { 'catalog-url': nowhere, concurrency: '1' });
    expect(reportOf(applied).counts).toMatchObject({ failed: 2, skipped: 1 });
    expect(applied.log.match(/::warning::The failures of the other shards are not known/g)).toHaveLength(1);
  });
});

describe('a job that is killed after it was published and before the catalog knows', () => {
  test('is told by the report of the rollout, or out of the file that it left', async () => {
    const { tenants, folder } = await seed(3);
    const inputs = { 'migrations-folder': folder, 'catalog-url': catalogUrl };
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `jobs-${count}`), inputs);
    await workflow.plan({ tenants });

    const blocker = new pg.Client({ connectionString: await fleet.neon.adminUrlFor(catalogId) });
    await blocker.connect();
    await blocker.query('BEGIN; LOCK TABLE fleet.migration_run IN ACCESS EXCLUSIVE MODE');
    const job = await workflow.startApply(1);
    await fleet.statementRuns(catalogId, 'INSERT INTO fleet.migration_run%');
    job.process.kill('SIGKILL');
    const killed = await job.finished;
    expect(killed.signal).toBe('SIGKILL');
    expect(killed.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '3' });
    await blocker.query('ROLLBACK');
    await blocker.end();
    // What the killed session had sent is not carried out any more once it is gone.
    while ((await sessions()) > 0) await delay(5);
    expect(await ask('SELECT count(*)::int AS n FROM fleet.migration_outcome')).toEqual([{ n: 0 }]);

    const files = await readdir(workflow.folder, { recursive: true });
    const kept = files.filter((file) => /catalog-[0-9a-f-]+\.json$/.test(file));
    expect(kept).toHaveLength(1);
    const replay = path.join(workflow.folder, kept[0] ?? '');
    const reported = await workflow.report({ 'catalog-url': catalogUrl });
    expect(reported.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '3' });
    const everything = async () => ({
      outcomes: await ask('SELECT status, to_version FROM fleet.migration_outcome'),
      certain: await ask('SELECT schema_version FROM fleet.database_version WHERE migrations_digest IS NOT NULL'),
      runs: await ask('SELECT verdict FROM fleet.migration_run'),
    });
    const three = <T>(each: T) => [each, each, each];
    const known = {
      outcomes: three({ status: 'succeeded', to_version: '0000_init' }),
      certain: three({ schema_version: '0000_init' }),
      runs: [{ verdict: 'succeeded' }],
    };
    expect(await everything()).toEqual(known);
    const sync = await fleet.run('provision', { command: 'sync', 'catalog-url': catalogUrl, replay });
    expect(sync.exitCode).toBe(0);
    expect(await everything()).toEqual(known);
  });

  async function sessions(): Promise<number> {
    const [row] = await ask<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    return row?.n ?? 0;
  }

  test('leaves no version behind that undo was about to take back', async () => {
    const { tenants, folder } = await seed(1, TWO);
    const inputs = { 'migrations-folder': folder, 'catalog-url': catalogUrl };
    const runner = path.join(fleet.folder, `runner-${count}`);
    const rollout = await fleet.run('migrate', { tenants, ...inputs }, { folder: runner });
    expect(rollout.exitCode).toBe(0);
    fleet.neon.faults.set({ kind: 'latency', ms: 2_000, path: '**/restore' });
    const undoing = { command: 'undo', 'undo-report': rollout.outputs['report'] ?? '', ...inputs };
    const run = await fleet.start('migrate', undoing);
    const before = fleet.neon.requests().length;
    const asked = () =>
      fleet.neon
        .requests()
        .slice(before)
        .some(({ path: at }) => at.endsWith('/restore'));
    while (run.process.exitCode === null && !asked()) await delay(5);
    run.process.kill('SIGKILL');
    await run.finished;
    fleet.neon.faults.clear();
    const planned = await fleet.run('migrate', { command: 'plan', tenants, state: 'catalog', ...inputs });
    expect(planned.outputs).toMatchObject({ tenants: '1' });
  });
});

test('a baseline is told as the version that it adopts', async () => {
  const { ids, tenants, folder } = await seed(1);
  await fleet.queryAsOwner(ids[0] ?? '', GUIDE_TABLES.join(';'));
  const inputs = {
    command: 'baseline',
    at: '0000_init',
    tenants,
    'migrations-folder': folder,
    'catalog-url': catalogUrl,
  };
  expect((await fleet.run('migrate', inputs)).exitCode).toBe(0);
  expect(
    await ask(
      "SELECT to_regclass('fleet.migration_run') IS NOT NULL AND EXISTS (SELECT FROM fleet.migration_run) AS told",
    ),
  ).toEqual([{ told: false }]);
  expect((await fleet.run('migrate', { ...inputs, 'dry-run': 'false' })).exitCode).toBe(0);
  expect(Object.values(await versions())).toEqual(['0000_init']);
  const planned = await fleet.run('migrate', {
    command: 'plan',
    tenants,
    state: 'catalog',
    'migrations-folder': folder,
    'catalog-url': catalogUrl,
  });
  expect(planned.outputs).toMatchObject({ shards: '0' });
});
