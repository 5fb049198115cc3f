import { randomBytes } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { GetObjectTaggingCommand, HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { databasePrefix, manifestKey, objectKey } from '@neon-fleet/shared/backups';
import { uploadStream, type ObjectStore } from '@neon-fleet/shared/s3';

import { BackupFleet, bulk } from '../support/backup-fleet.js';
import { FailingProxy } from '../support/failing-proxy.js';
import { VersityGateway } from '../support/versitygw.js';

const BUCKET = 'second-store';
const { signal } = new AbortController();

let fleet: BackupFleet;
let gateway: VersityGateway | string;
let client: S3Client;
beforeAll(async () => {
  fleet = await BackupFleet.start();
  gateway = await VersityGateway.start(BUCKET);
  if (typeof gateway === 'string') {
    // Said where a person reads it: a test that did not run must not look like one that passed unnoticed.
    console.warn(`The tests against a second S3 server are left out: ${gateway}`);
    return;
  }
  gateway.useCredentials();
  client = gateway.client();
}, 600_000);
afterAll(async () => {
  if (typeof gateway !== 'string') {
    client.destroy();
    await gateway[Symbol.asyncDispose]();
  }
  await fleet[Symbol.asyncDispose]();
});

function second(endpoint?: string): ObjectStore {
  if (typeof gateway === 'string') throw new Error(gateway);
  return gateway.store(BUCKET, endpoint === undefined ? {} : { endpoint });
}

/** Runs only where the second server could be had. */
function against(name: string, run: () => Promise<void>): void {
  test(name, async () => {
    if (typeof gateway !== 'string') await run();
  });
}

const LARGE = bulk(20_000);

async function* pieces(...bodies: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const body of bodies) yield await Promise.resolve(body);
}

const MIB = 1024 * 1024;
const upload = (key: string, source: () => AsyncIterable<Uint8Array>, tags?: Record<string, string>) => ({
  key,
  contentType: 'application/gzip',
  metadata: {},
  partSizeBytes: 5 * MIB,
  partsInFlight: 2,
  signal,
  source,
  ...(tags === undefined ? {} : { tags }),
});

describe('against a second, production-grade S3 server', () => {
  against(
    'a backup of several parts is stored with one checksum of the whole, found, and never over another',
    async () => {
      const store = second();
      const tenant = await fleet.tenant('second', LARGE);
      const manifest = await fleet.backUp(tenant, { store, tags: true });
      const body = await store.get(manifest.key);
      expect(body.length).toBe(manifest.sizeBytes);
      const head = await client.send(
        new HeadObjectCommand({ Bucket: BUCKET, Key: manifest.key, ChecksumMode: 'ENABLED' }),
      );
      expect(head).toMatchObject({ ChecksumType: 'FULL_OBJECT', ChecksumCRC32: expect.stringMatching(/^.{6}==$/) });
      const { TagSet } = await client.send(new GetObjectTaggingCommand({ Bucket: BUCKET, Key: manifest.key }));
      expect(TagSet).toEqual(
        expect.arrayContaining([
          { Key: 'tenant', Value: 'second' },
          { Key: 'schema-version', Value: 'none' },
        ]),
      );
      const again = uploadStream(
        store,
        upload(manifest.key, () => pieces(Buffer.alloc(6 * MIB), Buffer.alloc(6 * MIB))),
      );
      await expect(again).rejects.toThrow(/exists already/);
      await expect(
        store.put({ key: manifestKey(manifest.key), contentType: 'x', metadata: {} }, Buffer.from('x')),
      ).rejects.toThrow();
      expect(await store.listUploads('')).toEqual([]);
    },
  );

  against('a completion whose answer is lost is looked for, and counts', async () => {
    await using proxy = await FailingProxy.start(
      typeof gateway === 'string' ? '' : gateway.endpoint,
      ({ method, url }) => (method === 'POST' && url.includes('uploadId') ? 'lose-answer' : undefined),
    );
    const parts = [randomBytes(6 * MIB), randomBytes(6 * MIB)];
    await uploadStream(
      second(proxy.endpoint),
      upload('lost-answer', () => pieces(...parts)),
    );
    expect(proxy.faults).toBeGreaterThan(0);
    expect((await second().get('lost-answer')).equals(Buffer.concat(parts))).toBe(true);
  });

  against('a source that fails leaves no object and no upload', async () => {
    const source = async function* () {
      yield* pieces(Buffer.alloc(12 * MIB));
      throw new Error('pg_dump was ended by SIGKILL');
    };
    await expect(uploadStream(second(), upload('failing', source))).rejects.toThrow('pg_dump was ended by SIGKILL');
    expect(await second().head('failing')).toBeUndefined();
    expect(await second().listUploads('failing')).toEqual([]);
  });

  against('retention takes what is old, and what an attempt that was killed left in parts', async () => {
    const store = second();
    const tenant = await fleet.tenant('pruned', 'CREATE TABLE notes (id int)');
    const first = await fleet.backUp(tenant, { store });
    const id = { projectId: tenant.projectId, database: 'neondb', timestamp: '20260101T000000000000000Z' };
    await store.beginUpload({ key: objectKey('fleet/', id), contentType: 'application/gzip', metadata: {} });
    const below = databasePrefix('fleet/', tenant.projectId, 'neondb');
    expect(await store.listUploads(below)).toHaveLength(1);
    const newest = await fleet.backUp(tenant, { store, retention: { last: 1 }, orphans: { ageMs: 60_000 } });
    const keys: string[] = [];
    for await (const page of store.list(below)) keys.push(...page.map(({ key }) => key));
    expect(keys.toSorted()).toEqual([newest.key, manifestKey(newest.key)].toSorted());
    expect(keys).not.toContain(first.key);
    expect(await store.listUploads(below)).toEqual([]);
  });
});
