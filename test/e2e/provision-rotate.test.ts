import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FinishedAction } from '@neon-fleet/local-runner';

import { statuses, TestFleet } from '../support/fleet.js';
import { LocalGitHub } from '../support/github.js';
import { placesThatShow } from '../support/secrets.js';

let fleet: TestFleet;
let github: LocalGitHub;
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
  github = await LocalGitHub.start();
  fleet.neon.faults.clear();
  count += 1;
  name = `rotated ${count}`;
  [id = ''] = await fleet.neon.seedProjects([name]);
});
afterEach(async () => {
  await github[Symbol.asyncDispose]();
});

const SECRET_INPUTS = { command: 'rotate', 'github-secret': 'auto', 'github-token': 'github_pat_0123456789abcdefghij' };
const options = () => ({ env: { GITHUB_API_URL: github.apiUrl } });

async function rotate(inputs: Record<string, string> = {}): Promise<FinishedAction> {
  return fleet.run('provision', { ...SECRET_INPUTS, name, ...inputs }, options());
}

/** The tenant can be reached, and the secret holds what Neon gives. */
async function expectAgreement(): Promise<string> {
  const uri = await fleet.uriOf(id);
  expect(github.secret('org/app/actions', `ROTATED_${count}_DATABASE_URL`)).toBe(uri);
  expect(await fleet.queryAsOwner(id, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  return uri;
}

const resets = (start = 0) =>
  fleet.neon
    .requests()
    .slice(start)
    .filter(({ path }) => path.endsWith('/reset_password')).length;

describe('rotate', () => {
  test('gives a new password, which shows nowhere, and the secret follows; a second time gives another one', async () => {
    const before = await fleet.uriOf(id);
    const run = await rotate();
    expect(statuses(run)).toEqual({ [name]: 'succeeded' });
    const after = await expectAgreement();
    expect(new URL(after).password).not.toBe(new URL(before).password);
    expect(run.outputs['connection-uri']).toBe(after);
    for (const secret of [before, after].map((uri) => new URL(uri).password)) {
      expect(placesThatShow(secret, run, ['connection-uri', 'connection-uri-pooled'])).toEqual([]);
    }
    expect((await rotate()).exitCode).toBe(0);
    expect(await expectAgreement()).not.toBe(after);
  });

  test('ends well when the answer is lost, of Neon and of GitHub', async () => {
    fleet.neon.faults.set({ kind: 'lost-answer', path: 'resetProjectBranchRolePassword', times: 1 });
    github.lostAnswers = 1;
    const start = fleet.neon.requests().length;
    expect((await rotate()).exitCode).toBe(0);
    // Asked once more; while the first change is still under way Neon may refuse that for a moment (423).
    expect(resets(start)).toBeGreaterThanOrEqual(2);
    await expectAgreement();
  });

  test('that was killed between the password and the secret is made good by the next one', async () => {
    await rotate();
    const old = await expectAgreement();
    // As soon as Neon was asked for the new password: mostly before the secret is written.
    const start = fleet.neon.requests().length;
    const run = await fleet.start('provision', { ...SECRET_INPUTS, name }, options());
    while (run.process.exitCode === null && resets(start) === 0) await new Promise((next) => setTimeout(next, 1));
    run.process.kill('SIGKILL');
    expect((await run.finished).signal).toBe('SIGKILL');
    expect(await fleet.queryAsOwner(id, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect((await rotate()).exitCode).toBe(0);
    expect(await expectAgreement()).not.toBe(old);
  });

  test('twice at once leaves the newest password in the secret', async () => {
    const runs = await Promise.all([rotate(), rotate(), rotate()]);
    // One whose password was replaced before it connected says so; the last one is right in any case.
    expect(runs.some(({ exitCode }) => exitCode === 0)).toBe(true);
    await expectAgreement();
  });

  test('wants to be told whom, and never makes a project', async () => {
    const run = await rotate({ name: `nobody ${count}` });
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain('there is no project of');
    const all = await fleet.run('provision', { command: 'rotate', 'fleet-file': 'fleet.yml' });
    expect(all.log).toMatch(/tenants: given nothing together with rotate/);
  });
});
