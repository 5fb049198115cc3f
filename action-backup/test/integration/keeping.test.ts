import {
  CreateBucketCommand,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { manifestKey, writeVerification } from '@neon-fleet/shared/backups';
import type { Keeping } from '@neon-fleet/shared/s3';

import { backUpTenant } from '../../src/tenant/back-up-tenant.js';
import { BackupFleet, bulk, openStoreAt } from '../support/backup-fleet.js';
import { FailingProxy, type Refusal, type SeenRequest } from '../support/failing-proxy.js';
import { VersityGateway } from '../support/versitygw.js';

const LARGE = bulk(20_000);
const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/7f0c4a1e-0000-4000-8000-000000000000';
const KEEPING: Keeping = {
  encryption: 'aws:kms',
  kmsKeyId: KEY,
  storageClass: 'STANDARD_IA',
  lock: { mode: 'COMPLIANCE', days: 30 },
};
const { signal } = new AbortController();

let fleet: BackupFleet;
beforeAll(async () => {
  fleet = await BackupFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

/** What of a request says how an object is kept. */
function kept({ headers }: SeenRequest) {
  const header = (name: string) => headers[`x-amz-${name}`];
  return {
    encryption: header('server-side-encryption'),
    key: header('server-side-encryption-aws-kms-key-id'),
    storageClass: header('storage-class'),
    lock: header('object-lock-mode'),
    until: header('object-lock-retain-until-date'),
    tags: header('tagging'),
  };
}

describe('how objects are kept', () => {
  test.each([
    ['several parts', LARGE],
    ['one request', 'CREATE TABLE notes (id int)'],
  ])('arrives at the store for a dump in %s, its manifest and its notes', async (name, sql) => {
    const tenant = await fleet.tenant(`kept in ${name}`, sql);
    const seen: SeenRequest[] = [];
    await using proxy = await FailingProxy.start(fleet.local.s3.endpoint, (request) => {
      seen.push(request);
      return undefined;
    });
    const store = openStoreAt(fleet.local, proxy.endpoint, KEEPING);
    const before = Date.now();
    const manifest = await fleet.backUp(tenant, { store, tags: true });
    await writeVerification(
      store,
      {
        schemaVersion: 1,
        key: manifest.key,
        method: 'checksum',
        outcome: 'passed',
        at: new Date().toISOString(),
        detail: '',
      },
      signal,
    );
    const makes = ({ method, url, part }: SeenRequest) =>
      (method === 'PUT' && part === undefined) || (method === 'POST' && /[?&]uploads/.test(url));
    const [dump, commit, note, ...others] = seen
      .filter(makes)
      .map((request) => ({ ...kept(request), url: request.url }));
    expect(others).toEqual([]);
    const expected = { encryption: 'aws:kms', key: KEY, storageClass: 'STANDARD_IA', lock: 'COMPLIANCE' };
    expect(dump).toMatchObject({ ...expected, tags: expect.stringContaining('database=neondb') });
    expect(commit).toMatchObject({ ...expected, tags: undefined });
    for (const { until } of [dump ?? { until: '' }, commit ?? { until: '' }]) {
      const days = (new Date(String(until)).getTime() - before) / 86_400_000;
      expect(Math.round(days)).toBe(30);
    }
    // A drill is repeated: what is replaced by and by is encrypted, and not locked.
    expect(note).toMatchObject({ encryption: 'aws:kms', key: KEY, lock: undefined });
    expect(note?.url).toContain('.verified.json');
  });

  test.each<[string, Refusal, RegExp]>([
    [
      'a storage class that it does not have',
      { status: 400, code: 'InvalidStorageClass', message: 'The storage class you specified is not valid' },
      /The storage class you specified is not valid/,
    ],
    [
      'a key that it may not use',
      { status: 403, code: 'AccessDenied', message: 'User is not authorized to perform: kms:GenerateDataKey' },
      /kms:GenerateDataKey/,
    ],
    [
      'a lock on a bucket without Object Lock',
      { status: 400, code: 'InvalidRequest', message: 'Bucket is missing Object Lock Configuration' },
      /missing Object Lock Configuration/,
    ],
  ])('is an error in the words of a store that refuses %s, and leaves nothing', async (_, refusal, words) => {
    const tenant = await fleet.tenant('refused', LARGE);
    await using proxy = await FailingProxy.start(fleet.local.s3.endpoint, ({ method, url }) =>
      method === 'POST' && /[?&]uploads/.test(url) ? refusal : undefined,
    );
    await expect(fleet.backUp(tenant, { store: openStoreAt(fleet.local, proxy.endpoint, KEEPING) })).rejects.toThrow(
      words,
    );
    expect(await fleet.keysOf(tenant)).toEqual([]);
  });
});

describe('against a second S3 server', () => {
  let gateway: VersityGateway | string;
  let client: S3Client;
  beforeAll(async () => {
    gateway = await VersityGateway.start('plain');
    if (typeof gateway === 'string') {
      console.warn(`The tests against a second S3 server are left out: ${gateway}`);
      return;
    }
    gateway.useCredentials();
    client = gateway.client();
    await client.send(new CreateBucketCommand({ Bucket: 'locked', ObjectLockEnabledForBucket: true }));
  }, 600_000);
  afterAll(async () => {
    if (typeof gateway === 'string') return;
    client.destroy();
    await gateway[Symbol.asyncDispose]();
    process.env['AWS_ACCESS_KEY_ID'] = fleet.local.s3.accessKeyId;
    process.env['AWS_SECRET_ACCESS_KEY'] = fleet.local.s3.secretAccessKey;
  });

  test('lock and tags are what the server itself gives back, and retention tells what is still locked', async () => {
    if (typeof gateway === 'string') return;
    const store = gateway.store('locked', { keeping: { lock: { mode: 'GOVERNANCE', days: 3 } } });
    const tenant = await fleet.tenant('locked away', 'CREATE TABLE notes (id int)');
    const first = await fleet.backUp(tenant, { store, tags: true });
    for (const Key of [first.key, manifestKey(first.key)]) {
      const { Retention } = await client.send(new GetObjectRetentionCommand({ Bucket: 'locked', Key }));
      expect(Retention?.Mode).toBe('GOVERNANCE');
      expect(Math.round(((Retention?.RetainUntilDate?.getTime() ?? 0) - Date.now()) / 86_400_000)).toBe(3);
    }
    const { TagSet } = await client.send(new GetObjectTaggingCommand({ Bucket: 'locked', Key: first.key }));
    expect(TagSet).toEqual(expect.arrayContaining([{ Key: 'database', Value: 'neondb' }]));

    const notes: string[] = [];
    const work = { signal, note: (line: string) => void notes.push(line) };
    const surroundings = { ...fleet.surroundings(), store, retention: { last: 1 } };
    const result = await backUpTenant(surroundings, tenant, work);
    expect(result).toMatchObject({ status: 'succeeded', detail: expect.stringContaining('retention met a problem') });
    expect(notes.join('\n')).toMatch(/was not deleted: .*(lock|protected|denied)/i);
    const head = await client.send(new HeadObjectCommand({ Bucket: 'locked', Key: first.key }));
    expect(head.ContentLength).toBe(first.sizeBytes);
  });
});
