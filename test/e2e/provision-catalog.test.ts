import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FinishedAction } from '@neon-fleet/local-runner';
import { createApiClient } from '@neondatabase/api-client';
import pg from 'pg';

import { outcomeOf, TestFleet, statuses } from '../support/fleet.js';
import { LocalGitHub } from '../support/github.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';
import { placesThatShow } from '../support/secrets.js';

let fleet: TestFleet;
let migrations: string;
let catalogUrl: string;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
  migrations = await writeMigrations(path.join(fleet.folder, 'drizzle'), { '0000_init': GUIDE_TABLES });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(async () => {
  fleet.neon.faults.clear();
  count += 1;
  // As the guide has it: a Neon project of its own, reached like every other one.
  const [id = ''] = await fleet.neon.seedProjects([`catalog ${count}`]);
  catalogUrl = await fleet.uriOf(id);
  catalogId = id;
});
let catalogId: string;

async function ask<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
  return fleet.query<Row>(catalogId, sql);
}

async function provision(text: string, inputs: Record<string, string> = {}): Promise<FinishedAction> {
  return fleet.run('provision', await inputsFor(text, inputs));
}

async function inputsFor(text: string, inputs: Record<string, string> = {}): Promise<Record<string, string>> {
  const file = path.join(fleet.folder, `fleet-${count}.yml`);
  await writeFile(file, text);
  return {
    'fleet-file': file,
    'catalog-url': catalogUrl,
    'migrations-folder': migrations,
    concurrency: '20',
    ...inputs,
  };
}

function twenty(prefix: string): string {
  const tenants = Array.from(
    { length: 20 },
    (_, index) => `  - { key: ${prefix}-${index}, name: "${prefix} ${index}" }`,
  );
  return `tenants:\n${tenants.join('\n')}\n`;
}

async function projectsNamed(prefix: string) {
  const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
  return (await api.listProjects({ limit: 400, search: prefix })).data.projects;
}

const creations = (start: number) =>
  fleet.neon
    .requests()
    .slice(start)
    .filter(({ method, path: at }) => method === 'POST' && at.endsWith('/projects')).length;

describe('with a catalog', () => {
  test('tenants are registered with version and place, and nothing secret', async () => {
    const name = `reg${count}`;
    const run = await provision(`tenants:\n  - { key: ${name}, name: ${name} ACME }\n`);
    expect(run.log).toContain('provision');
    expect(run.outputs['verdict']).toBe('succeeded');
    expect(
      await ask(`SELECT slug, name, status, schema_version, database_name, role_name, region, ready_at IS NOT NULL AS ready
                   FROM fleet.project JOIN fleet.customer ON customer.id = customer_id`),
    ).toEqual([
      {
        slug: name,
        name: `${name} ACME`,
        status: 'ready',
        schema_version: '0000_init',
        database_name: 'neondb',
        role_name: 'neondb_owner',
        region: 'aws-us-east-1',
        ready: true,
      },
    ]);
    expect(await ask('SELECT action, verdict, actor FROM fleet.migration_run')).toEqual([
      { action: 'provision', verdict: 'succeeded', actor: 'octocat' },
    ]);
    const made = { actor: 'octocat', run_url: 'https://github.com/org/app/actions/runs/1' };
    expect(await ask('SELECT what, actor, run_url FROM fleet.event')).toEqual([{ what: 'created', ...made }]);
    await provision(`tenants:\n  - { key: ${name}, name: ${name} ACME }\n`, { command: 'rotate', tenants: name });
    expect(await ask("SELECT what, actor, run_url FROM fleet.event WHERE what <> 'created'")).toEqual([
      { what: 'password-rotated', ...made },
    ]);
    expect(await ask('SELECT * FROM fleet.creation_intent')).toEqual([]);
    expect(placesThatShow(new URL(catalogUrl).password, run)).toEqual([]);
  });

  test('a changed name renames the project, without an id in the file', async () => {
    const name = `ren${count}`;
    await provision(`tenants:\n  - { key: ${name}, name: ${name} old }\n`);
    const [before] = await projectsNamed(name);
    const run = await provision(`tenants:\n  - { key: ${name}, name: ${name} new }\n`);
    expect(statuses(run)).toEqual({ [`${name} new`]: 'succeeded' });
    expect(await projectsNamed(name)).toMatchObject([{ id: before?.id, name: `${name} new` }]);
  });

  test('two processes at once create each project once, although the list is late', async () => {
    const prefix = `race${count}`;
    fleet.neon.faults.set({ kind: 'delayed-listing', ms: 1_500 });
    const inputs = await inputsFor(twenty(prefix));
    const before = fleet.neon.requests().length;
    const runs = await Promise.all([fleet.run('provision', inputs), fleet.run('provision', inputs)]);
    expect(runs.map(({ outputs }) => outputs['verdict'])).toEqual(['succeeded', 'succeeded']);
    expect(creations(before)).toBe(20);
    fleet.neon.faults.clear();
    expect(await projectsNamed(prefix)).toHaveLength(20);
    expect(await ask("SELECT count(*)::int AS n FROM fleet.project WHERE status = 'ready'")).toEqual([{ n: 20 }]);
  });

  test.each([2, 8, 14])('a run that is killed after %d creations is finished by the next one', async (moment) => {
    const prefix = `kill${count}`;
    const inputs = await inputsFor(twenty(prefix), { concurrency: '4' });
    const before = fleet.neon.requests().length;
    const run = await fleet.start('provision', inputs);
    while (run.process.exitCode === null && creations(before) < moment) await delay(1);
    run.process.kill('SIGKILL');
    expect((await run.finished).signal).toBe('SIGKILL');

    const again = await fleet.run('provision', inputs);
    expect(again.outputs['verdict']).toBe('succeeded');
    const projects = await projectsNamed(prefix);
    expect(projects).toHaveLength(20);
    for (const { id } of projects) expect(await fleet.tables(id)).toContain('public.tasks');
    // All of them are recorded as ready now: the next run asks nobody.
    const requests = fleet.neon.requests().length;
    expect((await fleet.run('provision', inputs)).outputs).toMatchObject({ verdict: 'succeeded', unchanged: '20' });
    expect(fleet.neon.requests().length - requests).toBeLessThanOrEqual(3);
  });

  test('that is down, a run is as good as without, and the catalog is told later', async () => {
    const name = `down${count}`;
    const text = `tenants:\n  - { key: ${name}, name: ${name} }\n`;
    const nowhere = 'postgresql://someone:secret-word@127.0.0.1:9/catalog';
    const folder = path.join(fleet.folder, `runner-${count}`);
    const run = await fleet.run('provision', await inputsFor(text, { 'catalog-url': nowhere }), { folder });
    expect(run.exitCode).toBe(0);
    expect(run.log).toMatch(/::warning::The catalog cannot be reached/);
    expect(run.log).toMatch(/::warning::The catalog was not told/);
    expect(placesThatShow('secret-word', run)).toEqual([]);

    const replay = run.outputs['catalog-replay'] ?? '';
    for (let time = 0; time < 2; time += 1) {
      const sync = await fleet.run('provision', { command: 'sync', 'catalog-url': catalogUrl, replay });
      expect(sync.exitCode).toBe(0);
    }
    expect(
      await ask('SELECT slug, schema_version FROM fleet.project JOIN fleet.customer ON customer.id = customer_id'),
    ).toEqual([{ slug: name, schema_version: '0000_init' }]);
    expect(await ask('SELECT count(*)::int AS n FROM fleet.migration_outcome')).toEqual([{ n: 1 }]);
  });

  test('a tenant that only gets its secret is not recorded as migrated, and a plan by the catalog has it', async () => {
    const name = `late${count}`;
    await provision(`tenants:\n  - { key: ${name}, name: ${name} }\n`);
    const folder = await writeMigrations(path.join(fleet.folder, `drizzle-${count}`), {
      '0000_init': GUIDE_TABLES,
      '0001_more': ['CREATE TABLE more (id int)'],
    });
    await using github = await LocalGitHub.start();
    const text = `tenants:\n  - { key: ${name}, name: ${name}, application-role: late_app${count} }\n`;
    const run = await fleet.run(
      'provision',
      await inputsFor(text, {
        'migrations-folder': folder,
        'github-secret': 'auto',
        'github-token': 'github_pat_0123456789abcdefghij',
      }),
      { env: { GITHUB_API_URL: github.apiUrl } },
    );
    // Its secret was lacking and it was ready, so that nobody migrated it.
    expect(outcomeOf(run, name).detail).toContain(`made the role late_app${count}`);
    expect(JSON.parse(run.outputs['projects'] ?? '')).toMatchObject([{ key: name }]);
    const [project] = await projectsNamed(name);
    expect(await fleet.tables(project?.id ?? '')).not.toContain('public.more');
    expect(await ask('SELECT schema_version FROM fleet.project')).toEqual([{ schema_version: '0000_init' }]);

    const catalog = { 'catalog-url': catalogUrl, 'migrations-folder': folder, tenants: name };
    const plan = await fleet.run('migrate', { ...catalog, command: 'plan', state: 'catalog' });
    expect(plan.outputs).toMatchObject({ verdict: 'succeeded', tenants: '1' });
  });

  test('sync takes in what exists, and follows names and deletions', async () => {
    const name = `sync${count}`;
    const [a = '', b = ''] = await fleet.neon.seedProjects([`${name} a`, `${name} b`, `${name} stranger`]);
    const text = `tenants:\n  - { key: ${name}-a, name: ${name} a }\n  - { key: ${name}-b, name: ${name} b, project-id: ${b} }\n`;
    const first = await provision(text, { command: 'sync' });
    expect(statuses(first)).toEqual({ [`${name} a`]: 'succeeded', [`${name} b`]: 'succeeded' });
    const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
    await api.updateProject(a, { project: { name: `${name} renamed` } });
    await api.deleteProject(b);
    const second = await provision(`tenants:\n  - { key: ${name}-a, name: ${name} a }\n`, { command: 'sync' });
    expect(second.outputs).toMatchObject({ succeeded: '2', failed: '0' });
    expect(
      await ask(
        `SELECT name, status FROM fleet.project JOIN fleet.customer ON customer.id = customer_id ORDER BY name`,
      ),
    ).toEqual([
      { name: `${name} b`, status: 'gone' },
      { name: `${name} renamed`, status: 'ready' },
    ]);
  });
});

describe('the input catalog-url', () => {
  test('is missed by sync together with all else, and its form is looked at before anything is done', async () => {
    const missing = await fleet.run('provision', { command: 'sync', concurrency: '0' });
    expect(missing.log).toMatch(/catalog-url: given nothing; accepted: .*needed for sync/);
    expect(missing.log).toMatch(/concurrency: given "0"/);
    const run = await fleet.run('provision', { name: 'a', 'catalog-url': 'mysql://a:secret-word@host/c' });
    expect(run.exitCode).toBe(1);
    expect(run.log).toMatch(/catalog-url: given a secret \(.*\); accepted: postgresql:/);
    expect(placesThatShow('secret-word', run)).toEqual([]);
  });
});

describe('a status', () => {
  test('shows versions, laggards, failures, backups and use, as summary, JSON and page', async () => {
    const name = `st${count}`;
    const text = `tenants:\n  - { key: ${name}-a, name: "${name} <b>A</b>" }\n  - { key: ${name}-b, name: ${name} B }\n`;
    await provision(text);
    const [b] = await projectsNamed(`${name} B`);
    await ask(`UPDATE fleet.project SET schema_version = '0000_before' WHERE neon_project_id = '${b?.id ?? ''}'`);
    await ask(`UPDATE fleet.migration_outcome SET status = 'failed', error_code = 'SQLSTATE 42701'
                WHERE project_id = (SELECT id FROM fleet.project WHERE neon_project_id = '${b?.id ?? ''}')`);
    await ask(`INSERT INTO fleet.backup (project_id, database_name, storage_key, size_bytes, sha256, created_at)
                SELECT id, 'neondb', 'k', 1, 'x', now() FROM fleet.project WHERE neon_project_id = '${b?.id ?? ''}'`);
    await fleet.neon.suspendAll();
    const folder = path.join(fleet.folder, `runner-${count}`);
    const inputs = { command: 'status', 'catalog-url': catalogUrl };
    const run = await fleet.run('provision', inputs, { folder });
    expect(run.exitCode).toBe(0);
    expect(run.summary).toContain('1 whose last migration failed');
    expect(run.summary).toContain('1 behind 0000_init');
    expect(run.summary).toContain('1 without a backup of the last two days');
    expect(run.summary).not.toContain('<b>A</b>');

    const status = JSON.parse(await readFile(run.outputs['status-json'] ?? '', 'utf8')) as {
      rows: { name: string; computeHours: number; isBehind: boolean; outcome: string; backupAt?: string }[];
    };
    const rows = Object.fromEntries(status.rows.map((row) => [row.name, row]));
    expect(rows[`${name} B`]).toMatchObject({ isBehind: true, outcome: 'failed: SQLSTATE 42701' });
    expect(rows[`${name} B`]?.backupAt).toBeDefined();
    expect(rows[`${name} <b>A</b>`]).toMatchObject({ isBehind: false, version: '0000_init' });
    // The stand-in says that each project used as many hours as its number in the account.
    for (const { computeHours } of status.rows) expect(computeHours).toBeGreaterThan(0);
    expect(await readFile(run.outputs['status-html'] ?? '', 'utf8')).toContain(`${name} B`);
    // Nobody was woken but the catalog.
    const connections = await Promise.all((await projectsNamed(name)).map(({ id }) => fleet.neon.connections(id)));
    const again = await fleet.run('provision', inputs, { folder });
    expect(again.exitCode).toBe(0);
    expect(await Promise.all((await projectsNamed(name)).map(({ id }) => fleet.neon.connections(id)))).toEqual(
      connections,
    );

    const hidden = await fleet.run('provision', { ...inputs, privacy: 'ids' }, { folder });
    const pages = await Promise.all(
      ['status-html', 'status-json'].map((file) => readFile(hidden.outputs[file] ?? '', 'utf8')),
    );
    for (const shown of [...pages, hidden.summary, hidden.report ?? '', hidden.log])
      expect(shown).not.toContain(`${name} B`);
  });

  test('needs to be told whom it is about when there is no catalog', async () => {
    const run = await fleet.run('provision', { command: 'status' });
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain('neither fleet-file nor tenants is set');
    const all = await fleet.run('provision', { command: 'status', tenants: 'catalog *' });
    expect(all.outputs['verdict']).toBe('succeeded');
    expect(all.summary).toContain('Without a catalog nothing is known');
  });
});
