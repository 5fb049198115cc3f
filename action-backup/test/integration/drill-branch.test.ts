import { type Manifest, readVerification, verificationKey } from '@neon-fleet/shared/backups';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { waitForOperations } from '@neon-fleet/shared/neon';
import { openClientFinder } from '@neon-fleet/shared/postgres';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { drill } from '../../src/commands/verify.js';
import { isExpiredDrill, placesInBranches } from '../../src/verify/branch-place.js';
import { BackupFleet } from '../support/backup-fleet.js';

let fleet: BackupFleet;
const { signal } = new AbortController();

beforeAll(async () => {
  fleet = await BackupFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => fleet.local.faults.clear());

const NOTES = 'CREATE TABLE notes AS SELECT n, md5(n::text) AS body FROM generate_series(1, 1000) n';

function places() {
  return placesInBranches({
    neon: fleet.neon,
    cleaner: fleet.neon,
    trust: fleet.trust,
    authorities: fleet.authorities,
    branch: undefined,
    expireAfterMs: 3_600_000,
    signal,
    onNote: () => undefined,
  });
}

function verify(manifest: Manifest, store: ObjectStore = fleet.store) {
  const { place } = places();
  const surroundings = {
    store,
    clients: openClientFinder({ env: process.env }),
    env: process.env,
    place,
    signal,
  };
  return drill(surroundings, fleet.store, manifest, 'restore', undefined);
}

async function branchesOf({ projectId }: Manifest): Promise<string[]> {
  return (await fleet.neon.listBranches(projectId)).map(({ name }) => name);
}

describe('a drill in a branch', () => {
  test.each(['plain', 'custom'] as const)(
    'proves a %s dump, and looks at nothing that the branch has',
    async (format) => {
      const tenant = await fleet.tenant(`drill ${format}`, NOTES);
      const { shape } = fleet.surroundings();
      const manifest = await fleet.backUp(tenant, { shape: { ...shape, format } });
      // The parent has gone on since: what is proven is the backup.
      await fleet.query(tenant.projectId, 'DROP TABLE notes; CREATE TABLE others (id int)');
      await expect(verify(manifest)).resolves.toMatchObject({
        status: 'succeeded',
        detail: expect.stringMatching(/in a branch of .*as recorded: 1000 rows of 1 tables/),
      });
      expect(await branchesOf(manifest)).toEqual(['main']);
      expect(await fleet.query(tenant.projectId, 'SELECT * FROM others')).toEqual([]);
    },
  );

  test('is gone also after a backup that is damaged, which is written down', async () => {
    const manifest = await fleet.backUp(await fleet.tenant('damaged', NOTES));
    const damaged: ObjectStore = {
      ...fleet.store,
      getRange: async (...call) => {
        const body = Buffer.from(await fleet.store.getRange(...call));
        body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1;
        return body;
      },
    };
    await expect(verify(manifest, damaged)).rejects.toThrow(/is damaged/);
    expect(await branchesOf(manifest)).toEqual(['main']);
    await expect(readVerification(fleet.store, manifest.key, signal)).resolves.toMatchObject({ outcome: 'failed' });
  });

  test.each([
    ['no more branches are allowed', { kind: 'status', status: 422, path: 'createProjectBranch' }, 1],
    ['the database cannot be made', { kind: 'status', status: 400, path: 'createProjectBranchDatabase' }, 1],
    ['the project is over its quota', { kind: 'quota-suspended' }, 1],
  ] as const)('says nothing about the backup when %s, and leaves nothing', async (name, fault, branches) => {
    const manifest = await fleet.backUp(await fleet.tenant(name, NOTES));
    fleet.local.faults.set({ ...fault, projectId: manifest.projectId });
    await expect(verify(manifest)).rejects.toThrow();
    fleet.local.faults.clear();
    expect(await branchesOf(manifest)).toHaveLength(branches);
    expect(await fleet.store.head(verificationKey(manifest.key))).toBeUndefined();
  });

  test('removes what a killed one has left once nobody can need it, and no other branch', async () => {
    const manifest = await fleet.backUp(await fleet.tenant('left', NOTES));
    const { projectId } = manifest;
    const past = new Date(Date.now() - 1_000).toISOString();
    const future = new Date(Date.now() + 3_600_000).toISOString();
    for (const [name, annotations] of [
      ['left behind', { 'neon-fleet-drill': past }],
      ['still at work', { 'neon-fleet-drill': future }],
      ['of somebody else', {}],
    ] as const) {
      const { operations } = await fleet.neon.createBranch({ projectId, name, annotations });
      await waitForOperations(fleet.neon, projectId, operations);
    }
    await expect(verify(manifest)).resolves.toMatchObject({ status: 'succeeded' });
    expect((await branchesOf(manifest)).toSorted()).toEqual(['main', 'of somebody else', 'still at work']);
  });

  test.each([
    ['the default branch', { isDefault: true }],
    ['a protected one', { isProtected: true }],
    ['one without a parent', { parentId: undefined }],
    ['one without a date', { annotations: { 'neon-fleet-drill': 'soon' } }],
  ])('never takes %s for its own', (_, change) => {
    const annotations = { 'neon-fleet-drill': '2026-01-01T00:00:00.000Z' };
    const drills = { id: 'br', name: 'x', isDefault: false, parentId: 'br-0', annotations };
    const now = new Date('2026-01-02T00:00:00Z');
    expect(isExpiredDrill(drills, now)).toBe(true);
    const { parentId, ...changed } = { ...drills, ...change };
    expect(isExpiredDrill(parentId === undefined ? changed : { ...changed, parentId }, now)).toBe(false);
  });
});
