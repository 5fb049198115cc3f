import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { reportOf, statuses, TestFleet } from '../support/fleet.js';
import { placesThatShow } from '../support/secrets.js';
import { StoreInspector } from '../support/store.js';

let fleet: TestFleet;
let store: StoreInspector;
let ids: string[];

beforeAll(async () => {
  fleet = await TestFleet.start();
  store = new StoreInspector(fleet.neon.s3);
  ids = await fleet.neon.seedProjects(['f one', 'f two', 'f three']);
  for (const id of ids) {
    await fleet.query(id, "CREATE TABLE notes AS SELECT n, 'note ' || n AS body FROM generate_series(1, 50) n");
  }
});
afterAll(async () => {
  store[Symbol.dispose]();
  await fleet[Symbol.asyncDispose]();
});

const s3Only = () => ({ 'neon-api-key': '', 'neon-api-url': '', ...fleet.s3Inputs, 's3-prefix': 'matrix' });

describe('a backup over many jobs', () => {
  test('is planned without waking anybody, made shard by shard, and reported as one', async () => {
    const inputs = { ...fleet.s3Inputs, 's3-prefix': 'matrix', 'report-to': `s3://${fleet.neon.s3.bucket}/audit` };
    const planFolder = path.join(fleet.folder, 'plan');
    const planned = await fleet.run(
      'backup',
      { command: 'plan', tenants: 'f *', 'tenants-per-shard': '2', ...inputs },
      { folder: planFolder },
    );
    expect({ exitCode: planned.exitCode, log: planned.log }).toMatchObject({ exitCode: 0 });
    expect(planned.outputs).toMatchObject({ shards: '2', tenants: '3', matrix: '{"shard":[1,2]}' });
    const plan = planned.outputs['plan'] ?? '';
    expect(await store.keys('matrix/')).toEqual([]);

    const records = path.join(fleet.folder, 'records');
    for (const shard of ['1', '2']) {
      const applied = await fleet.run(
        'backup',
        { command: 'apply', plan, shard, ...inputs },
        { folder: path.join(records, shard), env: { GITHUB_RUN_ATTEMPT: '1' } },
      );
      expect({ exitCode: applied.exitCode, log: applied.log }).toMatchObject({ exitCode: 0 });
    }
    expect(await store.keys('matrix/')).toHaveLength(6);

    // A shard that is run again does nothing twice.
    const again = await fleet.run(
      'backup',
      { command: 'apply', plan, shard: '1', reports: records, ...inputs },
      { folder: path.join(records, 'again'), env: { GITHUB_RUN_ATTEMPT: '2' } },
    );
    expect(again.exitCode).toBe(0);
    expect(await store.keys('matrix/')).toHaveLength(6);

    const reported = await fleet.run('backup', { command: 'report', plan, reports: records, ...inputs });
    expect(reported).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded' } });
    expect(
      reportOf(reported)
        .outcomes.map(({ name }) => name)
        .toSorted(),
    ).toEqual(['f one', 'f three', 'f two']);

    const kept = await store.keys('audit/');
    expect(kept).toHaveLength(4);
    const audit = JSON.parse(
      (await store.read(kept.find((key) => key.includes('backup-report-')) ?? '')).toString('utf8'),
    ) as object;
    expect(audit).toMatchObject({ plan: { action: 'backup' }, report: { verdict: 'succeeded' } });
    for (const finished of [planned, reported]) expect(placesThatShow(fleet.neon.apiKey, finished)).toEqual([]);
    expect(await readFile(plan, 'utf8')).not.toContain(fleet.neon.apiKey);
  });

  test('refuses a plan that was made for another bucket or form', async () => {
    const planned = await fleet.run(
      'backup',
      { command: 'plan', tenants: 'f *', ...fleet.s3Inputs, 's3-prefix': 'one' },
      { folder: path.join(fleet.folder, 'other') },
    );
    const plan = planned.outputs['plan'] ?? '';
    const applied = await fleet.run('backup', {
      command: 'apply',
      plan,
      shard: '1',
      ...fleet.s3Inputs,
      's3-prefix': 'two',
      format: 'custom',
    });
    expect(applied.exitCode).toBe(1);
    expect(applied.log).toMatch(/s3-prefix/);
    expect(await store.keys('two/')).toEqual([]);
  });

  test('is listed, proven and pruned from the bucket alone', async () => {
    const requests = fleet.neon.requests().length;
    const listed = await fleet.run('backup', { command: 'list', 'max-age': '1h', ...s3Only() });
    expect({ exitCode: listed.exitCode, log: listed.log }).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(listed.outputs['list'] ?? '')).toHaveLength(3);

    const verified = await fleet.run('backup', { command: 'verify', 'verify-every': '30d', ...s3Only() });
    expect({ exitCode: verified.exitCode, log: verified.log }).toMatchObject({ exitCode: 0 });
    expect(reportOf(verified).outcomes.every(({ detail }) => detail.includes('50 rows of 1 tables'))).toBe(true);
    const again = await fleet.run('backup', { command: 'verify', 'verify-every': '30d', ...s3Only() });
    expect(Object.values(statuses(again))).toEqual(Array.from({ length: 3 }, () => 'unchanged: not-due'));

    const pruned = await fleet.run('backup', {
      command: 'prune',
      tenants: '*',
      retention: 'last=1',
      'dry-run': 'true',
      ...s3Only(),
    });
    expect(pruned.exitCode).toBe(0);
    expect(pruned.log).toMatch(/stays: .*the newest good one, 1 of the last 1/);
    expect(await store.keys('matrix/')).toHaveLength(9);
    expect(fleet.neon.requests()).toHaveLength(requests);
  });

  test('leaves tenants asleep that are not due, and alarms when one has nothing that is young enough', async () => {
    const notDue = await fleet.run('backup', {
      tenants: 'f *',
      every: '24h',
      ...fleet.s3Inputs,
      's3-prefix': 'matrix',
    });
    expect(Object.values(statuses(notDue))).toEqual(Array.from({ length: 3 }, () => 'unchanged: not-due'));
    const [late = ''] = await fleet.neon.seedProjects(['f four']);
    const listed = await fleet.run('backup', {
      command: 'list',
      tenants: 'f *',
      ...fleet.s3Inputs,
      's3-prefix': 'matrix',
    });
    expect(listed.exitCode).toBe(1);
    expect(listed.log).toContain('there is no backup of f four');
    expect(JSON.parse(listed.outputs['list'] ?? '[]')).toContainEqual(
      expect.objectContaining({ projectId: late, backups: 0 }),
    );
  });

  test('is restored to a moment, into a project that is made for it', async () => {
    const [one = ''] = ids;
    const at = new Date().toISOString();
    const inputs = {
      command: 'restore',
      tenant: 'f one',
      at,
      target: 'new-project',
      ...fleet.s3Inputs,
      's3-prefix': 'matrix',
    };
    const restored = await fleet.run('backup', inputs);
    expect({ exitCode: restored.exitCode, log: restored.log }).toMatchObject({ exitCode: 0 });
    const id = restored.outputs['project-id'] ?? '';
    expect(id).not.toBe(one);
    const rows = 'SELECT n, body FROM notes ORDER BY n';
    expect(await fleet.query(id, rows)).toEqual(await fleet.query(one, rows));
  });

  test('is erased for one tenant only by its id, and leaves a receipt', async () => {
    const [one = ''] = ids;
    const refused = await fleet.run('backup', { command: 'erase', tenant: 'f one', confirm: 'f one', ...s3Only() });
    expect(refused.exitCode).toBe(1);
    const present = await fleet.run('backup', {
      command: 'erase',
      tenant: 'f one',
      confirm: one,
      ...fleet.s3Inputs,
      's3-prefix': 'matrix',
    });
    expect(present.log).toContain('still exists; nothing was erased');
    expect(await store.keys(`matrix/${one}/`)).toHaveLength(3);
    const erased = await fleet.run('backup', { command: 'erase', tenant: 'f one', confirm: one, ...s3Only() });
    expect({ exitCode: erased.exitCode, log: erased.log }).toMatchObject({ exitCode: 0 });
    expect(await store.keys(`matrix/${one}/`)).toEqual([]);
    expect(await store.keys(`matrix/_erased/${one}`)).toHaveLength(1);
  });
});
