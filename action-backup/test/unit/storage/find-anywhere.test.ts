import { describe, expect, test } from '@jest/globals';
import type { Stores } from '@neon-fleet/shared/actions';
import { parseFleetFile, resolveFleet, type DesiredTenant } from '@neon-fleet/shared/fleet';

import { findAnywhere } from '../../../src/storage/find-anywhere.js';
import { StoredBackups } from '../../../../packages/shared/test/support/stored-backups.js';

const INPUTS = {
  s3Bucket: 'home',
  s3Prefix: undefined,
  awsRegion: undefined,
  kmsKeyId: undefined,
  every: undefined,
  retention: undefined,
};
const LOOKING = { signal: new AbortController().signal, onNote: () => undefined };
const WHEN = new Date('2026-11-24T10:30:00Z');

/** Buckets in memory, and a fleet whose first tenant lies below a prefix of the same bucket, the second one abroad. */
function scene() {
  const buckets = new Map([
    ['home', new StoredBackups()],
    ['abroad', new StoredBackups()],
  ]);
  const of = (bucket: string) => {
    const store = buckets.get(bucket);
    if (store === undefined) throw new Error(`there is no bucket ${bucket}`);
    return store;
  };
  const stores = { of: ({ bucket }: { bucket: string }) => of(bucket) } as unknown as Stores;
  const members = resolveFleet(
    parseFleetFile(`
tenants:
  - { key: acme, name: ACME, backup: { prefix: fleet } }
  - { key: payroll, name: Payroll, backup: { bucket: abroad, prefix: fleet } }
`),
  );
  const fleet = { members, ignored: [] };
  const find = (key: string) => findAnywhere(stores, INPUTS, fleet, { key }, LOOKING);
  const findLatest = (tenant: string, member?: DesiredTenant) =>
    findAnywhere(stores, INPUTS, fleet, { tenant, database: undefined }, { ...LOOKING, member });
  return { of, members, find, findLatest };
}

describe('a backup by its key', () => {
  test('is found once in a bucket that has several places', async () => {
    const { of, find } = scene();
    const key = of('home').add('misty-1', 'ACME', WHEN);
    await expect(find(key)).resolves.toMatchObject({ manifest: { key }, store: of('home') });
  });

  test('is not chosen for somebody when two buckets have it', async () => {
    const { of, find } = scene();
    const key = of('home').add('misty-1', 'ACME', WHEN, { digits: 1 });
    of('abroad').add('misty-1', 'ACME', WHEN, { digits: 1 });
    await expect(find(key)).rejects.toThrow(/several places have it/);
  });
});

describe('the latest backup', () => {
  test("of a member is looked for in its own place alone, also by its project's id", async () => {
    const { of, members, findLatest } = scene();
    const [, payroll] = members;
    const key = of('abroad').add('quiet-2', 'Payroll', WHEN);
    of('home').add('quiet-2', 'Payroll', new Date(WHEN.getTime() + 1_000));
    await expect(findLatest('quiet-2', payroll)).resolves.toMatchObject({ manifest: { key }, store: of('abroad') });
    await expect(findLatest('Payroll', payroll)).resolves.toMatchObject({ manifest: { key }, store: of('abroad') });
  });

  test('of somebody whom the file does not know is looked for in all places', async () => {
    const { of, findLatest } = scene();
    const key = of('abroad').add('old-3', 'Left Us', WHEN);
    await expect(findLatest('old-3')).resolves.toMatchObject({ manifest: { key } });
  });
});
