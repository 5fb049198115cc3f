import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FinishedAction } from '@neon-fleet/local-runner';

import { outcomeOf, statuses, TestFleet } from '../support/fleet.js';
import { LocalGitHub } from '../support/github.js';
import { placesThatShow } from '../support/secrets.js';

const TOKEN = 'github_pat_0123456789abcdefghij';
const PLACE = 'org/app/actions';

let fleet: TestFleet;
let github: LocalGitHub;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(async () => {
  github = await LocalGitHub.start();
  fleet.neon.faults.clear();
  count += 1;
});
afterEach(async () => {
  await github[Symbol.asyncDispose]();
});

async function provision(inputs: Record<string, string>): Promise<FinishedAction> {
  return fleet.run(
    'provision',
    { 'github-secret': 'auto', 'github-token': TOKEN, ...inputs },
    { env: { GITHUB_API_URL: github.apiUrl } },
  );
}

async function fleetFile(text: string): Promise<string> {
  const file = path.join(fleet.folder, `secrets-${count}.yml`);
  await writeFile(file, text);
  return file;
}

const writes = () => github.requests.filter((request) => request.startsWith('PUT'));

describe('a secret of GitHub for each tenant', () => {
  test('holds the URI that Neon gives, and shows nowhere', async () => {
    const run = await provision({ name: `Société "${count}" 🚀`, key: `acme-${count}` });
    expect(run.exitCode).toBe(0);
    const uri = await fleet.uriOf(run.outputs['project-id'] ?? '');
    expect(github.secret(PLACE, `ACME_${count}_DATABASE_URL`)).toBe(uri);
    expect(placesThatShow(new URL(uri).password, run, ['connection-uri', 'connection-uri-pooled'])).toEqual([]);
    expect(placesThatShow(TOKEN, run)).toEqual([]);
  });

  test('is written into an environment under a name of its own, also when answers get lost', async () => {
    github.lostAnswers = 2;
    const run = await provision({
      name: `env ${count}`,
      'github-secret': 'payroll_url',
      'github-environment': 'prod/eu',
      'github-repository': 'other/repo',
    });
    expect(run.exitCode).toBe(0);
    const uri = await fleet.uriOf(run.outputs['project-id'] ?? '');
    expect(github.secret('other/repo/environments/prod/eu', 'PAYROLL_URL')).toBe(uri);
    expect(writes()).toHaveLength(3);
  });

  test('is made up for without waking anybody where it is missing', async () => {
    const [id = ''] = await fleet.neon.seedProjects([`old ${count}`]);
    const file = await fleetFile(`tenants:\n  - { key: old-${count}, name: old ${count} }\n`);
    const inputs = { 'fleet-file': file, ready: 'created' };
    const first = await provision(inputs);
    expect(outcomeOf(first, `old ${count}`)).toMatchObject({
      status: 'succeeded',
      detail: `secret OLD_${count}_DATABASE_URL written`,
    });
    expect(github.secret(PLACE, `OLD_${count}_DATABASE_URL`)).toBe(await fleet.uriOf(id));
    expect(await fleet.neon.connections(id)).toEqual({ direct: 0, pooled: 0 });
    expect(statuses(await provision(inputs))).toEqual({ [`old ${count}`]: 'unchanged: up-to-date' });
    expect(writes()).toHaveLength(1);
  });

  test('is refused before anything is done when two tenants would share one', async () => {
    const before = fleet.neon.requests().length;
    const run = await provision({ name: `a.b ${count}\na-b ${count}` });
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain(`"a.b ${count}" and "a-b ${count}" would both have the secret A_B_${count}_DATABASE_URL`);
    const file = await fleetFile(`tenants:\n  - { key: x.y-${count} }\n  - { key: x-y-${count} }\n`);
    expect((await provision({ 'fleet-file': file, tenants: `x.y-${count}` })).exitCode).toBe(1);
    expect(
      fleet.neon
        .requests()
        .slice(before)
        .filter(({ method }) => method !== 'GET'),
    ).toEqual([]);
    expect(writes()).toEqual([]);
  });

  test('is refused before anything is done when there is no room, or no permission', async () => {
    github.fill(PLACE, 99);
    const before = fleet.neon.requests().length;
    const run = await provision({ name: `room a ${count}\nroom b ${count}` });
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain("has 99 secrets, and 2 more would be above GitHub's limit of 100");
    github.refuseWith = 403;
    const refused = await provision({ name: `room a ${count}` });
    expect(refused.exitCode).toBe(1);
    expect(refused.log).toMatch(/HTTP 403[\s\S]*GITHUB_TOKEN cannot/);
    expect(
      fleet.neon
        .requests()
        .slice(before)
        .filter(({ method }) => method === 'POST'),
    ).toEqual([]);
  });
});
