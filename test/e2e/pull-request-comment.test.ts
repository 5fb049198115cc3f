import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { TestFleet } from '../support/fleet.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';
import { LocalPullRequest } from '../support/pull-request.js';
import { placesThatShow } from '../support/secrets.js';

const HOSTILE = '@octocat </td> `x` [y](https://evil.example) #1';

let fleet: TestFleet;
let github: LocalPullRequest;
let migrations: string;
let env: Record<string, string>;

beforeAll(async () => {
  fleet = await TestFleet.start();
  const ids = await fleet.neon.seedProjects(['good', HOSTILE]);
  await fleet.query(ids[1] ?? '', 'CREATE DOMAIN public.occupied AS int');
  migrations = await writeMigrations(path.join(fleet.folder, 'drizzle'), {
    '0000_init': GUIDE_TABLES,
    '0001_second': ['CREATE DOMAIN public.occupied AS text'],
  });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(async () => {
  github = await LocalPullRequest.start();
  const event = path.join(fleet.folder, 'event.json');
  await writeFile(event, JSON.stringify({ pull_request: { number: github.number } }));
  env = { GITHUB_API_URL: github.apiUrl, GITHUB_EVENT_NAME: 'pull_request', GITHUB_EVENT_PATH: event };
});
afterEach(() => github[Symbol.asyncDispose]());

const wanted = () => ({ 'pr-comment': 'true', 'github-token': github.token });

describe('a comment on the pull request', () => {
  test('is what a report leaves, once for all attempts, and a gate leaves none', async () => {
    const inputs = { tenants: '*', 'migrations-folder': migrations, 'max-failures': '5' };
    const folder = path.join(fleet.folder, 'jobs');
    const planned = await fleet.run(
      'migrate',
      { command: 'plan', ...inputs },
      { folder: path.join(fleet.folder, 'p') },
    );
    const plan = planned.outputs['plan'] ?? '';
    await fleet.run(
      'migrate',
      { command: 'apply', plan, shard: '1', 'migrations-folder': migrations },
      { folder, env: { GITHUB_RUN_ATTEMPT: '1' } },
    );
    const given = { command: 'report', plan, reports: folder, 'neon-api-key': '', ...wanted() };
    const gate = await fleet.run('migrate', { ...given, 'through-wave': '1' }, { env });
    expect(gate.exitCode).toBe(0);
    expect(github.requests).toEqual([]);

    const reports = [await fleet.run('migrate', given, { env }), await fleet.run('migrate', given, { env })];
    for (const run of reports) {
      expect(run).toMatchObject({ exitCode: 1, outputs: { verdict: 'failed', succeeded: '1', failed: '1' } });
      expect(placesThatShow(github.token, run)).toEqual([]);
      expect(run.masks).toContain(github.token);
    }
    expect(github.own).toHaveLength(1);
    const body = github.own[0]?.body ?? '';
    expect(body).toContain('<h3>❌ migrate failed, 2 tenants</h3>');
    expect(body).toContain('0001_second.sql');
    expect(body).toContain('https://github.com/org/app/actions/runs/1');
    expect(body).not.toContain('@octocat');
    expect(body).not.toMatch(/(?<!<code>[^\n]*)`x`/);
  });

  test('that may not be written is a warning, and the verdict is what it was', async () => {
    github.refusal = { status: 403, message: 'Resource not accessible by integration' };
    const run = await fleet.run('migrate', { tenants: 'good', 'migrations-folder': migrations, ...wanted() }, { env });
    expect(run).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded' } });
    expect(run.log).toMatch(/^::warning::no comment on the pull request: .*HTTP 403.*pull-requests: write/m);
    expect(placesThatShow(github.token, run)).toEqual([]);
  });

  test('is written for a backup as well', async () => {
    const run = await fleet.run('backup', { tenants: 'good', ...fleet.s3Inputs, ...wanted() }, { env });
    expect(run.exitCode).toBe(0);
    expect(github.own.map(({ body }) => body.split('\n')[1])).toEqual(['<h3>✅ backup succeeded, 1 tenant</h3>']);
  });

  test('needs a token, and is written for nobody who did not ask', async () => {
    const inputs = { tenants: 'good', 'migrations-folder': migrations };
    const without = await fleet.run('migrate', { ...inputs, 'pr-comment': 'true' }, { env });
    expect(without.exitCode).toBe(1);
    expect(without.log).toContain('github-token: given nothing together with pr-comment');
    const backup = await fleet.run('backup', { tenants: 'good', ...fleet.s3Inputs, 'pr-comment': 'true' }, { env });
    expect(backup.log).toContain('github-token: given nothing together with pr-comment');
    await fleet.run('migrate', { ...inputs, 'github-token': github.token }, { env });
    expect(github.requests).toEqual([]);
  });
});

describe('what jobs hand on', () => {
  test('is refused when a file is given in place of the folder, by its name', async () => {
    const planned = await fleet.run(
      'migrate',
      { command: 'plan', tenants: 'good', 'migrations-folder': migrations },
      { folder: path.join(fleet.folder, 'handed') },
    );
    const plan = planned.outputs['plan'] ?? '';
    for (const action of ['migrate', 'backup'] as const) {
      const inputs = action === 'backup' ? fleet.s3Inputs : {};
      const run = await fleet.run(action, { command: 'report', plan, reports: plan, ...inputs });
      expect(run.exitCode).toBe(1);
      expect(run.outputs['message']).toContain(`reports: given ${JSON.stringify(plan)}, and that is a file`);
    }
  });

  test('is refused when a shard of the plan may fail more often than the fleet', async () => {
    const planned = await fleet.run(
      'migrate',
      { command: 'plan', tenants: '*', 'migrations-folder': migrations },
      { folder: path.join(fleet.folder, 'tampered') },
    );
    const file = planned.outputs['plan'] ?? '';
    const plan = JSON.parse(await readFile(file, 'utf8')) as { shards: { maxFailures: number }[] };
    for (const shard of plan.shards) shard.maxFailures = 100;
    await writeFile(file, JSON.stringify(plan));
    const before = fleet.neon.requests().length;
    const run = await fleet.run('migrate', {
      command: 'apply',
      plan: file,
      shard: '1',
      'migrations-folder': migrations,
    });
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain('its shards may have 100 failures together, and the whole fleet 1');
    expect(fleet.neon.requests()).toHaveLength(before);
  });
});
