import { gunzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Tenant } from '@neon-fleet/shared/fleet';

import { backUpTenant } from '../../src/tenant/back-up-tenant.js';
import { BackupFleet, bulk, openStoreAt } from '../support/backup-fleet.js';
import { FailingProxy, type Failure, type Fault, type SeenRequest } from '../support/failing-proxy.js';

let fleet: BackupFleet;
beforeAll(async () => {
  fleet = await BackupFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

/** Compresses badly, so that the dump needs several parts. */
const LARGE = bulk(20_000);

const SMALL = 'CREATE TABLE notes AS SELECT n FROM generate_series(1, 100) n';

/** What is enough for a backup to come to a phase: parts are of large dumps only. */
const rowsFor = (phase: string) => (['create', 'part', 'complete'].includes(phase) ? LARGE : SMALL);

/** The requests of a backup with retention, by what they are for. */
const PHASES: Readonly<Record<string, (request: SeenRequest) => boolean>> = {
  create: ({ method, url }) => method === 'POST' && /[?&]uploads/.test(url),
  part: ({ part }) => part !== undefined,
  complete: ({ method, url }) => method === 'POST' && url.includes('uploadId'),
  look: ({ method }) => method === 'HEAD',
  manifest: ({ method, url }) => method === 'PUT' && url.includes('manifest'),
  list: ({ method, url }) => method === 'GET' && url.includes('list-type'),
  delete: ({ method, url }) => method === 'POST' && /[?&]delete/.test(url),
};

function on(phase: string, failure: Failure, times = Number.POSITIVE_INFINITY): Fault {
  let left = times;
  return (request) => {
    if (PHASES[phase]?.(request) !== true || left <= 0) return undefined;
    left -= 1;
    return failure;
  };
}

/** A backup that is to leave one backup only, through a store that misbehaves. */
async function backUpThrough(proxy: FailingProxy, tenant: Tenant) {
  const surroundings = {
    ...fleet.surroundings(),
    store: openStoreAt(fleet.local, proxy.endpoint),
    retention: { last: 1 },
  };
  const notes: string[] = [];
  const work = { signal: new AbortController().signal, note: (line: string) => void notes.push(line) };
  return { result: await backUpTenant(surroundings, tenant, work), notes };
}

async function wholeBackups(tenant: Tenant): Promise<string[]> {
  const keys = await fleet.keysOf(tenant);
  const dumps = keys.filter((key) => key.endsWith('.sql.gz'));
  for (const key of dumps) {
    expect(keys).toContain(key.replace('.sql.gz', '.manifest.json'));
    expect(gunzipSync(await fleet.store.get(key)).toString('utf8')).toContain('PostgreSQL database dump complete');
  }
  return dumps;
}

describe('a store that is slow', () => {
  test.each(Object.keys(PHASES))('in the phase %s costs time and nothing else', async (phase) => {
    const tenant = await fleet.tenant(`slow ${phase}`, rowsFor(phase));
    const old = await fleet.backUp(tenant);
    await using proxy = await FailingProxy.start(fleet.local.s3.endpoint, on(phase, 'drip'));
    const { result } = await backUpThrough(proxy, tenant);
    expect(result).toMatchObject({ status: 'succeeded', detail: expect.stringContaining('1 older deleted') });
    expect(proxy.faults).toBeGreaterThan(0);
    const backups = await wholeBackups(tenant);
    expect(backups).toHaveLength(1);
    expect(backups).not.toContain(old.key);
  });
});

describe('a store that closes connections', () => {
  test.each(Object.keys(PHASES))('once in the phase %s is asked again', async (phase) => {
    const tenant = await fleet.tenant(`once ${phase}`, rowsFor(phase));
    await fleet.backUp(tenant);
    await using proxy = await FailingProxy.start(fleet.local.s3.endpoint, on(phase, 'close', 1));
    const { result } = await backUpThrough(proxy, tenant);
    expect(result).toMatchObject({ status: 'succeeded' });
    expect(proxy.faults).toBe(1);
    expect(await wholeBackups(tenant)).toHaveLength(1);
  });

  test.each(['create', 'part', 'complete', 'manifest'])(
    'always in the phase %s gets no backup, and the old one stays',
    async (phase) => {
      const tenant = await fleet.tenant(`always ${phase}`, rowsFor(phase));
      await fleet.backUp(tenant);
      const before = await fleet.keysOf(tenant);
      await using proxy = await FailingProxy.start(fleet.local.s3.endpoint, on(phase, 'close'));
      await expect(backUpThrough(proxy, tenant)).rejects.toThrow(/S3, |the manifest could not be written/);
      expect(await fleet.keysOf(tenant)).toEqual(before);
      expect(await fleet.store.listUploads(`fleet/${tenant.projectId}/`)).toEqual([]);
    },
  );

  test.each(['list', 'delete'])('always in the phase %s keeps the old ones, and the new one is good', async (phase) => {
    const tenant = await fleet.tenant(`always ${phase}`, rowsFor(phase));
    const old = await fleet.backUp(tenant);
    await using proxy = await FailingProxy.start(fleet.local.s3.endpoint, on(phase, 'close'));
    const { result, notes } = await backUpThrough(proxy, tenant);
    expect(result).toMatchObject({ status: 'succeeded', detail: expect.stringContaining('retention met a problem') });
    expect(notes.join()).toMatch(/Retention: S3, (listing|deleting)/);
    const backups = await wholeBackups(tenant);
    expect(backups).toHaveLength(2);
    expect(backups).toContain(old.key);
  });
});

describe('a refused deletion', () => {
  test('is told with its reason, and costs neither the new backup nor the old one', async () => {
    const tenant = await fleet.tenant('may not delete', 'CREATE TABLE notes (id int)');
    const old = await fleet.backUp(tenant);
    const refusal = { status: 403, code: 'AccessDenied', message: 'Access Denied by a policy' };
    await using proxy = await FailingProxy.start(fleet.local.s3.endpoint, on('delete', refusal));
    const { result, notes } = await backUpThrough(proxy, tenant);
    expect(result).toMatchObject({ status: 'succeeded', detail: expect.stringContaining('retention met a problem') });
    expect(notes.join()).toContain('Access Denied by a policy');
    expect(await wholeBackups(tenant)).toEqual(expect.arrayContaining([old.key]));
  });
});
