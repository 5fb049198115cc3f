import { describe, expect, test } from '@jest/globals';
import type { Branch, ProjectRef } from '@neon-fleet/shared/neon';

import { asTheFileSays, findWay, gapWords, type WayInputs } from '../../../src/restore/way.js';
import { findBackup } from '../../../src/storage/find-backup.js';
import { StoredBackups } from '../../../../packages/shared/test/support/stored-backups.js';

const NOW = new Date('2026-11-24T12:00:00Z');
const PROJECT: ProjectRef = {
  projectId: 'misty-1',
  name: 'ACME',
  regionId: 'aws-us-east-1',
  pgVersion: 17,
  createdAt: '2026-01-01T00:00:00Z',
  historyRetentionSeconds: 86_400,
};
const MAIN: Branch = { id: 'br-main', name: 'main', isDefault: true };
const OTHER: Branch = { id: 'br-other', name: 'live', isDefault: false };
const INPUTS: WayInputs = {
  backup: undefined,
  at: new Date('2026-11-24T11:00:00Z'),
  maxGap: 3_600_000,
  tenant: 'ACME',
  database: undefined,
  branch: undefined,
  target: undefined,
  targetUrl: undefined,
};

/** A world with backups at 10:30 today and three days ago, and with these projects. */
function scene(projects: ProjectRef[] = [PROJECT], unavailable: string[] = []) {
  const store = new StoredBackups();
  const keys = {
    old: store.add('misty-1', 'ACME', new Date('2026-11-21T10:30:00Z')),
    today: store.add('misty-1', 'ACME', new Date('2026-11-24T10:30:00Z')),
  };
  let asked = 0;
  const neon = {
    listProjects: () => Promise.resolve({ projects, unavailableProjectIds: unavailable }),
    listBranches: () => Promise.resolve([MAIN, OTHER]),
    defaultBranch: () => Promise.resolve(MAIN),
  };
  const finder = {
    neon: () => {
      asked += 1;
      return neon;
    },
    findBackup: async (wanted: Parameters<typeof findBackup>[1]) => {
      const options = { prefix: 'fleet/', signal: new AbortController().signal, onNote: () => undefined };
      return { manifest: await findBackup(store, wanted, options), store };
    },
    now: NOW,
  };
  const find = (inputs: Partial<WayInputs>) => findWay({ ...INPUTS, ...inputs }, finder);
  return { find, keys, asked: () => asked };
}

describe('the way to a moment', () => {
  test.each([undefined, 'branch'] as const)('is instant inside of the window (target: %s)', async (target) => {
    const { find } = scene();
    await expect(find({ target })).resolves.toMatchObject({ kind: 'instant', parent: MAIN, project: PROJECT });
    await expect(find({ target, tenant: 'misty-1', branch: 'live' })).resolves.toMatchObject({ parent: OTHER });
    await expect(find({ target, branch: 'br-other' })).resolves.toMatchObject({ parent: OTHER });
    await expect(find({ target, branch: 'nope' })).rejects.toThrow(/has no branch "nope"/);
  });

  test('is the newest dump before it outside of the window, beside the original', async () => {
    const { find, keys } = scene([{ ...PROJECT, historyRetentionSeconds: 600 }]);
    const way = await find({});
    expect(way).toMatchObject({
      kind: 'dump',
      manifest: { key: keys.today },
      place: { kind: 'branch', parent: MAIN },
      why: expect.stringContaining('reaches back to'),
    });
    if (way.kind !== 'dump') throw new Error('no dump');
    expect(gapWords(way, INPUTS.at)).toMatch(/^; it is 30 min older than 2026-11-24T11:00:00.000Z: the history/);
  });

  test('takes the same dump when Neon refuses the moment', async () => {
    const { find, keys } = scene();
    const way = await find({});
    if (way.kind !== 'instant') throw new Error('not instant');
    await expect(way.otherwise()).resolves.toMatchObject({ manifest: { key: keys.today }, place: { kind: 'branch' } });
  });

  test.each([
    [{ targetUrl: 'postgresql://u@h/d' }, 'url'],
    [{ target: 'url', targetUrl: 'postgresql://u@h/d' }, 'url'],
    [{ target: 'new-project' }, 'new-project'],
  ] as const)('is a dump for %j, says why, and asks Neon for nothing', async (inputs, kind) => {
    const { find, keys, asked } = scene();
    await expect(find(inputs)).resolves.toMatchObject({
      kind: 'dump',
      manifest: { key: keys.today },
      place: { kind },
      why: expect.stringContaining('target: branch restores the very moment'),
    });
    expect(asked()).toBe(0);
  });

  test('is refused when the gap is too large, and names the other door', async () => {
    const { find } = scene();
    const failure = find({ targetUrl: 'postgresql://u@h/d', maxGap: 600_000 });
    await expect(failure).rejects.toThrow(/30 min older, which is more than max-gap: .*target: branch/);
    const outside = find({ at: new Date('2026-11-23T11:00:00Z') });
    await expect(outside).rejects.toThrow(/is 2 d older, which is more than max-gap.*reaches back to/);
  });

  test('leads to a new project when the old one is gone, unless a branch of it was asked for', async () => {
    const { find, keys } = scene([]);
    await expect(find({})).resolves.toMatchObject({
      manifest: { key: keys.today },
      place: { kind: 'new-project' },
      why: 'the project is gone',
    });
    await expect(find({ target: 'branch' })).rejects.toThrow(/is gone/);
    await expect(find({ at: undefined, backup: 'latest' })).resolves.toMatchObject({
      place: { kind: 'new-project' },
      why: '',
    });
    await expect(find({ at: undefined, backup: keys.old, target: 'branch' })).rejects.toThrow(/is gone/);
  });

  test('is not guessed when Neon cannot tell, or several have the name', async () => {
    await expect(scene([], ['misty-1']).find({})).rejects.toThrow(/cannot tell at the moment/);
    const twins = scene([PROJECT, { ...PROJECT, projectId: 'misty-2' }]);
    await expect(twins.find({})).rejects.toThrow(/2 projects are called "ACME": misty-1, misty-2/);
    await expect(twins.find({ tenant: 'misty-2' })).resolves.toMatchObject({ project: { projectId: 'misty-2' } });
  });

  test('is not there for a moment that has not come', async () => {
    const { find } = scene();
    await expect(find({ at: new Date('2026-11-24T12:00:01Z') })).rejects.toThrow(/has not come yet/);
  });

  test('of a backup that was named leads beside its project', async () => {
    const { find, keys } = scene();
    await expect(find({ at: undefined, backup: keys.old, tenant: undefined })).resolves.toMatchObject({
      manifest: { key: keys.old },
      place: { kind: 'branch', project: PROJECT, parent: MAIN },
      why: '',
    });
  });
});

describe('what the fleet file says of a tenant', () => {
  const member = { key: 'acme', name: 'ACME', settings: { branch: 'live', database: 'neondb', role: 'app' } };

  test('leads to its project and branch by its key, in and outside of the window', async () => {
    const inputs = asTheFileSays({ ...INPUTS, tenant: 'acme' }, member);
    await expect(scene().find(inputs)).resolves.toMatchObject({ kind: 'instant', project: PROJECT, parent: OTHER });
    const { find, keys } = scene([{ ...PROJECT, historyRetentionSeconds: 600 }]);
    await expect(find(inputs)).resolves.toMatchObject({
      kind: 'dump',
      manifest: { key: keys.today },
      place: { kind: 'branch', project: { projectId: 'misty-1' }, parent: OTHER },
    });
  });

  test('fills in only what the inputs leave open', () => {
    const given = { tenant: 'acme', branch: 'main', database: undefined, role: undefined };
    expect(asTheFileSays(given, member)).toEqual({ tenant: 'ACME', branch: 'main', database: 'neondb', role: 'app' });
    expect(asTheFileSays(given, { ...member, projectId: 'misty-1' })).toMatchObject({ tenant: 'misty-1' });
    expect(asTheFileSays(given, undefined)).toBe(given);
  });
});
