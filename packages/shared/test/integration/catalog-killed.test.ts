import path from 'node:path';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { CATALOG_MIGRATIONS, openCatalog } from '../../src/catalog/index.js';
import { killedAtTurn, type Turn } from '../support/killed-at-turn.js';
import { connectTo, newCatalogDatabase } from '../support/migrations.js';

let neon: LocalNeon;

beforeAll(async () => {
  neon = await startLocalNeon({ s3: false });
});
afterAll(async () => {
  await neon.stop();
});

const CHILD = path.join(import.meta.dirname, '../support/catalog-child.ts');

/** Kills a process that opens a new catalog, and opens it again. @returns whether the process was killed before it had ended */
async function killAndFinish(turn: Turn): Promise<boolean> {
  const url = await newCatalogDatabase(neon);
  if (!(await killedAtTurn(CHILD, url, turn, (by) => ({ CATALOG: by })))) return false;
  const catalog = await openCatalog(url);
  const readyAt = '2026-11-02T03:04:05.000Z';
  await catalog.write({
    schemaVersion: 1,
    projects: [{ key: 'a', name: 'A', projectId: 'p-a', regionId: 'r', pgVersion: 17, status: 'ready', readyAt }],
  });
  expect(await catalog.byKey('a')).toMatchObject([{ projectId: 'p-a' }]);
  await catalog.end();
  expect(await tags(url)).toEqual(CATALOG_MIGRATIONS.map(({ tag }) => tag));
  return true;
}

async function tags(url: string): Promise<string[]> {
  await using client = await connectTo(url);
  const { rows } = await client.query<{ tag: string }>('SELECT tag FROM fleet.catalog_migration ORDER BY tag');
  return rows.map(({ tag }) => tag);
}

describe('the migrations of the catalog', () => {
  test.each([false, true])(
    'that were killed at any moment are finished by the next run (the server had heard it: %s)',
    async (heard) => {
      let killed = 0;
      // Two at a time, since most of the time goes into starting the processes.
      for (let turn = 1; killed === turn - 1; turn += 2) {
        const both = await Promise.all([turn, turn + 1].map((one) => killAndFinish({ turn: one, heard })));
        killed += both.filter(Boolean).length;
      }
      // Connecting, looking, locking, and four steps for each migration are moments of their own.
      expect(killed).toBeGreaterThan(4 * CATALOG_MIGRATIONS.length);
    },
  );
});
