import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import type { ActionName } from '../../scripts/actions.js';
import { TestFleet } from '../support/fleet.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';
import { passwordsSeenBy, placesThatShow } from '../support/secrets.js';

let fleet: TestFleet;
let folder: string;

beforeAll(async () => {
  fleet = await TestFleet.start();
  folder = await writeMigrations(path.join(fleet.folder, 'drizzle'), { '0000_init': GUIDE_TABLES });
  await fleet.neon.seedProjects(['there']);
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  fleet.neon.faults.clear();
});

describe('a run that cannot begin', () => {
  test.each<[string, ActionName, Record<string, string>, RegExp]>([
    [
      'wrong inputs',
      'provision',
      { name: 'x', concurrency: '<b>0</b>' },
      /concurrency: given &quot;&lt;b&gt;0&lt;\/b&gt;/,
    ],
    [
      'wrong inputs',
      'migrate',
      { tenants: '*', concurrency: '<b>0</b>' },
      /concurrency: given &quot;&lt;b&gt;0&lt;\/b&gt;/,
    ],
    [
      'wrong inputs',
      'backup',
      { tenants: '*', 's3-bucket': '<b>' },
      /s3-bucket: given &quot;&lt;b&gt;&quot;; accepted: /,
    ],
    [
      'a key that Neon refuses',
      'migrate',
      { tenants: '*', 'neon-api-key': 'napi_wrong_wrong_wrong', 'migrations-folder': './drizzle' },
      /HTTP 401[^]*The API key was refused/,
    ],
    [
      'an S3 that is not there',
      'backup',
      { tenants: '*', 's3-bucket': 'nowhere', 's3-endpoint': 'http://127.0.0.1:9', 'aws-region': 'us-east-1' },
      /127\.0\.0\.1:9/,
    ],
  ])('over %s tells so in the job summary (%s), and that it did nothing', async (_, action, inputs, words) => {
    const run = await fleet.run(action, inputs);
    expect(run.exitCode).toBe(1);
    expect(run.summary).toMatch(new RegExp(`^## ❌ ${action} failed\n`));
    expect(run.summary).toMatch(words);
    expect(run.summary).not.toContain('<b>');
    expect(run.outputs).toMatchObject({ verdict: 'failed', succeeded: '0', unchanged: '0', failed: '0', skipped: '0' });
    expect(run.outputs['report']).toBeUndefined();
    expect(placesThatShow(inputs['neon-api-key'] ?? fleet.neon.apiKey, run)).toEqual([]);
  });
});

describe('where a runner gives no file', () => {
  test('for the summary, a good run is a good run', async () => {
    const inputs = { tenants: 'there', 'migrations-folder': folder };
    const run = await fleet.run('migrate', inputs, { env: { GITHUB_STEP_SUMMARY: '' } });
    expect(run).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded' } });
  });

  test('that can be written for the summary, a good run is one with a warning', async () => {
    const inputs = { tenants: 'there', 'migrations-folder': folder };
    const nowhere = path.join(fleet.folder, 'nowhere', 'summary.md');
    const run = await fleet.run('migrate', inputs, { env: { GITHUB_STEP_SUMMARY: nowhere } });
    expect(run).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded' } });
    expect(run.log).toMatch(/^::warning::the job summary cannot be written: /m);
  });

  test('for outputs, connection URIs are not printed', async () => {
    const run = await fleet.run('provision', { name: 'unprinted' }, { env: { GITHUB_OUTPUT: '' } });
    expect(run.exitCode).toBe(0);
    expect(run.log).toMatch(/set-output name=project-id::/);
    const passwords = passwordsSeenBy(run);
    expect(passwords).not.toEqual([]);
    for (const password of passwords) expect(placesThatShow(password, run)).toEqual([]);
  });
});
