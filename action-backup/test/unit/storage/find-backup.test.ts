import { beforeEach, describe, expect, test } from '@jest/globals';
import { manifestKey } from '@neon-fleet/shared/backups';

import { findBackup, type WantedBackup } from '../../../src/storage/find-backup.js';
import { StoredBackups } from '../../../../packages/shared/test/support/stored-backups.js';

let store: StoredBackups;
let notes: string[];
beforeEach(() => {
  store = new StoredBackups();
  notes = [];
});

function add(projectId: string, name: string, day: number, database = 'neondb'): string {
  return store.add(projectId, name, new Date(Date.UTC(2026, 10, day)), { database });
}

async function find(wanted: WantedBackup): Promise<string> {
  const options = {
    prefix: store.prefix,
    signal: new AbortController().signal,
    onNote: (line: string) => void notes.push(line),
  };
  return (await findBackup(store, wanted, options)).key;
}

const latest = (tenant: string, database?: string) => find({ tenant, database });

describe('findBackup', () => {
  test('finds the newest of a project, which no project of a longer id has a part in', async () => {
    add('misty-1', 'ACME Corp', 1);
    const newest = add('misty-1', 'ACME Corp', 20);
    add('misty-12', 'Payroll', 22);
    await expect(latest('misty-1')).resolves.toBe(newest);
  });

  test('finds a project by the name that it had when it was last backed up', async () => {
    add('misty-1', 'Old Name', 1);
    const newest = add('misty-1', 'ACME Corp', 20);
    await expect(latest('ACME Corp')).resolves.toBe(newest);
    await expect(latest('Old Name')).rejects.toThrow(/there is no backup of a tenant with the id or name "Old Name"/);
  });

  test('lists the ids when several projects have the name', async () => {
    add('misty-1', 'ACME Corp', 1);
    add('misty-2', 'ACME Corp', 2);
    await expect(latest('ACME Corp')).rejects.toThrow(/2 projects were called "ACME Corp".*: misty-1, misty-2/);
  });

  test('does not take a dump without manifest for a backup', async () => {
    const older = add('misty-1', 'ACME Corp', 1);
    const newer = add('misty-1', 'ACME Corp', 2);
    store.objects.delete(manifestKey(newer));
    await expect(latest('misty-1')).resolves.toBe(older);
    await expect(find({ key: newer })).rejects.toThrow(/there is no backup .*: it has no manifest beside it/);
  });

  test('passes over a manifest that cannot be read, and says so', async () => {
    const older = add('misty-1', 'ACME Corp', 1);
    const newer = add('misty-1', 'ACME Corp', 2);
    store.objects.set(manifestKey(newer), { body: Buffer.from('{}'), metadata: {} });
    await expect(latest('misty-1')).resolves.toBe(older);
    expect(notes).toEqual([expect.stringContaining('cannot be read')]);
  });

  test('refuses the manifest of another backup', async () => {
    const one = add('misty-1', 'ACME Corp', 1);
    const other = add('misty-2', 'Payroll', 1);
    const body = await store.get(manifestKey(other));
    store.objects.set(manifestKey(one), { body, metadata: {} });
    await expect(find({ key: one })).rejects.toThrow(`is the one of ${other}`);
  });

  test('finds the newest at or before a moment, and refuses one that is too far from it', async () => {
    add('misty-1', 'ACME Corp', 1);
    const wanted = add('misty-1', 'ACME Corp', 5);
    add('misty-1', 'ACME Corp', 20);
    const at = (day: number, hours: number) =>
      find({
        tenant: 'misty-1',
        database: undefined,
        at: { moment: new Date(Date.UTC(2026, 10, day, 12)), maxGapMs: hours * 3_600_000 },
      });
    await expect(at(5, 13)).resolves.toBe(wanted);
    await expect(at(19, 24 * 30)).resolves.toBe(wanted);
    await expect(at(6, 24)).rejects.toThrow(/is 36 h older, which is more than max-gap: .*20261105/);
    await expect(
      find({ tenant: 'misty-1', database: undefined, at: { moment: new Date(0), maxGapMs: 1 } }),
    ).rejects.toThrow(/there is no backup from 1970/);
  });

  test('asks which database when there are several', async () => {
    add('misty-1', 'ACME Corp', 1);
    const wanted = add('misty-1', 'ACME Corp', 1, 'billing');
    await expect(latest('misty-1')).rejects.toThrow(/several databases: "billing", "neondb"/);
    await expect(latest('misty-1', 'billing')).resolves.toBe(wanted);
    await expect(latest('misty-1', 'none')).rejects.toThrow(
      /no backup of a database "none", only of "billing", "neondb"/,
    );
  });
});
