import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { CATALOG_MIGRATIONS, openCatalog } from '../../src/catalog/index.js';
import { connectTo } from '../support/migrations.js';
import { watchWay } from '../support/watched-way.js';

let neon: LocalNeon;

beforeAll(async () => {
  neon = await startLocalNeon({ s3: false });
});
afterAll(async () => {
  await neon.stop();
});

const CHILD = path.join(import.meta.dirname, '../support/catalog-child.ts');

async function newDatabase(): Promise<string> {
  const name = `catalog_${randomUUID().replaceAll('-', '')}`;
  await using server = await connectTo(neon.postgresUrl);
  await server.query(`CREATE DATABASE ${name}`);
  return neon.postgresUrl.replace(/\/postgres(\?|$)/, `/${name}$1`);
}

/**
 * Has a process open a new catalog and kills it when it speaks to the server for the n-th time: before the server hears
 * what it says, or just after. @returns whether it was killed before it had ended
 */
async function openAndKill(url: string, turn: number, heard: boolean): Promise<boolean> {
  let kill: () => void = () => undefined;
  await using way = await watchWay(url, (now) => {
    if (now !== turn) return now < turn;
    setImmediate(kill);
    return heard;
  });
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD], {
    env: { ...process.env, NODE_OPTIONS: '', CATALOG: way.url },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  kill = () => void child.kill('SIGKILL');
  const signal = await new Promise((resolve) => child.once('exit', (_, by) => resolve(by)));
  return signal === 'SIGKILL';
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
      for (let turn = 1; ; turn += 1) {
        const url = await newDatabase();
        if (!(await openAndKill(url, turn, heard))) break;
        killed += 1;
        const catalog = await openCatalog(url);
        const readyAt = '2026-11-02T03:04:05.000Z';
        await catalog.write({
          schemaVersion: 1,
          projects: [{ key: 'a', name: 'A', projectId: 'p-a', regionId: 'r', pgVersion: 17, status: 'ready', readyAt }],
        });
        expect(await catalog.byKey('a')).toMatchObject([{ projectId: 'p-a' }]);
        await catalog.end();
        expect(await tags(url)).toEqual(CATALOG_MIGRATIONS.map(({ tag }) => tag));
      }
      // Connecting, looking, locking, and four steps for each migration are moments of their own.
      expect(killed).toBeGreaterThan(4 * CATALOG_MIGRATIONS.length);
    },
  );
});
