import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { fetchOnce } from '../support/fetch-once.js';

let parent: string;
let fetches: number;
beforeEach(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'neon-fleet-fetch-once-'));
  fetches = 0;
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const get = (fails = false) =>
  fetchOnce(path.join(parent, 'programs'), 'program', async (into) => {
    fetches += 1;
    await writeFile(path.join(into, fails ? 'half' : 'program'), '');
    if (fails) throw new Error('no way out');
  });

describe('programs that several test files need', () => {
  test('are fetched once, at the same time and later', async () => {
    expect(await Promise.all([get(), get(), get()])).toEqual([undefined, undefined, undefined]);
    expect(await get()).toBeUndefined();
    expect(fetches).toBe(1);
    expect(await readdir(parent)).toEqual(['programs']);
  });

  test('that cannot be had are tried by one of those that wait, and leave nothing', async () => {
    const reasons = await Promise.all([get(true), get(true)]);
    expect(reasons.toSorted()).toEqual(['Error: no way out', 'another test file could not get it']);
    expect(fetches).toBe(1);
    expect(await readdir(parent)).toEqual([]);
    expect(await get()).toBeUndefined();
  });

  test('are fetched again where one was killed over it', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    await writeFile(path.join(parent, 'programs.lock'), String(pid));
    expect(await get()).toBeUndefined();
    expect(await readdir(parent)).toEqual(['programs']);
  });
});
