import {
  coverageKey,
  manifestKey,
  objectKey,
  verificationKey,
  writeCoverage,
  writeVerification,
} from '@neon-fleet/shared/backups';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { tenantOf } from '@neon-fleet/shared/fleet';

import { readInventory, selectStored, type NamedDatabase } from '../../../src/storage/inventory.js';
import { chooseRows, describeRow, judge, type Row } from '../../../src/commands/list.js';
import type { PlacedDatabase } from '../../../src/storage/placed.js';
import { prune, type PruneRules } from '../../../src/retention/prune.js';
import { pruneStored } from '../../../src/commands/prune.js';
import { StoredBackups } from '../../../../packages/shared/test/support/stored-backups.js';

const NOW = new Date('2026-11-24T12:00:00.000Z');
const daysAgo = (days: number) => new Date(NOW.getTime() - days * 86_400_000);
const { signal } = new AbortController();
const RULES: PruneRules = { retention: { last: 2 }, orphans: { ageMs: 86_400_000 } };

let store: StoredBackups;
let notes: string[];
beforeEach(() => {
  store = new StoredBackups();
  notes = [];
});

async function inventory(): Promise<NamedDatabase[]> {
  return readInventory(store, { prefix: store.prefix, signal, onNote: (line) => void notes.push(line) });
}

/** The same as of the one place that there is without a fleet file. */
async function placed(): Promise<PlacedDatabase[]> {
  const place = { bucket: 'b', prefix: store.prefix, region: undefined, kmsKeyId: undefined };
  const policy = { place, everyMs: undefined, retention: undefined };
  return (await inventory()).map((each) => ({ ...each, place, store, key: each.name, member: undefined, policy }));
}

async function pruneOnly(projectId: string, options: { dryRun?: boolean; rules?: PruneRules } = {}) {
  const stored = (await inventory()).find((each) => each.projectId === projectId);
  if (stored === undefined) throw new Error('nothing is stored');
  const { dryRun = false, rules = RULES } = options;
  return pruneStored(
    store,
    { prefix: store.prefix, stored, rules, dryRun, now: NOW },
    { signal, note: (line) => void notes.push(line) },
  );
}

describe('prune', () => {
  test('takes object, manifest and notes together, and what was never finished, and nothing of anybody else', async () => {
    const old = store.add('misty-1', 'ACME', daysAgo(9));
    const kept = [store.add('misty-1', 'ACME', daysAgo(2)), store.add('misty-1', 'ACME', daysAgo(1))];
    const other = store.add('misty-12', 'Payroll', daysAgo(90));
    await writeVerification(
      store,
      { schemaVersion: 1, key: old, method: 'restore', outcome: 'passed', at: NOW.toISOString(), detail: '' },
      signal,
    );
    store.addUnfinished('misty-1', daysAgo(3));
    const growing = store.addUnfinished('misty-1', daysAgo(0));
    store.uploads.set('left', {
      key: objectKey(store.prefix, {
        projectId: 'misty-1',
        database: 'neondb',
        timestamp: '20261101T000000000000000Z',
      }),
      metadata: {},
      parts: new Map(),
    });
    await expect(pruneOnly('misty-1')).resolves.toMatchObject({
      status: 'succeeded',
      detail: expect.stringContaining('1 deleted, 2 kept, 2 that were never finished'),
    });
    expect(store.keys()).toEqual([...kept, ...kept.map(manifestKey), other, manifestKey(other), growing].toSorted());
    expect(store.uploads.size).toBe(0);
  });

  test('tells uploads that were never finished apart from keys that are gone', async () => {
    const garbage = store.addUnfinished('misty-1', daysAgo(3));
    const key = objectKey(store.prefix, {
      projectId: 'misty-1',
      database: 'neondb',
      timestamp: '20261101T000000000000000Z',
    });
    store.uploads.set('left', { key, metadata: {}, parts: new Map() });
    const scope = { prefix: store.prefix, projectId: 'misty-1', database: 'neondb' };
    await expect(prune(store, scope, RULES, NOW, signal)).resolves.toEqual({
      deleted: [],
      cleared: [garbage],
      aborted: [`the unfinished upload of s3://bucket/${key}`],
      problems: [],
    });
  });

  test('changes nothing in a dry run, and says why each of the rest stays', async () => {
    store.add('misty-1', 'ACME', daysAgo(9));
    store.add('misty-1', 'ACME', daysAgo(2));
    store.add('misty-1', 'ACME', daysAgo(1));
    const before = store.keys();
    await expect(pruneOnly('misty-1', { dryRun: true })).resolves.toMatchObject({ detail: '1 would go, 2 kept' });
    expect(store.keys()).toEqual(before);
    expect(notes).toEqual([
      expect.stringMatching(/^stays: .*the newest good one, 1 of the last 2/),
      expect.stringMatching(/^stays: .*2 of the last 2/),
      expect.stringMatching(/^would go: .*no rule keeps it/),
    ]);
  });

  test.each<[string, (key: string) => void]>([
    [
      'has lost its dump to something smaller',
      (key) => store.objects.set(key, { body: Buffer.from('x'), metadata: {} }),
    ],
    [
      'has a manifest that cannot be read',
      (key) => store.objects.set(manifestKey(key), { body: Buffer.from('{}'), metadata: {} }),
    ],
  ])('deletes nothing when the newest backup %s', async (_, damage) => {
    store.add('misty-1', 'ACME', daysAgo(9));
    store.add('misty-1', 'ACME', daysAgo(8));
    damage(store.add('misty-1', 'ACME', daysAgo(1)));
    const before = store.keys();
    await expect(pruneOnly('misty-1', { rules: { ...RULES, retention: { last: 1 } } })).rejects.toThrow(
      /nothing was deleted/,
    );
    expect(store.keys()).toEqual(before);
  });

  test.each([1, 2, 3])('never leaves a manifest without its dump, also when it ends at request %i', async (ends) => {
    for (const days of [9, 8, 7, 1]) store.add('misty-1', 'ACME', daysAgo(days));
    store.mishap = (name, count) => (name === 'delete' && count === ends ? 'fail' : undefined);
    await prune(store, { prefix: store.prefix, projectId: 'misty-1', database: 'neondb' }, RULES, NOW, signal);
    store.mishap = () => undefined;
    for (const { backups, objects } of await inventory()) {
      const manifests = objects.filter(({ key }) => key.endsWith('.manifest.json'));
      expect(manifests).toHaveLength(backups.length);
    }
    // What was left half way is cleared the next time.
    await prune(store, { prefix: store.prefix, projectId: 'misty-1', database: 'neondb' }, RULES, NOW, signal);
    expect(store.keys()).toHaveLength(4);
  });

  test('fails when the store refuses, and says what stayed', async () => {
    store.add('misty-1', 'ACME', daysAgo(9));
    store.add('misty-1', 'ACME', daysAgo(2));
    store.add('misty-1', 'ACME', daysAgo(1));
    store.delete = (keys) => Promise.resolve(keys.map((key) => ({ key, why: 'Access Denied' })));
    await expect(pruneOnly('misty-1')).rejects.toThrow(/1 of 1 objects could not be deleted: .* Access Denied/);
  });

  test('selects by id and by the name of the last backup, and refuses what matches nothing', async () => {
    store.add('misty-1', 'ACME Corp', daysAgo(2));
    store.add('misty-2', 'Payroll', daysAgo(2));
    const all = await inventory();
    const choose = (tenants: string[]) =>
      selectStored(all, { tenants, database: undefined }, 's3://b/fleet/').map(({ projectId }) => projectId);
    expect(choose(['ACME*'])).toEqual(['misty-1']);
    expect(choose(['misty-2'])).toEqual(['misty-2']);
    expect(choose(['*', '!Payroll'])).toEqual(['misty-1']);
    expect(() => choose(['nobody'])).toThrow(/no backup in .* matches "nobody"/);
  });
});

describe('list', () => {
  const where = 's3://b/fleet/';
  const everything = { tenants: undefined, database: undefined };
  const project = (projectId: string, name: string) => ({
    projectId,
    name,
    regionId: '',
    pgVersion: 17,
    createdAt: '',
  });

  async function describeAll(rows: readonly Row[]) {
    return Promise.all(rows.map((row) => describeRow(row, signal)));
  }

  test('tells newest, sizes, drill and coverage from the bucket alone', async () => {
    store.add('misty-1', 'ACME', daysAgo(9));
    const newest = store.add('misty-1', 'ACME', daysAgo(1));
    await writeVerification(
      store,
      {
        schemaVersion: 1,
        key: newest,
        method: 'restore',
        outcome: 'failed',
        at: daysAgo(0.5).toISOString(),
        detail: '',
      },
      signal,
    );
    await writeCoverage(store, { schemaVersion: 1, key: newest, at: daysAgo(0.1).toISOString() }, signal);
    const [listed] = await describeAll(
      chooseRows(await placed(), { tenants: undefined, existing: undefined }, everything, where),
    );
    expect(listed).toMatchObject({
      name: 'ACME',
      backups: 2,
      totalBytes: 24,
      newest: { key: newest },
      lastVerified: { outcome: 'failed' },
      coveredAt: daysAgo(0.1).toISOString(),
    });
    expect(store.keys()).toEqual(expect.arrayContaining([verificationKey(newest), coverageKey(newest)]));
  });

  test('is red for a tenant without a backup that is young enough, and not for one that has not changed since', async () => {
    const old = store.add('misty-1', 'ACME', daysAgo(3));
    const rows = () =>
      placed().then((all) => chooseRows(all, { tenants: undefined, existing: undefined }, everything, where));
    const [listed] = await describeAll(await rows());
    if (listed === undefined) throw new Error('nothing is listed');
    expect(() => judge(listed, 2 * 86_400_000, NOW)).toThrow(
      /the newest backup of ACME is 3 d old, older than max-age/,
    );
    expect(judge(listed, 4 * 86_400_000, NOW)).toMatchObject({ status: 'succeeded' });
    expect(judge(listed, undefined, NOW)).toMatchObject({ status: 'succeeded' });
    await writeCoverage(store, { schemaVersion: 1, key: old, at: daysAgo(1).toISOString() }, signal);
    const [covered] = await describeAll(await rows());
    if (covered === undefined) throw new Error('nothing is listed');
    expect(judge(covered, 2 * 86_400_000, NOW)).toMatchObject({ status: 'succeeded' });
  });

  test('knows with Neon who never had a backup, and does not blame a project that is gone', async () => {
    store.add('misty-1', 'ACME', daysAgo(1));
    store.add('gone-9', 'Left Us', daysAgo(400));
    const projects = [project('misty-1', 'ACME'), project('fresh-2', 'New One')];
    const rows = chooseRows(
      await placed(),
      {
        tenants: projects.map((each) => tenantOf(each)),
        existing: new Set(projects.map(({ projectId }) => projectId)),
      },
      everything,
      where,
    );
    const listed = await describeAll(rows);
    expect(listed.map(({ name, exists, backups }) => [name, exists, backups])).toEqual([
      ['ACME', true, 1],
      ['Left Us', false, 1],
      ['New One', true, 0],
    ]);
    const [acme, gone, fresh] = listed;
    if (acme === undefined || gone === undefined || fresh === undefined) throw new Error('too few');
    expect(judge(acme, 2 * 86_400_000, NOW).status).toBe('succeeded');
    expect(judge(gone, 2 * 86_400_000, NOW)).toMatchObject({ detail: expect.stringContaining('the project is gone') });
    expect(() => judge(fresh, undefined, NOW)).toThrow(/there is no backup of New One/);
  });

  test.each([
    ['*', ['app', 'neondb']],
    ['app', ['app']],
    [undefined, ['app', 'neondb']],
  ])('has what is left of a project that is gone with the database %s', async (database, expected) => {
    store.add('gone-9', 'Left Us', daysAgo(400));
    store.add('gone-9', 'Left Us', daysAgo(400), { database: 'app' });
    const rows = chooseRows(await placed(), { tenants: [], existing: new Set() }, { tenants: ['*'], database }, where);
    expect(rows.map((row) => [row.projectId, row.database, row.exists]).toSorted()).toEqual(
      expected.map((each) => ['gone-9', each, false]),
    );
  });
});
