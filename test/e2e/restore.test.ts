import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createApiClient, EndpointType } from '@neondatabase/api-client';
import pg from 'pg';

import { TestFleet, outcomeOf, statuses } from '../support/fleet.js';
import { writeMigrations } from '../support/migrations.js';
import { placesThatShow } from '../support/secrets.js';
import { StoreInspector } from '../support/store.js';

let fleet: TestFleet;
let store: StoreInspector;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
  store = new StoreInspector(fleet.neon.s3);
});
afterAll(async () => {
  store[Symbol.dispose]();
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  fleet.neon.faults.clear();
  count += 1;
});

async function seedTenant(name = 'tenant'): Promise<{ id: string; name: string }> {
  const full = `r${count} ${name}`;
  const [id = ''] = await fleet.neon.seedProjects([full]);
  await fleet.queryAsOwner(id, "CREATE TABLE notes (body text); INSERT INTO notes VALUES ('before')");
  return { id, name: full };
}

/** Asks a database by its URI, as somebody who was given it would. */
async function ask(uri: string, sql: string): Promise<unknown[]> {
  const url = new URL(uri);
  const isTls = url.searchParams.get('sslmode') === 'require';
  url.search = '';
  const ca = await readFile(fleet.neon.caFile, 'utf8');
  const client = new pg.Client({ connectionString: url.href, ...(isTls ? { ssl: { ca } } : {}) });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows.map((row) => Object.values(row)[0]);
  } finally {
    await client.end();
  }
}

const NOTES = 'SELECT body FROM notes ORDER BY body';

async function branchesOf(id: string) {
  const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
  return (await api.listProjectBranches({ projectId: id })).data.branches;
}

function restoring(inputs: Record<string, string>) {
  return fleet.run('backup', { command: 'restore', ...fleet.s3Inputs, ...inputs });
}

function backUp(...ids: string[]) {
  return fleet.run('backup', { tenants: ids.join('\n'), ...fleet.s3Inputs });
}

/** Resolves when a materialised view is being filled, which is the end of loading a dump. */
async function refreshRuns(): Promise<void> {
  const sql = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'REFRESH MATERIALIZED VIEW%'";
  while ((await ask(fleet.neon.postgresUrl, sql)).length === 0);
}

describe('restore to a moment', () => {
  test('inside of the window is instant, beside the original, and is found again by a second run', async () => {
    const { id, name } = await seedTenant();
    const { timestamp } = await fleet.neon.recordState(id);
    await fleet.queryAsOwner(id, "INSERT INTO notes VALUES ('later')");
    // There is no backup at all: the way does not lead through S3.
    const run = await restoring({ tenant: name, at: timestamp });
    expect({ exitCode: run.exitCode, log: run.log }).toEqual({ exitCode: 0, log: run.log });
    const { outputs } = run;
    expect(outputs).toMatchObject({ 'restored-by': 'instant', 'project-id': id, 'restored-database': 'neondb' });
    expect(outputs['restored-from']).toBeUndefined();
    const uri = outputs['connection-uri'] ?? '';
    expect(await ask(uri, NOTES)).toEqual(['before']);
    expect(await fleet.query(id, NOTES)).toEqual([{ body: 'before' }, { body: 'later' }]);
    expect(new URL(uri).host).toContain(outputs['host']);

    expect(run.summary).toContain('instant restore');
    expect(run.log).toMatch(/out of Neon's own history/);
    expect(placesThatShow(new URL(uri).password, run, ['connection-uri'])).toEqual([]);

    await ask(uri, "INSERT INTO notes VALUES ('afterwards') RETURNING body");
    const again = await restoring({ tenant: id, at: timestamp, target: 'branch' });
    expect(statuses(again)).toEqual({ [name]: 'unchanged: up-to-date' });
    expect(again.outputs['branch-id']).toBe(outputs['branch-id']);
    expect(await ask(again.outputs['connection-uri'] ?? '', NOTES)).toEqual(['afterwards', 'before']);
    expect(await branchesOf(id)).toHaveLength(2);
  });

  test('takes tenant, branch and database from the fleet file, where the key is not the name', async () => {
    const { id, name } = await seedTenant();
    const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
    const live = await api.createProjectBranch(id, {
      branch: { name: 'live' },
      endpoints: [{ type: EndpointType.ReadWrite }],
    });
    const liveId = live.data.branch.id;
    const { data } = await api.getConnectionUri({
      projectId: id,
      branch_id: liveId,
      database_name: 'neondb',
      role_name: 'neondb_owner',
    });
    await ask(data.uri, "INSERT INTO notes VALUES ('in live') RETURNING body");
    const { timestamp } = await fleet.neon.recordState(id, { branchId: liveId });
    await ask(data.uri, "INSERT INTO notes VALUES ('later') RETURNING body");
    const file = path.join(fleet.folder, `fleet-${count}.yml`);
    await writeFile(file, `tenants:\n  - { key: acme, name: ${name}, branch: live, database: neondb }\n`);

    const run = await restoring({ tenant: 'acme', at: timestamp, 'fleet-file': file });
    expect({ exitCode: run.exitCode, log: run.log }).toEqual({ exitCode: 0, log: run.log });
    expect(run.outputs).toMatchObject({ 'restored-by': 'instant', 'project-id': id });
    expect(await ask(run.outputs['connection-uri'] ?? '', NOTES)).toEqual(['before', 'in live']);
    const made = (await branchesOf(id)).find((branch) => branch.id === run.outputs['branch-id']);
    expect(made?.parent_id).toBe(liveId);
  });

  test('makes one branch when the answer is lost, and when two runs make it at the same time', async () => {
    const { id, name } = await seedTenant();
    const { timestamp } = await fleet.neon.recordState(id);
    fleet.neon.faults.set({ kind: 'lost-answer', path: 'createProjectBranch', times: 1 });
    const run = await restoring({ tenant: id, at: timestamp });
    expect(statuses(run)).toEqual({ [name]: 'succeeded' });
    expect(await branchesOf(id)).toHaveLength(2);

    const other = await seedTenant('other');
    const moment = (await fleet.neon.recordState(other.id)).timestamp;
    const both = await Promise.all([1, 2].map(() => restoring({ tenant: other.id, at: moment })));
    expect(both.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(new Set(both.map(({ outputs }) => outputs['branch-id'])).size).toBe(1);
    expect(await branchesOf(other.id)).toHaveLength(2);
  });

  test('leaves a branch alone that somebody else has given that name', async () => {
    const { id } = await seedTenant();
    const { timestamp } = await fleet.neon.recordState(id);
    const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
    const taken = `restored-at-${timestamp.replace(/[-:.]/g, '')}`;
    await api.createProjectBranch(id, { branch: { name: taken } });
    const run = await restoring({ tenant: id, at: timestamp });
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain('It was not made by this restore, and is left alone');
    expect(await branchesOf(id)).toHaveLength(2);
  });

  test('outside of the window is the newest dump before it, in a branch, and says why', async () => {
    const { id, name } = await seedTenant();
    await backUp(id);
    const at = new Date().toISOString();
    await fleet.queryAsOwner(id, "INSERT INTO notes VALUES ('later')");
    const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
    await api.updateProject(id, { project: { history_retention_seconds: 0 } });
    const run = await restoring({ tenant: name, at });
    expect({ exitCode: run.exitCode, log: run.log }).toEqual({ exitCode: 0, log: run.log });
    expect(run.outputs).toMatchObject({ 'restored-by': 'dump', 'restored-from': (await store.keys(id))[1] });
    expect(run.summary).toMatch(/older than .*: the history of the project reaches back to/);
    const uri = run.outputs['connection-uri'] ?? '';
    expect(await ask(uri, NOTES)).toEqual(['before']);
    expect(run.outputs['restored-database']).toMatch(/^neondb_restored_\d{8}t\d{6}$/);
    expect(await fleet.query(id, NOTES)).toHaveLength(2);

    // What was made is there after a run that was lost: the second one finds it done.
    const again = await restoring({ tenant: name, at });
    expect(statuses(again)).toEqual({ [name]: 'unchanged: up-to-date' });
    expect(again.outputs['branch-id']).toBe(run.outputs['branch-id']);
    expect(await branchesOf(id)).toHaveLength(2);
  });

  test('that Neon refuses is a dump as well', async () => {
    const { id, name } = await seedTenant();
    await backUp(id);
    // Nothing was recorded: the stand-in answers 422.
    const run = await restoring({ tenant: id, at: new Date().toISOString() });
    expect(statuses(run)).toEqual({ [name]: 'succeeded' });
    expect(run.outputs['restored-by']).toBe('dump');
    expect(run.log).toMatch(/^::warning.*Neon does not restore to/m);
    expect(outcomeOf(run, name).detail).toContain('Neon refused the moment');
  });

  test('with a target of its own is a dump, and names the other door', async () => {
    const { id, name } = await seedTenant();
    await backUp(id);
    const [targetId = ''] = await fleet.neon.seedProjects([`r${count} target`]);
    const at = new Date().toISOString();
    const inputs = { tenant: id, 'target-url': await fleet.uriOf(targetId), 'neon-api-key': '' };
    const refused = await restoring({ ...inputs, at: new Date(Date.now() - 3_600_000).toISOString() });
    expect(refused.log).toMatch(/there is no backup from .* or before .*target: branch restores the very moment/);
    const requests = fleet.neon.requests().length;
    const run = await restoring({ ...inputs, at });
    expect(outcomeOf(run, name).detail).toContain('target: branch restores the very moment');
    expect(fleet.neon.requests()).toHaveLength(requests);
    expect(await fleet.query(targetId, NOTES)).toEqual([{ body: 'before' }]);
  });
});

describe('restore of a backup into a branch', () => {
  test('stands beside the original, also when answers get lost', async () => {
    const { id, name } = await seedTenant();
    await backUp(id);
    await fleet.queryAsOwner(id, "INSERT INTO notes VALUES ('later')");
    fleet.neon.faults.set(
      { kind: 'lost-answer', path: 'createProjectBranch', times: 1 },
      { kind: 'lost-answer', path: 'createProjectBranchDatabase', times: 1 },
    );
    const run = await restoring({ tenant: name, backup: 'latest', target: 'branch' });
    expect({ exitCode: run.exitCode, log: run.log }).toEqual({ exitCode: 0, log: run.log });
    const uri = run.outputs['connection-uri'] ?? '';
    expect(await ask(uri, NOTES)).toEqual(['before']);
    expect(await fleet.query(id, NOTES)).toHaveLength(2);
    expect(await branchesOf(id)).toHaveLength(2);
    expect(placesThatShow(new URL(uri).password, run, ['connection-uri'])).toEqual([]);
  });

  test('is finished by a second run when the first one was killed in the middle, and done once by two', async () => {
    const { id, name } = await seedTenant();
    // Loading it takes as long.
    await fleet.queryAsOwner(id, 'CREATE MATERIALIZED VIEW slow AS SELECT 1 AS one FROM pg_sleep(4)');
    await backUp(id);
    const inputs = { command: 'restore', tenant: id, backup: 'latest', target: 'branch', ...fleet.s3Inputs };
    const killed = await fleet.start('backup', inputs);
    await refreshRuns();
    killed.process.kill('SIGKILL');
    await killed.finished;

    const both = await Promise.all([1, 2].map(() => fleet.run('backup', inputs)));
    expect(both.map((run) => statuses(run)[name]).toSorted()).toEqual(['succeeded', 'unchanged: up-to-date']);
    expect(new Set(both.map(({ outputs }) => outputs['branch-id'])).size).toBe(1);
    for (const { outputs } of both) expect(await ask(outputs['connection-uri'] ?? '', NOTES)).toEqual(['before']);
    expect(await branchesOf(id)).toHaveLength(2);
  });

  test('goes into a new project when the old one is gone and none was named', async () => {
    const { id, name } = await seedTenant();
    await backUp(id);
    const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
    await api.deleteProject(id);
    const refused = await restoring({ tenant: name, backup: 'latest', target: 'branch' });
    expect(refused.log).toMatch(/is gone.*no branch of it can be made/);
    const run = await restoring({ tenant: name, backup: 'latest' });
    expect(run.exitCode).toBe(0);
    expect(run.outputs['project-id']).not.toBe(id);
    expect(await ask(run.outputs['connection-uri'] ?? '', NOTES)).toEqual(['before']);
  });
});

describe('migrate-to: current', () => {
  const FILES = {
    '0000_init': ['CREATE TABLE users (id int)'],
    '0001_more': ['ALTER TABLE users ADD COLUMN name text'],
  };

  test("brings what was restored to the fleet's version", async () => {
    const [id = ''] = await fleet.neon.seedProjects([`r${count} tenant`]);
    const old = await writeMigrations(path.join(fleet.folder, `old-${count}`), { '0000_init': FILES['0000_init'] });
    await fleet.run('migrate', { tenants: id, 'migrations-folder': old });
    await backUp(id);
    const folder = await writeMigrations(path.join(fleet.folder, `new-${count}`), FILES);
    const migrating = { 'migrate-to': 'current', 'migrations-folder': folder };
    const run = await restoring({ tenant: id, backup: 'latest', target: 'branch', ...migrating });
    expect(outcomeOf(run, `r${count} tenant`)).toMatchObject({
      status: 'succeeded',
      detail: expect.stringMatching(/ is in .*; applied 0001_more$/),
      migration: { from: '0000_init', to: '0001_more', applied: ['0001_more'] },
    });
    const columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'users' ORDER BY 1";
    expect(await ask(run.outputs['connection-uri'] ?? '', columns)).toEqual(['id', 'name']);

    const { timestamp } = await fleet.neon.recordState(id);
    const instant = await restoring({ tenant: id, at: timestamp, ...migrating });
    expect(await ask(instant.outputs['connection-uri'] ?? '', columns)).toEqual(['id', 'name']);
    expect(await fleet.query(id, columns)).toHaveLength(1);

    const missing = await restoring({ tenant: id, at: timestamp, 'migrate-to': 'current' });
    expect(missing.log).toMatch(/migrations-folder: given nothing; accepted: /);
  });

  test('fails where the backup is ahead of the folder, and keeps what was restored', async () => {
    const [id = ''] = await fleet.neon.seedProjects([`r${count} tenant`]);
    const folder = await writeMigrations(path.join(fleet.folder, `new-${count}`), FILES);
    await fleet.run('migrate', { tenants: id, 'migrations-folder': folder });
    await fleet.queryAsOwner(id, "INSERT INTO users VALUES (1, 'kept')");
    await backUp(id);
    const old = await writeMigrations(path.join(fleet.folder, `old-${count}`), { '0000_init': FILES['0000_init'] });
    const run = await restoring({
      ...{ tenant: id, backup: 'latest', target: 'branch' },
      ...{ 'migrate-to': 'current', 'migrations-folder': old },
    });
    expect(run.exitCode).toBe(1);
    expect(outcomeOf(run, `r${count} tenant`)).toMatchObject({
      status: 'failed',
      error: {
        message: expect.stringMatching(/^restored, and what was restored stays, but .*version: /),
        hint: expect.stringContaining('not an older one'),
      },
    });
    expect(await ask(run.outputs['connection-uri'] ?? '', 'SELECT name FROM users')).toEqual(['kept']);
  });
});

describe('restore of many', () => {
  /** A template on the server itself, as a role of the test's own. */
  async function template(attributes: string, database = 'r{project-id}_{database}'): Promise<string> {
    const url = new URL(fleet.neon.postgresUrl);
    const role = `restorer_${count}`;
    await ask(url.href, `CREATE ROLE ${role} LOGIN ${attributes} PASSWORD 'hunter2-${count}'`);
    url.username = role;
    url.password = `hunter2-${count}`;
    url.pathname = '/';
    return `${url.href}${database}`;
  }

  async function place(id: string): Promise<string> {
    const url = new URL(fleet.neon.postgresUrl);
    url.pathname = `/r${id}_neondb`;
    return Promise.resolve(url.href);
  }

  test('makes a database for each, from S3 alone, and does the rest in a second run', async () => {
    const tenants = [await seedTenant('a'), await seedTenant('b'), await seedTenant('c')];
    await backUp(...tenants.map(({ id }) => id));
    const inputs = {
      tenants: `r${count} *`,
      backup: 'latest',
      'target-url': await template('CREATEDB CREATEROLE'),
      'neon-api-key': '',
      'neon-api-url': '',
    };
    const requests = fleet.neon.requests().length;
    // One of them holds something already.
    const [first = { id: '', name: '' }] = tenants;
    await ask(fleet.neon.postgresUrl, `CREATE DATABASE "r${first.id}_neondb" OWNER restorer_${count}`);
    await ask(await place(first.id), 'CREATE TABLE mine ()');
    const run = await restoring(inputs);
    expect(statuses(run)).toEqual({
      [`r${count} a`]: 'failed',
      [`r${count} b`]: 'succeeded',
      [`r${count} c`]: 'succeeded',
    });
    expect(outcomeOf(run, first.name).detail).toContain('is not empty');
    expect(JSON.parse(run.outputs['restored'] ?? '')).toHaveLength(2);
    expect(placesThatShow(`hunter2-${count}`, run)).toEqual([]);

    await ask(await place(first.id), 'DROP TABLE mine');
    const again = await restoring(inputs);
    expect(statuses(again)).toEqual({
      [`r${count} a`]: 'succeeded',
      [`r${count} b`]: 'unchanged: up-to-date',
      [`r${count} c`]: 'unchanged: up-to-date',
    });
    for (const { id } of tenants) expect(await ask(await place(id), NOTES)).toEqual(['before']);
    expect(fleet.neon.requests()).toHaveLength(requests);
  });

  test('is shared among the jobs of a matrix', async () => {
    const tenants = [await seedTenant('a'), await seedTenant('b'), await seedTenant('c')];
    await backUp(...tenants.map(({ id }) => id));
    const inputs = { tenants: `r${count} *`, backup: 'latest', 'target-url': await template('CREATEDB') };
    const runs = await Promise.all(['1/2', '2/2'].map((part) => restoring({ ...inputs, part })));
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(runs.reduce((sum, { outputs }) => sum + Number(outputs['succeeded']), 0)).toBe(3);
    for (const { id } of tenants) expect(await ask(await place(id), NOTES)).toEqual(['before']);
  });

  test('says so when a database is missing that the role may not make', async () => {
    const { id, name } = await seedTenant();
    await backUp(id);
    const run = await restoring({ tenants: id, backup: 'latest', 'target-url': await template('NOCREATEDB') });
    expect(outcomeOf(run, name)).toMatchObject({
      status: 'failed',
      error: {
        code: 'SQLSTATE 42501',
        message: expect.stringContaining('it cannot be made: permission denied to create database'),
        hint: expect.stringContaining('CREATEDB'),
      },
    });
  });

  test('does nothing when two would get the same database, or a template fits nobody', async () => {
    const tenants = [await seedTenant('same'), await seedTenant('same')];
    await backUp(...tenants.map(({ id }) => id));
    const run = await restoring({
      tenants: `r${count} same`,
      backup: 'latest',
      'target-url': await template('CREATEDB', '{name}'),
    });
    expect(run.exitCode).toBe(1);
    expect(run.log).toMatch(/would both be restored into .*; nothing was done/);
    const databases = await ask(fleet.neon.postgresUrl, 'SELECT datname FROM pg_database');
    expect(databases).not.toContain(`r${count} same`);
    const wrong = await restoring({
      tenants: '*',
      backup: 'latest',
      'target-url': 'postgresql://u:hunter2@h/{tenant}',
    });
    expect(wrong.log).toMatch(/target-url: given a value that is not shown .*a placeholder that is not known/);
    expect(placesThatShow('hunter2', wrong)).toEqual([]);
  });

  test('puts each back to its own newest backup before a moment, and names those that have none', async () => {
    const early = await seedTenant('early');
    await backUp(early.id);
    const at = new Date().toISOString();
    const late = await seedTenant('late');
    await backUp(late.id);
    const run = await restoring({ tenants: `r${count} *`, at, 'target-url': await template('CREATEDB') });
    expect(statuses(run)).toEqual({ [early.name]: 'succeeded', [late.name]: 'failed' });
    expect(outcomeOf(run, late.name).detail).toContain(`there is no backup from ${at} or before`);
  });
});

describe('verify-in: branch', () => {
  const verifying = (id: string) => ({ command: 'verify', 'verify-in': 'branch', tenants: id, ...fleet.s3Inputs });

  test('proves a backup in a branch of the project, and deletes it again', async () => {
    const { id, name } = await seedTenant();
    await backUp(id);
    const run = await fleet.run('backup', verifying(id));
    expect({ exitCode: run.exitCode, log: run.log }).toEqual({ exitCode: 0, log: run.log });
    expect(outcomeOf(run, name).detail).toMatch(/restored into PostgreSQL 17, in a branch of .*; as recorded: 1 rows/);
    expect(await branchesOf(id)).toHaveLength(1);
    expect(await store.keys(id)).toContainEqual(expect.stringMatching(/\.verified\.json$/));
  });

  test('deletes it when the drill fails, and when an answer is lost', async () => {
    const { id, name } = await seedTenant();
    await backUp(id);
    fleet.neon.faults.set({ kind: 'status', status: 400, path: 'getConnectionURI' });
    const run = await fleet.run('backup', verifying(id));
    expect(statuses(run)).toEqual({ [name]: 'failed' });
    expect(await branchesOf(id)).toHaveLength(1);
    // It says nothing about the backup.
    expect(await store.keys(id)).not.toContainEqual(expect.stringMatching(/\.verified\.json$/));

    fleet.neon.faults.set(
      { kind: 'lost-answer', path: 'createProjectBranch', times: 1 },
      { kind: 'lost-answer', path: 'deleteProjectBranch', times: 1 },
    );
    expect(statuses(await fleet.run('backup', verifying(id)))).toEqual({ [name]: 'succeeded' });
    expect(await branchesOf(id)).toHaveLength(1);
  });

  test('deletes it when the run is cancelled, and leaves it to Neon when it is killed', async () => {
    const { id, name } = await seedTenant();
    // Loading it takes as long.
    await fleet.queryAsOwner(id, 'CREATE MATERIALIZED VIEW slow AS SELECT 1 AS one FROM pg_sleep(6)');
    await backUp(id);
    const cancelled = await fleet.start('backup', verifying(id));
    await refreshRuns();
    cancelled.cancel();
    const finished = await cancelled.finished;
    expect(finished).toMatchObject({ exitCode: 1, signal: null });
    expect(statuses(finished)).toEqual({ [name]: 'skipped: cancelled' });
    expect(await branchesOf(id)).toHaveLength(1);

    const killed = await fleet.start('backup', verifying(id));
    await refreshRuns();
    killed.process.kill('SIGKILL');
    await killed.finished;
    const left = (await branchesOf(id)).find((branch) => !branch.default);
    expect(Date.parse(left?.expires_at ?? '')).toBeGreaterThan(Date.now());
    // The next drill does not mind it.
    expect(statuses(await fleet.run('backup', verifying(id)))).toEqual({ [name]: 'succeeded' });
    expect((await branchesOf(id)).map(({ id: branchId }) => branchId)).toContain(left?.id);
  });
});
