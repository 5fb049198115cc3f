import { beforeEach, describe, expect, test } from '@jest/globals';

import {
  coverageKey,
  manifestKey,
  proveBackup,
  usedSince,
  verificationKey,
  writeCoverage,
  writeVerification,
  type Manifest,
  type ProvenBackup,
  type Verification,
} from '../../../src/backups/index.js';
import { S3Error } from '../../../src/s3/index.js';
import { StoredBackups } from '../../support/stored-backups.js';

const NOW = new Date('2026-11-25T12:00:00.000Z');
const { signal } = new AbortController();
const minutesAgo = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000);

let store: StoredBackups;
beforeEach(() => {
  store = new StoredBackups('retired/');
});

interface Variant {
  readonly at?: Date;
  readonly database?: string;
  readonly manifest?: Partial<Manifest>;
  readonly contents?: Partial<NonNullable<Manifest['contents']>>;
  readonly drill?: Partial<Verification> | 'none';
}

/** Stores a backup with all that a good one has, but for what the variant says. @returns its key */
async function backUp({ at = minutesAgo(10), database = 'neondb', manifest, contents, drill }: Variant = {}) {
  const key = store.add('p-acme', 'ACME', at, {
    database,
    dump: `dump of ${database} at ${at.toISOString()}`,
    manifest: {
      schemaVersion: 2,
      contents: {
        snapshotAt: at.toISOString(),
        partial: false,
        schema: {},
        extensions: [],
        roles: [],
        memberships: [],
        grants: [],
        defaultGrants: [],
        ...contents,
      },
      ...manifest,
    },
  });
  if (drill !== 'none') {
    const passed = { schemaVersion: 1, key, method: 'restore', outcome: 'passed', detail: 'restored' } as const;
    await writeVerification(store, { ...passed, at: minutesAgo(5).toISOString(), ...drill }, signal);
  }
  return key;
}

function prove(overrides: Partial<Parameters<typeof proveBackup>[1]> = {}): Promise<ProvenBackup> {
  const wanted = {
    prefix: 'retired/',
    projectId: 'p-acme',
    branch: { id: 'br-main', isDefault: true },
    database: 'neondb',
    maxAgeMs: 3_600_000,
    now: NOW,
  };
  return proveBackup(store, { ...wanted, ...overrides }, signal);
}

describe('a backup is proven', () => {
  test('when it is whole, complete, young and has been restored', async () => {
    const key = await backUp();
    await writeCoverage(
      store,
      { schemaVersion: 1, key, at: NOW.toISOString(), quietUntil: minutesAgo(9).toISOString() },
      signal,
    );
    expect(await prove()).toMatchObject({
      database: 'neondb',
      key,
      snapshotAt: minutesAgo(10),
      drilledAt: minutesAgo(5),
      quietUntil: minutesAgo(9),
    });
    expect(store.objects.has(coverageKey(key))).toBe(true);
  });

  test.each<[string, Variant, RegExp]>([
    ['is old', { at: minutesAgo(61) }, /longer ago than max-backup-age/],
    ['is of a time to come', { at: minutesAgo(-10) }, /still to come/],
    ['is partial', { contents: { partial: true } }, /leaves out a part/],
    ['failed its drill', { drill: { outcome: 'failed', detail: 'rows differ' } }, /drill of .* failed: rows differ/],
    ['was never tried', { drill: 'none' }, /has not been verified/],
    ['was only read', { drill: { method: 'checksum' } }, /only the checksum/],
    ['was tried before it was made', { drill: { at: minutesAgo(20).toISOString() } }, /older than the backup/],
    ['is of another project', { manifest: { projectId: 'p-other' } }, /of the project p-other/],
    ['is of another database', { manifest: { database: 'other' } }, /a backup of "other"/],
    ['is of a branch for development', { manifest: { branchId: 'br-dev' } }, /made of br-dev/],
    ['is beside the manifest of another one', { manifest: { key: 'elsewhere.sql.gz' } }, /is the one of elsewhere/],
  ])('and not when it %s', async (_, variant, why) => {
    await backUp(variant);
    await expect(prove()).rejects.toThrow(why);
    await expect(prove()).rejects.toThrow(/nothing was deleted/);
  });

  test('and not when the object is gone, shorter, or another one of the same size', async () => {
    const key = await backUp();
    const { body } = store.objects.get(key) ?? { body: Buffer.alloc(0) };
    store.objects.set(key, { body: Buffer.from(body).fill(0x20, 3, 4), metadata: {} });
    await expect(prove()).rejects.toThrow(/its checksum is not the one/);
    store.objects.set(key, { body: body.subarray(1), metadata: {} });
    await expect(prove()).rejects.toThrow(/bytes instead of/);
    store.objects.delete(key);
    await expect(prove()).rejects.toThrow(/not in the bucket any more/);
  });

  test('and not by an older one when the newest is not good', async () => {
    await backUp({ at: minutesAgo(20) });
    await backUp({ at: minutesAgo(10), drill: 'none' });
    await expect(prove()).rejects.toThrow(/has not been verified/);
  });

  test('and not by that of another database, project or prefix', async () => {
    await backUp();
    await expect(prove({ database: 'billing' })).rejects.toThrow(/"billing" has no good backup: there is none/);
    await expect(prove({ projectId: 'p-other' })).rejects.toThrow(/there is none/);
    await expect(prove({ prefix: '' })).rejects.toThrow(/there is none/);
    await expect(prove({ branch: { id: 'br-data', isDefault: false } })).rejects.toThrow(/made of the default branch/);
  });

  test('and not when a manifest or note cannot be read', async () => {
    const key = await backUp();
    store.objects.set(verificationKey(key), { body: Buffer.from('{}'), metadata: {} });
    await expect(prove()).rejects.toThrow(/has not been verified/);
    store.objects.set(manifestKey(key), { body: Buffer.from('not JSON'), metadata: {} });
    await expect(prove()).rejects.toThrow(/manifest of .* cannot be read/);
  });

  test('a store that fails is an error of the store', async () => {
    await backUp();
    for (const name of ['list', 'get', 'head', 'getRange'] as const) {
      store.mishap = (each) => (each === name ? 'fail' : undefined);
      await expect(prove()).rejects.toBeInstanceOf(S3Error);
    }
  });
});

describe('use since the backup', () => {
  const backup = (minutes: number, quiet?: number): ProvenBackup => ({
    database: `db${minutes}`,
    key: 'k',
    sizeBytes: 1,
    snapshotAt: minutesAgo(minutes),
    drilledAt: NOW,
    ...(quiet === undefined ? {} : { quietUntil: minutesAgo(quiet) }),
  });

  test.each<[string, ProvenBackup[], Date | undefined, RegExp | undefined]>([
    ['Neon does not say', [backup(10)], undefined, undefined],
    ['it was before', [backup(10)], minutesAgo(11), undefined],
    ['it was the session of the backup', [backup(10, 9)], minutesAgo(9), undefined],
    ['it was that of the other database', [backup(10, 9), backup(8, 7)], minutesAgo(7), undefined],
    ['it may have been anybody', [backup(10, 9), backup(8)], minutesAgo(7), /may have used "db8"/],
    ['it was later', [backup(10, 9), backup(8, 7)], minutesAgo(6), /active at .* after the backups/],
  ])('when %s', (_, backups, lastActiveAt, why) => {
    const said = usedSince(backups, lastActiveAt);
    if (why === undefined) expect(said).toBeUndefined();
    else expect(said).toMatch(why);
  });
});
