import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { backupTimestamp, manifestKey, objectKey, readManifest } from '@neon-fleet/shared/backups';
import { StoppedError, type Tenant } from '@neon-fleet/shared/fleet';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { backUpTenant } from '../../src/tenant/back-up-tenant.js';
import { BackupFleet, bulk, openStoreAt } from '../support/backup-fleet.js';
import { FailingProxy, type Fault } from '../support/failing-proxy.js';

let fleet: BackupFleet;
beforeAll(async () => {
  fleet = await BackupFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
afterEach(() => {
  expect(pgDumps()).toEqual([]);
});

/** Compresses badly, so that the dump needs several parts. */
const LARGE = bulk(20_000);
/** Large enough for pg_dump to be far from its end when the first part is full. */
const LARGER = bulk(40_000);

/** The processes of pg_dump that this process started. */
function pgDumps(): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      const status = readOf(`/proc/${pid}/stat`);
      const parent = Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]);
      return parent === process.pid && readOf(`/proc/${pid}/cmdline`).includes('pg_dump\0--format');
    });
}

async function pgDumpOnceItRuns(): Promise<number> {
  for (;;) {
    const [pid] = pgDumps();
    if (pid !== undefined) return pid;
    await delay(5);
  }
}

function readOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

async function unfinishedUploads(tenant: Tenant): Promise<string[]> {
  const left: string[] = [];
  for (const entry of readdirSync(fleet.local.s3.directory, { recursive: true }) as string[]) {
    if (/_uploads\/[^/]+\/key$/.test(entry)) left.push(readOf(`${fleet.local.s3.directory}/${entry}`));
  }
  return Promise.resolve(left.filter((key) => key.includes(tenant.projectId)));
}

/** A store that does something as soon as an upload has begun, while everything before it waits. */
function onceBegun(store: ObjectStore, act: () => void): ObjectStore {
  return {
    ...store,
    beginUpload: async (...call) => {
      const begun = await store.beginUpload(...call);
      act();
      return begun;
    },
  };
}

describe('backup of a tenant', () => {
  test('is a dump that gunzip reads, with a manifest that says what it is and nothing secret', async () => {
    const tenant = await fleet.tenant('acme', 'CREATE TABLE notes AS SELECT n FROM generate_series(1, 100) n');
    const manifest = await fleet.backUp(tenant);
    const body = await fleet.store.get(manifest.key);
    const text = (await fleet.store.get(manifestKey(manifest.key))).toString('utf8');
    expect(gunzipSync(body).toString('utf8')).toContain('-- PostgreSQL database dump complete');
    expect(readManifest(text, manifest.key)).toEqual(manifest);
    expect(manifest).toMatchObject({ name: 'acme', database: 'neondb', sizeBytes: body.length });
    const { password } = new URL(await fleet.uriOf(tenant.projectId));
    expect(text).not.toContain(password);
  });

  test('in several parts is whole as well', async () => {
    const tenant = await fleet.tenant('large', LARGE);
    const manifest = await fleet.backUp(tenant);
    const sql = gunzipSync(await fleet.store.get(manifest.key));
    expect(manifest.sizeBytes).toBeGreaterThan(8 * 1024 * 1024);
    expect(sql.length).toBe(manifest.dumpBytes);
  });

  test('fails when pg_dump is killed in the middle, and leaves only the old one', async () => {
    const tenant = await fleet.tenant('killed', LARGER);
    await fleet.backUp(tenant);
    const before = await fleet.keysOf(tenant);
    const store = onceBegun(fleet.store, () => {
      for (const pid of pgDumps()) process.kill(pid, 'SIGKILL');
    });
    const backup = fleet.backUp(tenant, { store, retention: { keepMs: 0 } });
    await expect(backup).rejects.toThrow(/pg_dump was ended by SIGKILL; nothing was stored/);
    expect(await fleet.keysOf(tenant)).toEqual(before);
    expect(await unfinishedUploads(tenant)).toEqual([]);
  });

  test.each<[string, Fault]>([
    [
      'refuses to begin an upload',
      ({ method, url }) => (method === 'POST' && url.includes('uploads') ? 500 : undefined),
    ],
    ['answers a part with 500', ({ part }) => (part === 2 ? 500 : undefined)],
    ['closes the connection in the first part', ({ part }) => (part === 1 ? 'close' : undefined)],
    ['closes the connection in the middle of a part', ({ part }) => (part === 2 ? 'close-midway' : undefined)],
    ['refuses to complete', ({ method, url }) => (method === 'POST' && url.includes('uploadId') ? 500 : undefined)],
    ['refuses the manifest', ({ method, url }) => (method === 'PUT' && url.includes('manifest') ? 500 : undefined)],
  ])('fails when the store %s, and leaves only the old one', async (_, fault) => {
    const tenant = await fleet.tenant('unlucky', LARGE);
    await fleet.backUp(tenant);
    const before = await fleet.keysOf(tenant);
    await using proxy = await FailingProxy.start(fleet.local.s3.endpoint, fault);
    await expect(fleet.backUp(tenant, { store: openStoreAt(fleet.local, proxy.endpoint) })).rejects.toThrow(/S3, /);
    expect(proxy.faults).toBeGreaterThan(0);
    expect(await fleet.keysOf(tenant)).toEqual(before);
    expect(await unfinishedUploads(tenant)).toEqual([]);
  });

  test.each<[string, Fault]>([
    [
      'an abort fails once',
      ({ method, part, count }) => (part === 2 || (method === 'DELETE' && count(method) < 3) ? 500 : undefined),
    ],
  ])('leaves no upload behind, also when %s', async (_, fault) => {
    const tenant = await fleet.tenant('twice unlucky', LARGE);
    await using proxy = await FailingProxy.start(fleet.local.s3.endpoint, fault);
    await expect(fleet.backUp(tenant, { store: openStoreAt(fleet.local, proxy.endpoint) })).rejects.toThrow(/S3, /);
    expect(await unfinishedUploads(tenant)).toEqual([]);
  });

  test.each<[string, Fault]>([
    ['completion', ({ method, url }) => (method === 'POST' && url.includes('uploadId') ? 'lose-answer' : undefined)],
    ['manifest', ({ method, url }) => (method === 'PUT' && url.includes('manifest') ? 'lose-answer' : undefined)],
  ])('is good when only the answer to its %s was lost', async (_, fault) => {
    const tenant = await fleet.tenant('lucky', LARGE);
    await using proxy = await FailingProxy.start(fleet.local.s3.endpoint, fault);
    const manifest = await fleet.backUp(tenant, { store: openStoreAt(fleet.local, proxy.endpoint) });
    expect(proxy.faults).toBeGreaterThan(0);
    expect(gunzipSync(await fleet.store.get(manifest.key)).length).toBe(manifest.dumpBytes);
    expect(await unfinishedUploads(tenant)).toEqual([]);
  });

  test('ends soon after a cancellation in the middle, and leaves nothing', async () => {
    const tenant = await fleet.tenant('cancelled', LARGER);
    const stop = new AbortController();
    let cancelledAtMs = 0;
    const store = onceBegun(fleet.store, () => {
      cancelledAtMs = performance.now();
      stop.abort(new StoppedError('cancelled'));
    });
    const backup = fleet.backUp(tenant, { store }, stop.signal);
    await expect(backup).rejects.toThrow(StoppedError);
    expect(cancelledAtMs).toBeGreaterThan(0);
    expect(performance.now() - cancelledAtMs).toBeLessThan(3_000);
    expect(await fleet.keysOf(tenant)).toEqual([]);
    expect(await unfinishedUploads(tenant)).toEqual([]);
  });

  test('is skipped while a migration holds the tenant', async () => {
    const tenant = await fleet.tenant('locked', 'CREATE TABLE notes (id int)');
    const { released } = await fleet.holdLock(tenant.projectId, 2);
    const surroundings = { ...fleet.surroundings(), lockWaitMs: 300 };
    const work = { signal: new AbortController().signal, note: () => undefined };
    await expect(backUpTenant(surroundings, tenant, work)).resolves.toMatchObject({
      status: 'skipped',
      reason: 'locked',
    });
    await released;
  });

  test('deletes by age, with its manifest, only what is ours and only when told to', async () => {
    const tenant = await fleet.tenant('old', 'CREATE TABLE notes (id int)');
    const { projectId } = tenant;
    const id = { projectId, database: 'neondb' };
    const put = (key: string) => fleet.store.put({ key, contentType: 'text/plain', metadata: {} }, Buffer.from('x'));
    const daysAgo = (days: number) => backupTimestamp(new Date(Date.now() - days * 86_400_000));
    const old = objectKey('fleet/', { ...id, timestamp: daysAgo(9) });
    const young = objectKey('fleet/', { ...id, timestamp: daysAgo(3) });
    const unfinished = objectKey('fleet/', { ...id, timestamp: daysAgo(30) });
    const foreign = `fleet/${projectId}/neondb/by-hand.sql.gz`;
    for (const key of [old, manifestKey(old), young, manifestKey(young), unfinished, foreign]) await put(key);

    const first = await fleet.backUp(tenant);
    expect(await fleet.keysOf(tenant)).toHaveLength(8);
    const second = await fleet.backUp(tenant, { retention: { keepMs: 7 * 86_400_000 } });
    const kept = [first.key, manifestKey(first.key), second.key, manifestKey(second.key), young, manifestKey(young)];
    expect(await fleet.keysOf(tenant)).toEqual([...kept, unfinished, foreign].toSorted());
  });

  test('gives pg_dump nothing but what it needs, and nothing secret on its command line', async () => {
    const tenant = await fleet.tenant('nosy', LARGE);
    const backup = fleet.backUp(tenant);
    const pid = await pgDumpOnceItRuns();
    const environment = readOf(`/proc/${pid}/environ`);
    const commandLine = readOf(`/proc/${pid}/cmdline`);
    await backup;
    const { password } = new URL(await fleet.uriOf(tenant.projectId));
    expect(environment).toContain(password);
    expect(environment).toContain('PGSSLMODE=verify-full');
    expect(environment).toContain('PGCHANNELBINDING=require');
    expect(commandLine).not.toContain(password);
    const { secretAccessKey } = fleet.local.s3;
    for (const secret of [secretAccessKey, fleet.local.apiKey]) expect(environment).not.toContain(secret);
    const names = environment.split('\0').map((entry) => entry.split('=')[0]);
    expect(
      names.filter((name) => name !== '' && !/^(PATH|HOME|LANG|LANGUAGE|LC_.*|TMPDIR|TZ|PG.*)$/.test(name ?? '')),
    ).toEqual([]);
  });
});
