import { beforeEach, describe, expect, test } from '@jest/globals';
import { manifestKey } from '@neon-fleet/shared/backups';

import { chooseErased, erase } from '../../../src/commands/erase.js';
import { readInventory } from '../../../src/storage/inventory.js';
import { StoredBackups } from '../../../../packages/shared/test/support/stored-backups.js';

const AT = new Date('2026-11-24T12:00:00.000Z');
const { signal } = new AbortController();
const RECEIPT = 'fleet/_erased/gone-1-20261124T120000000Z.json';
let store: StoredBackups;
beforeEach(() => {
  store = new StoredBackups();
});

const inventory = () => readInventory(store, { prefix: store.prefix, signal, onNote: () => undefined });

async function eraseGone() {
  const databases = chooseErased(await inventory(), { tenant: 'Left Us', confirm: 'gone-1' });
  return erase(store, { prefix: store.prefix, databases, at: AT, origin: { actor: 'jane' } }, signal);
}

function receipt(): unknown {
  return JSON.parse(store.objects.get(RECEIPT)?.body.toString('utf8') ?? 'null');
}

describe('erase', () => {
  test('removes all of one tenant and nothing of another, and leaves a receipt', async () => {
    store.add('gone-1', 'Left Us', new Date('2026-01-01'));
    store.add('gone-1', 'Left Us', new Date('2026-02-01'), { database: 'billing' });
    store.addUnfinished('gone-1', new Date('2026-02-02'));
    const other = store.add('gone-12', 'Stays', new Date('2026-01-01'));
    await expect(eraseGone()).resolves.toMatchObject({ status: 'succeeded' });
    expect(store.keys()).toEqual([RECEIPT, other, manifestKey(other)].toSorted());
    expect(receipt()).toMatchObject({
      complete: true,
      projectId: 'gone-1',
      name: 'Left Us',
      backups: 2,
      objects: 5,
      actor: 'jane',
    });
  });

  test.each([
    ['another id', 'Left Us', 'gone-12'],
    ['the name instead of the id', 'Left Us', 'Left Us'],
    ['a tenant that nobody knows', 'nobody', 'nobody'],
  ])('refuses %s', async (_, tenant, confirm) => {
    store.add('gone-1', 'Left Us', new Date('2026-01-01'));
    const all = await inventory();
    expect(() => chooseErased(all, { tenant, confirm })).toThrow(/nothing was erased/);
  });

  test('goes on where it was ended, and says by its receipt that it was', async () => {
    store.add('gone-1', 'Left Us', new Date('2026-01-01'));
    store.mishap = (name, count) => (name === 'delete' && count === 2 ? 'fail' : undefined);
    await expect(eraseGone()).rejects.toThrow();
    expect(receipt()).toMatchObject({ complete: false });
    // Without its manifest the name is not known any more; the id is.
    store.mishap = () => undefined;
    const databases = chooseErased(await inventory(), { tenant: 'gone-1', confirm: 'gone-1' });
    await erase(store, { prefix: store.prefix, databases, at: AT, origin: {} }, signal);
    expect(store.keys()).toEqual([RECEIPT]);
  });
});
