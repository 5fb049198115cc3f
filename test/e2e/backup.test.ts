import { mkdtemp, readdir } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { TestFleet, outcomeOf, reportOf, statuses } from '../support/fleet.js';
import { descendantsOf, listProcesses, type ProcessInfo } from '../support/processes.js';
import { passwordsSeenBy, placesThatShow } from '../support/secrets.js';
import { isPart, S3Proxy, StoreInspector, type Verdict } from '../support/store.js';

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
afterEach(async () => {
  expect(await store.unfinishedUploads()).toEqual([]);
});

/** A tenant of this test with a little data. */
async function seedTenant(name = 'tenant'): Promise<{ id: string; name: string }> {
  const full = `b${count} ${name}`;
  const [id = ''] = await fleet.neon.seedProjects([full]);
  await fleet.query(
    id,
    `CREATE TABLE notes (id serial PRIMARY KEY, body text); INSERT INTO notes (body) SELECT 'note ' || n FROM generate_series(1, 100) n`,
  );
  return { id, name: full };
}

/** Makes a tenant's dump large: this many megabytes of text that does not compress well. */
async function fill(id: string, megabytes: number): Promise<void> {
  await fleet.query(
    id,
    `CREATE TABLE bulk AS SELECT n, (SELECT string_agg(md5(random()::text || n || part), '') FROM generate_series(1, 32) part) AS body
       FROM generate_series(1, ${megabytes * 1_024}) n`,
  );
}

const inputs = (id: string) => ({ tenants: id, ...fleet.s3Inputs });

/** The pg_dump that dumps, and not one that is asked for its version. */
async function pgDumpOf(pid: number): Promise<ProcessInfo> {
  for (;;) {
    const found = descendantsOf(await listProcesses(), pid).find(({ commandLine }) =>
      /pg_dump\b.*--format/.test(commandLine),
    );
    if (found !== undefined) return found;
  }
}

/** Resolves when a part of a dump has been sent, so that what happens next happens in mid-stream. */
async function uploadIsUnderWay(id: string): Promise<void> {
  while (!(await store.unfinishedUploads()).some((key) => key.startsWith(id)));
}

describe('backup', () => {
  test('stores a whole dump that any gunzip reads, with a manifest beside it', async () => {
    const { id, name } = await seedTenant();
    const run = await fleet.run('backup', inputs(id));
    expect(run.log).toContain('1/1');
    expect(run).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded', succeeded: '1' } });

    const keys = await store.keys(id);
    expect(keys).toHaveLength(2);
    const [first = '', second = ''] = keys;
    const [dump, manifest] = first.endsWith('.sql.gz') ? [first, second] : [second, first];
    expect(dump).toMatch(new RegExp(`^${id}/neondb/\\d{8}T\\d+Z[^/]*\\.sql\\.gz$`));
    const sql = gunzipSync(await store.read(dump)).toString('utf8');
    expect(sql).toContain('note 100');
    expect(sql).toContain('-- PostgreSQL database dump complete');
    expect(JSON.parse((await store.read(manifest)).toString('utf8'))).toMatchObject({
      schemaVersion: 2,
      projectId: id,
      name,
    });
  });

  test('adds a backup the second time and harms none', async () => {
    const { id } = await seedTenant();
    await fleet.run('backup', inputs(id));
    const before = await store.keys(id);
    const bytes = await Promise.all(before.map((key) => store.read(key)));
    const second = await fleet.run('backup', { ...inputs(id), retention: '7d' });
    expect(statuses(second)).toEqual({ [`b${count} tenant`]: 'succeeded' });
    const after = await store.keys(id);
    expect(after).toHaveLength(4);
    expect(after).toEqual(expect.arrayContaining(before));
    for (const [index, key] of before.entries()) expect(bytes[index]?.equals(await store.read(key))).toBe(true);
  });

  test('restores into a fresh project from S3 alone, and refuses a target that is not empty', async () => {
    const { id } = await seedTenant();
    await fleet.run('backup', inputs(id));
    const target = await fleet.run('provision', { name: `b${count} target` });
    const targetId = target.outputs['project-id'] ?? '';
    const restore = {
      command: 'restore',
      tenant: id,
      backup: 'latest',
      'target-url': target.outputs['connection-uri'] ?? '',
      'neon-api-key': '',
      'neon-api-url': '',
      ...fleet.s3Inputs,
    };

    const requests = fleet.neon.requests().length;
    const first = await fleet.run('backup', restore);
    expect({ exitCode: first.exitCode, log: first.log }).toEqual({ exitCode: 0, log: first.log });
    expect(fleet.neon.requests()).toHaveLength(requests);
    const rows = 'SELECT id, body FROM notes ORDER BY id';
    expect(await fleet.query(targetId, rows)).toEqual(await fleet.query(id, rows));

    const again = await fleet.run('backup', restore);
    expect(again.exitCode).toBe(1);
    expect(again.log).toMatch(/not empty/);
    expect(await fleet.query(targetId, rows)).toHaveLength(100);
  });

  test('makes no backup when pg_dump is killed in mid-stream, and leaves the old ones alone', async () => {
    const { id, name } = await seedTenant();
    await fill(id, 60);
    await fleet.run('backup', inputs(id));
    const before = await store.keys(id);

    const run = await fleet.start('backup', { ...inputs(id), retention: '1d' });
    const pgDump = await pgDumpOf(run.process.pid ?? 0);
    await uploadIsUnderWay(id);
    process.kill(pgDump.pid, 'SIGKILL');
    const finished = await run.finished;

    expect(finished).toMatchObject({ exitCode: 1, outputs: { verdict: 'failed', failed: '1' } });
    expect(outcomeOf(finished, name).detail).toMatch(/pg_dump/);
    expect(await store.keys(id)).toEqual(before);
  });

  test.each<[string, (part: number) => Verdict]>([
    ['answers 500 from the second part on', (part) => (part >= 2 ? 500 : 'pass')],
    ['closes the connection from the second part on', (part) => (part >= 2 ? 'close' : 'pass')],
  ])('makes no backup when S3 %s', async (_, verdictOn) => {
    const { id } = await seedTenant();
    await fill(id, 40);
    await fleet.run('backup', inputs(id));
    const before = await store.keys(id);

    let parts = 0;
    await using proxy = await S3Proxy.start(fleet.neon.s3.endpoint, (request) =>
      isPart(request) ? verdictOn((parts += 1)) : 'pass',
    );
    const run = await fleet.start('backup', { ...inputs(id), 's3-endpoint': proxy.endpoint });
    const pgDump = await pgDumpOf(run.process.pid ?? 0);
    const finished = await run.finished;

    expect(parts).toBeGreaterThan(1);
    expect(finished).toMatchObject({ exitCode: 1, outputs: { verdict: 'failed' } });
    expect(await store.keys(id)).toEqual(before);
    expect((await listProcesses()).filter(({ pid }) => pid === pgDump.pid)).toEqual([]);
  });

  test('ends within five seconds when it is cancelled in mid-upload, and leaves nothing behind', async () => {
    const { id, name } = await seedTenant();
    await fill(id, 60);
    const other = await seedTenant('not started');

    const run = await fleet.start('backup', {
      tenants: `${id}\n${other.id}`,
      concurrency: '1',
      ...fleet.s3Inputs,
    });
    const pgDump = await pgDumpOf(run.process.pid ?? 0);
    await uploadIsUnderWay(id);
    const cancelledAtMs = performance.now();
    run.cancel();
    const finished = await run.finished;

    expect(performance.now() - cancelledAtMs).toBeLessThan(5_000);
    expect(finished).toMatchObject({ exitCode: 1, signal: null, outputs: { verdict: 'incomplete', skipped: '2' } });
    expect(statuses(finished)).toEqual({ [name]: 'skipped: cancelled', [other.name]: 'skipped: cancelled' });
    expect(await store.keys(id)).toEqual([]);
    expect((await listProcesses()).filter(({ pid }) => pid === pgDump.pid)).toEqual([]);
  });

  test('goes on after a tenant that refuses connections', async () => {
    const good = await seedTenant('good');
    const deaf = await seedTenant('deaf');
    fleet.neon.faults.set({ kind: 'refuse-connections', projectId: deaf.id });
    const run = await fleet.run('backup', { tenants: `b${count} *`, ...fleet.s3Inputs });
    expect(run.exitCode).toBe(1);
    expect(statuses(run)).toEqual({ [good.name]: 'succeeded', [deaf.name]: 'failed' });
    expect(await store.keys(deaf.id)).toEqual([]);
  });

  test('shows no secret in logs, summaries, outputs, manifests, arguments or environments of children', async () => {
    const { id } = await seedTenant();
    await fill(id, 30);
    const run = await fleet.start('backup', inputs(id));
    const pgDump = await pgDumpOf(run.process.pid ?? 0);
    const processes = await listProcesses();
    const finished = await run.finished;
    expect(finished.exitCode).toBe(0);

    const [password = ''] = passwordsSeenBy(finished);
    const { apiKey, s3 } = fleet.neon;
    expect(password).not.toBe('');
    for (const secret of [password, apiKey, s3.secretAccessKey]) {
      expect(placesThatShow(secret, finished)).toEqual([]);
      expect(processes.filter(({ commandLine }) => commandLine.includes(secret))).toEqual([]);
      for (const key of (await store.keys(id)).filter((name) => name.endsWith('.json'))) {
        expect((await store.read(key)).toString('utf8')).not.toContain(secret);
      }
    }
    for (const secret of [apiKey, s3.secretAccessKey]) expect(pgDump.environment).not.toContain(secret);
  });

  test('refuses wrong inputs all at once, and does nothing', async () => {
    const requests = fleet.neon.requests().length;
    const run = await fleet.run('backup', {
      'neon-api-key': '',
      's3-bucket': '',
      's3-endpoint': 'ftp://store',
      's3-force-path-style': 'yes',
      retention: 'forever',
      'compression-level': '12',
      tenants: '',
      concurrency: '-1',
    });
    expect(run.exitCode).toBe(1);
    for (const input of [
      'neon-api-key',
      's3-bucket',
      's3-endpoint',
      's3-force-path-style',
      'retention',
      'compression-level',
      'tenants',
      'concurrency',
    ]) {
      expect(run.log).toMatch(new RegExp(`${input}: given .*; accepted: `));
    }
    expect(fleet.neon.requests()).toHaveLength(requests);
  });

  test('refuses wrong inputs all at once, and asks neither Neon nor S3, when one of them is right', async () => {
    const { id } = await seedTenant();
    let asked = 0;
    await using proxy = await S3Proxy.start(fleet.neon.s3.endpoint, () => {
      asked += 1;
      return 'pass';
    });
    const requests = fleet.neon.requests().length;
    const wrong = { ...inputs(id), 's3-endpoint': proxy.endpoint, concurrency: '0', retention: 'forever' };
    const run = await fleet.run('backup', wrong);
    expect(run.exitCode).toBe(1);
    expect(run.log).toMatch(/retention: given "forever"; accepted: [^]*concurrency: given "0"; accepted: /);
    expect(fleet.neon.requests()).toHaveLength(requests);
    expect(asked).toBe(0);
    expect(await store.keys(id)).toEqual([]);
  });

  test('refuses wrong inputs of a restore all at once, and does nothing', async () => {
    let asked = 0;
    await using proxy = await S3Proxy.start(fleet.neon.s3.endpoint, () => {
      asked += 1;
      return 'pass';
    });
    const requests = fleet.neon.requests().length;
    const run = await fleet.run('backup', {
      ...fleet.s3Inputs,
      command: 'restore',
      's3-endpoint': proxy.endpoint,
      's3-bucket': '-',
      backup: 'latest',
      'target-url': 'mysql://u:hunter2@h/d',
      'allow-non-empty': 'perhaps',
      'lock-wait': 'long',
    });
    expect(run.exitCode).toBe(1);
    for (const input of ['s3-bucket', 'tenant', 'target-url', 'allow-non-empty', 'lock-wait']) {
      expect(run.log).toMatch(new RegExp(`${input}: given .*; accepted: `));
    }
    expect(run.log).toContain(
      'target-url: given a value that is not shown because it is secret; accepted: postgresql://user:…@host',
    );
    expect(placesThatShow('hunter2', run)).toEqual([]);
    expect(fleet.neon.requests()).toHaveLength(requests);
    expect(asked).toBe(0);
  });

  test('leaves no file behind when the password of a target is wrong, and says which one is meant', async () => {
    const { id } = await seedTenant();
    await fleet.run('backup', inputs(id));
    const [targetId = ''] = await fleet.neon.seedProjects([`b${count} target`]);
    const target = new URL(await fleet.uriOf(targetId));
    target.password = 'not-the-password';
    const folder = await mkdtemp(path.join(fleet.folder, 'runner-'));
    const run = await fleet.run(
      'backup',
      { ...fleet.s3Inputs, command: 'restore', tenant: id, backup: 'latest', 'target-url': target.href },
      { folder },
    );
    expect(run.exitCode).toBe(1);
    expect(outcomeOf(run, `b${count} tenant`)).toMatchObject({
      status: 'failed',
      error: { code: 'SQLSTATE 28P01', hint: expect.stringContaining('target-url') },
    });
    expect(run.log).not.toContain('fetched anew');
    expect(await readdir(path.join(folder, 'temp'))).toEqual(['neon-fleet']);
  });

  test('refuses a name to be left out that nobody has, and tells of a glob that leaves nobody out', async () => {
    const { id } = await seedTenant();
    const refused = await fleet.run('backup', { ...inputs(id), tenants: `${id}\n!ACME Crop` });
    expect(refused.exitCode).toBe(1);
    expect(refused.log).toContain('no project matches "!ACME Crop"; nothing was done');
    expect(await store.keys(id)).toEqual([]);

    const run = await fleet.run('backup', { ...inputs(id), tenants: `${id}\n!stagign-*` });
    expect(run.exitCode).toBe(0);
    expect(run.log).toMatch(/^::warning.*no project matches "!stagign-\*"/m);
    expect(run.summary).toContain('no project matches &quot;!stagign-*&quot;');
  });

  test('reports each tenant exactly once', async () => {
    const tenants = await Promise.all(['x', 'y', 'z'].map((name) => seedTenant(name)));
    const run = await fleet.run('backup', { tenants: `b${count} *`, ...fleet.s3Inputs });
    expect(
      reportOf(run)
        .outcomes.map(({ name }) => name)
        .toSorted(),
    ).toEqual(tenants.map(({ name }) => name).toSorted());
  });
});
