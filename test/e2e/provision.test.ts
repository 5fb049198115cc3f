import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';

import { TestFleet, outcomeOf, reportOf, statuses } from '../support/fleet.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';
import { passwordsSeenBy, placesThatShow } from '../support/secrets.js';

let fleet: TestFleet;
let folder: string;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
  folder = await writeMigrations(path.join(fleet.folder, 'drizzle'), { '0000_init': GUIDE_TABLES });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  fleet.neon.faults.clear();
  count += 1;
});

/** A name that no other test uses. */
function named(name: string): string {
  return `p${count} ${name}`;
}

function creations(): number {
  return fleet.neon.requests().filter(({ method, path: at }) => method === 'POST' && at.endsWith('/projects')).length;
}

describe('provision', () => {
  test('creates the project of a tenant, migrates it, and says how to reach it', async () => {
    const name = named('ACME Corp');
    const run = await fleet.run('provision', {
      name,
      region: 'aws-us-east-1',
      'postgres-version': '16',
      'migrations-folder': folder,
    });

    expect(run.log).toContain('1/1');
    expect(run.exitCode).toBe(0);
    expect(run.outputs).toMatchObject({
      verdict: 'succeeded',
      created: 'true',
      database: 'neondb',
      role: 'neondb_owner',
    });
    expect(await fleet.tables(run.outputs['project-id'] ?? '')).toContain('public.tasks');

    const uri = run.outputs['connection-uri'] ?? '';
    expect(new URL(uri).hostname).toBe(run.outputs['host']);
    expect(run.outputs['connection-uri-pooled']).not.toBe(uri);
    const client = new pg.Client({ connectionString: uri.replace(/\?.*/, ''), ssl: { rejectUnauthorized: false } });
    await client.connect();
    expect((await client.query('SELECT count(*) FROM tasks')).rows).toEqual([{ count: '0' }]);
    await client.end();
  });

  test('changes nothing the second time', async () => {
    const name = named('Payroll Inc');
    const inputs = { name, 'migrations-folder': folder };
    const first = await fleet.run('provision', inputs);
    const created = creations();

    const second = await fleet.run('provision', inputs);
    expect(second.exitCode).toBe(0);
    expect(statuses(second)).toEqual({ [name]: 'unchanged: up-to-date' });
    expect(second.outputs).toMatchObject({ created: 'false', 'project-id': first.outputs['project-id'] });
    expect(creations()).toBe(created);
  });

  test('refuses to choose between two projects of the same name, and lists both ids', async () => {
    const name = named('Twin');
    const ids = await fleet.neon.seedProjects([name, name]);
    const run = await fleet.run('provision', { name });
    expect(run.exitCode).toBe(1);
    for (const id of ids) expect(run.log).toContain(id);
    expect(outcomeOf(run, name).status).toBe('failed');
  });

  test('names the project in the report although a later step fails', async () => {
    const [existing, fresh, differing] = [named('existing'), named('fresh'), named('differing')];
    const [existingId = '', differingId = ''] = await fleet.neon.seedProjects([existing, differing]);
    fleet.neon.faults.set(
      { kind: 'refuse-connections', projectId: existing },
      { kind: 'refuse-connections', projectId: fresh },
    );
    const inputs = { name: `${existing}\n${fresh}`, 'migrations-folder': folder };
    const run = await fleet.run('provision', inputs);
    expect(run.exitCode).toBe(1);
    expect(outcomeOf(run, existing)).toMatchObject({ status: 'failed', projectId: existingId });
    const { projectId } = outcomeOf(run, fresh);
    expect(outcomeOf(run, fresh)).toMatchObject({
      status: 'failed',
      projectId: expect.stringMatching(/^\w+-\w+-\d+$/),
    });
    expect(run.summary).toContain(`<code>${projectId}</code>`);
    fleet.neon.faults.clear();
    const again = await fleet.run('provision', inputs);
    expect(outcomeOf(again, fresh)).toMatchObject({ status: 'succeeded', projectId });

    const elsewhere = await fleet.run('provision', { name: differing, region: 'aws-eu-west-2' });
    expect(outcomeOf(elsewhere, differing)).toMatchObject({ status: 'failed', projectId: differingId });
  });

  test('finds a name that is only part of another one by exact match', async () => {
    const name = named('Acme');
    await fleet.neon.seedProjects([`${name} Corp`, `The ${name}`]);
    const run = await fleet.run('provision', { name });
    expect(run.outputs['created']).toBe('true');
  });

  test('makes no second project when the answer to the creation is lost', async () => {
    const name = named('Lost');
    fleet.neon.faults.set({ kind: 'lost-answer', path: 'createProject', times: 1 });
    const run = await fleet.run('provision', { name, 'migrations-folder': folder });
    expect(run.exitCode).toBe(0);
    expect(statuses(run)).toEqual({ [name]: 'succeeded' });
    expect((await fleet.run('provision', { name })).outputs['created']).toBe('false');
  });

  test('creates nothing while it is not certain that the project is missing', async () => {
    const name = named('Hidden');
    const [id = ''] = await fleet.neon.seedProjects([name]);
    fleet.neon.faults.set({ kind: 'unavailable-projects', ids: [id] });
    const created = creations();
    const run = await fleet.run('provision', { name });
    expect(run.exitCode).toBe(1);
    expect(creations()).toBe(created);
    expect(run.log).toContain(id);
  });

  test('provisions several tenants in one step, each with its own outcome', async () => {
    const names = ['one', 'two', 'three'].map(named);
    const [existing = ''] = names;
    await fleet.neon.seedProjects([existing]);
    const run = await fleet.run('provision', { name: names.join('\n'), 'migrations-folder': folder });
    expect(run.exitCode).toBe(0);
    const projects = JSON.parse(run.outputs['projects'] ?? '') as { name: string; created: boolean }[];
    expect(Object.fromEntries(projects.map(({ name, created }) => [name, created]))).toEqual({
      [names[0] ?? '']: false,
      [names[1] ?? '']: true,
      [names[2] ?? '']: true,
    });
    expect(reportOf(run).outcomes).toHaveLength(3);
    expect(run.outputs['connection-uri']).toBeUndefined();
  });

  test('refuses a region or version that an existing project does not have, since neither can be changed', async () => {
    const name = named('Elsewhere');
    await fleet.run('provision', { name, region: 'aws-us-east-1', 'postgres-version': '16' });
    const run = await fleet.run('provision', { name, region: 'aws-eu-central-1', 'postgres-version': '17' });
    expect(run.exitCode).toBe(1);
    expect(outcomeOf(run, name).detail).toMatch(/aws-us-east-1.*PostgreSQL 16/);
  });

  test('shows no password and no key anywhere, also when the migration fails', async () => {
    const broken = await writeMigrations(path.join(fleet.folder, `broken-${count}`), { '0000_bad': ['SELECT 1 / 0'] });
    for (const migrations of [folder, broken]) {
      const run = await fleet.run('provision', { name: named('Secretive'), 'migrations-folder': migrations });
      const passwords = passwordsSeenBy(run);
      expect(passwords.length).toBeGreaterThan(0);
      for (const secret of [...passwords, fleet.neon.apiKey]) {
        expect(placesThatShow(secret, run, ['connection-uri', 'connection-uri-pooled'])).toEqual([]);
      }
    }
  });

  test('refuses wrong inputs all at once, and creates nothing', async () => {
    const created = creations();
    const run = await fleet.run('provision', {
      name: `${'x'.repeat(257)}\ntwice\ntwice`,
      region: 'Frankfurt',
      'postgres-version': '9.6',
      concurrency: '0',
      'migrations-folder': './nowhere',
    });
    expect(run.exitCode).toBe(1);
    for (const input of ['name', 'region', 'postgres-version', 'concurrency', 'migrations-folder']) {
      expect(run.log).toMatch(new RegExp(`${input}: given .*; accepted: `));
    }
    expect(creations()).toBe(created);
  });
});
