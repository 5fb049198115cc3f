import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FinishedAction } from '@neon-fleet/local-runner';
import { createApiClient } from '@neondatabase/api-client';
import pg from 'pg';

import { statuses, TestFleet } from '../support/fleet.js';
import { placesThatShow } from '../support/secrets.js';

let fleet: TestFleet;
let count = 0;
let name: string;
let id: string;

beforeAll(async () => {
  fleet = await TestFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(async () => {
  fleet.neon.faults.clear();
  count += 1;
  name = `dev ${count}`;
  [id = ''] = await fleet.neon.seedProjects([name]);
  await fleet.queryAsOwner(id, 'CREATE TABLE notes (body text)');
});

async function branch(action: string, inputs: Record<string, string> = {}): Promise<FinishedAction> {
  return fleet.run('provision', {
    command: 'branch',
    'branch-action': action,
    branch: 'preview/pr-123',
    name,
    ...inputs,
  });
}

async function branches() {
  const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
  return (await api.listProjectBranches({ projectId: id })).data.branches;
}

async function ask(uri: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({
    connectionString: uri.replace(/\?.*/, ''),
    ssl: { rejectUnauthorized: false },
  });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('a branch for development', () => {
  test('is made, reset and deleted, and each of them twice is the same as once', async () => {
    const made = await branch('create', { 'expires-at': '2099-01-31T13:00:00+01:00' });
    expect(statuses(made)).toEqual({ [name]: 'succeeded' });
    expect(made.outputs).toMatchObject({ created: 'true', database: 'neondb', 'project-id': id });
    const uri = made.outputs['connection-uri'] ?? '';
    expect(new URL(uri).hostname).toBe(made.outputs['host']);
    expect(placesThatShow(new URL(uri).password, made, ['connection-uri', 'connection-uri-pooled'])).toEqual([]);
    expect((await branches()).find(({ name: each }) => each === 'preview/pr-123')).toMatchObject({
      id: made.outputs['branch-id'],
      expires_at: expect.stringMatching(/^2099-01-31T12:00:00/),
    });
    const again = await branch('create', { 'expires-at': '2099-01-31T12:00:00Z' });
    expect(statuses(again)).toEqual({ [name]: 'unchanged: up-to-date' });
    expect(again.outputs).toMatchObject({ created: 'false', 'branch-id': made.outputs['branch-id'] });

    await ask(uri, "INSERT INTO notes VALUES ('only in the branch')");
    await fleet.queryAsOwner(id, "INSERT INTO notes VALUES ('of the parent')");
    for (let time = 0; time < 2; time += 1) {
      const reset = await branch('reset');
      expect(reset.exitCode).toBe(0);
      expect(await ask(reset.outputs['connection-uri'] ?? '', 'SELECT body FROM notes')).toEqual([
        { body: 'of the parent' },
      ]);
    }
    expect(statuses(await branch('delete'))).toEqual({ [name]: 'succeeded' });
    expect(statuses(await branch('delete'))).toEqual({ [name]: 'unchanged: up-to-date' });
    expect(await branches()).toHaveLength(1);
    expect((await branch('reset')).log).toContain('has no branch "preview/pr-123" to reset');
  });

  test('is made once and deleted once although answers get lost', async () => {
    fleet.neon.faults.set({ kind: 'lost-answer', path: 'createProjectBranch', times: 1 });
    const made = await branch('create');
    expect(made.outputs).toMatchObject({ verdict: 'succeeded', created: 'true' });
    expect(await branches()).toHaveLength(2);
    fleet.neon.faults.set({ kind: 'lost-answer', path: 'deleteProjectBranch', times: 1 });
    expect((await branch('delete')).exitCode).toBe(0);
    expect(await branches()).toHaveLength(1);
  });

  test('is made by one of two that want it at once', async () => {
    const runs = await Promise.all([branch('create'), branch('create')]);
    expect(runs.map(({ outputs }) => outputs['verdict'])).toEqual(['succeeded', 'succeeded']);
    expect(runs.map(({ outputs }) => outputs['created']).toSorted()).toEqual(['false', 'true']);
    expect(new Set(runs.map(({ outputs }) => outputs['branch-id'])).size).toBe(1);
  });

  test('is never the default one or a protected one', async () => {
    const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
    await branch('create');
    const preview = (await branches()).find(({ name: each }) => each === 'preview/pr-123');
    await api.updateProjectBranch(id, preview?.id ?? '', { branch: { protected: true } });
    const main = (await branches()).find((each) => each.default);
    const start = fleet.neon.requests().length;
    for (const action of ['create', 'reset', 'delete']) {
      expect((await branch(action)).log).toMatch(/is none for development: it is protected/);
      expect((await branch(action, { branch: main?.name ?? '' })).log).toMatch(/it is the default branch/);
    }
    expect(
      fleet.neon
        .requests()
        .slice(start)
        .filter(({ method }) => method !== 'GET'),
    ).toEqual([]);
  });

  test('is that of one tenant: patterns that select several, or nobody, are refused before anything is done', async () => {
    const [other = ''] = await fleet.neon.seedProjects([`${name} b`]);
    await branch('create');
    await branch('create', { name: `${name} b` });
    const file = path.join(fleet.folder, `fleet-${count}.yml`);
    await writeFile(
      file,
      `tenants:\n  - { key: a${count}, name: ${name}, project-id: ${id} }\n  - { key: b${count}, name: ${name} b, project-id: ${other} }\n`,
    );
    const start = fleet.neon.requests().length;
    for (const tenants of ['*', `!c${count}`]) {
      const run = await branch('delete', { name: '', 'fleet-file': file, tenants });
      expect(run.exitCode).toBe(1);
      expect(run.log).toMatch(/nothing was done/);
    }
    expect(fleet.neon.requests().slice(start)).toEqual([]);
    expect(await branches()).toHaveLength(2);
    const one = await branch('delete', { name: '', 'fleet-file': file, tenants: `*\n!b${count}` });
    expect(statuses(one)).toEqual({ [name]: 'succeeded' });
    expect(await branches()).toHaveLength(1);
  });

  test('needs to be told all there is to know', async () => {
    const run = await branch('', { branch: '', name: 'a\nb', 'expires-at': '2001-01-01T00:00:00Z' });
    for (const input of ['branch', 'branch-action', 'name', 'expires-at']) {
      expect(run.log).toMatch(new RegExp(`${input}: given .*; accepted: `));
    }
  });
});
