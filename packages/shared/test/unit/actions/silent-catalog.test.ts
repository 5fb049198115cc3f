import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';

import { countInCatalog, tellCatalog } from '../../../src/actions/index.js';
import type { CatalogBatch } from '../../../src/catalog/index.js';
import { StoppedError } from '../../../src/fleet/index.js';
import { silentServer } from '../../support/silent-server.js';

const SHARD = { planId: 'the-plan', maxFailures: 3, shard: 1, attempt: 1 };

let folder: string;
let log: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-silent-'));
  log = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    log += String(text);
    return true;
  });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

describe('a catalog that takes the connection and never answers', () => {
  test('is not waited for by the count of failures once the run is stopped, and that is no news', async () => {
    await using server = await silentServer();
    const stop = new AbortController();
    {
      await using fleet = countInCatalog(server.catalogUrl, SHARD, stop.signal);
      const answer = fleet.exchange(1);
      await server.asked;
      stop.abort(new StoppedError('cancelled'));
      expect(await answer).toBeUndefined();
      expect(await fleet.exchange(2)).toBeUndefined();
    }
    expect(log).toBe('');
  });

  test.each([
    ['before', true],
    ['meanwhile', false],
  ])('is told for a moment only when the run is stopped %s, and the file is kept', async (_, before) => {
    await using server = await silentServer();
    const stop = new AbortController();
    if (before) stop.abort(new StoppedError('cancelled'));
    const batch: CatalogBatch = {
      schemaVersion: 1,
      backupsGone: { storageKeys: ['k'], at: '2026-11-02T03:04:05.678Z' },
    };
    const told = tellCatalog(server.catalogUrl, batch, { RUNNER_TEMP: folder }, stop.signal);
    await server.asked;
    stop.abort(new StoppedError('cancelled'));
    await told;
    expect(log).toMatch(/::warning::The catalog was not told \(the run was cancelled\)\. It is kept in /);
    const kept = await readdir(path.join(folder, 'neon-fleet'));
    expect(kept).toHaveLength(1);
    expect(JSON.parse(await readFile(path.join(folder, 'neon-fleet', kept[0] ?? ''), 'utf8'))).toEqual(batch);
  });
});
