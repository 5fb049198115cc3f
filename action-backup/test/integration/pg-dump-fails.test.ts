import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openClientFinder, type ClientPrograms } from '@neon-fleet/shared/postgres';

import { WHOLE_PLAIN_DUMP } from '../../src/dump/dump-options.js';
import { BackupFleet, bulk } from '../support/backup-fleet.js';
import { ClientFolder } from '../support/client-folder.js';

let fleet: BackupFleet;
let real: ClientPrograms;
beforeAll(async () => {
  fleet = await BackupFleet.start();
  real = await openClientFinder({ env: process.env }).forServer(14);
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const SMALL = 'CREATE TABLE notes AS SELECT n FROM generate_series(1, 100) n';
/** Needs several parts: those before the last are with the store when the dump fails. */
const LARGE = bulk(20_000);

/** How a dump fails: what pg_dump does in place of what it should, and what is said of it. */
const FAILURES: readonly [string, string, RegExp][] = [
  [
    'before its first byte',
    'echo "pg_dump: error: out of memory" >&2; exit 1',
    /pg_dump ended with exit code 1: out of memory/,
  ],
  ['after its first byte', 'printf -- -; exit 1', /pg_dump ended with exit code 1/],
  ['after its last byte, by its exit code alone', 'real "$@"; exit 1', /pg_dump ended with exit code 1/],
  ['after its last byte, by a signal', 'real "$@"; kill -9 $$', /pg_dump was ended by SIGKILL/],
];

/** What only shows in the dump itself; a plain one ends with a trailer. */
const SILENT: readonly [string, string, RegExp][] = [
  ['writes nothing at all', 'exit 0', /does not end as a whole one does/],
  ['leaves out its end', 'real "$@" | head -c -60', /does not end as a whole one does/],
  ['adds something behind its end', 'real "$@"; echo "-- and more"', /does not end as a whole one does/],
];

async function expectNoBackup(name: string, sql: string, pgDump: string, words: RegExp, custom = false): Promise<void> {
  const tenant = await fleet.tenant(name, sql);
  const old = await fleet.backUp(tenant);
  const before = await fleet.keysOf(tenant);
  await using clients = await ClientFolder.make('15.99', real, pgDump);
  const shape = { ...WHOLE_PLAIN_DUMP, format: custom ? ('custom' as const) : ('plain' as const) };
  const backup = fleet.backUp(tenant, { clients: clients.finder(), shape, retention: { last: 1 } });
  await expect(backup).rejects.toThrow(words);
  expect(await fleet.keysOf(tenant)).toEqual(before);
  expect(before).toContain(old.key);
  expect(await fleet.store.listUploads(`fleet/${tenant.projectId}/`)).toEqual([]);
}

describe('a pg_dump that fails', () => {
  test.each(FAILURES)('%s makes no backup of a small tenant, plain or custom', async (when, pgDump, words) => {
    await expectNoBackup(`small ${when}`, SMALL, pgDump, words);
    await expectNoBackup(`custom ${when}`, SMALL, pgDump, words, true);
  });

  test.each(FAILURES)('%s makes no backup of one with several parts', async (when, pgDump, words) => {
    await expectNoBackup(`large ${when}`, LARGE, pgDump, words);
  });

  test.each(SILENT)('with exit code 0, and %s, makes no backup', async (what, pgDump, words) => {
    await expectNoBackup(`silent ${what}`, SMALL, pgDump, words);
    await expectNoBackup(`silent, large ${what}`, LARGE, pgDump, words);
  });

  test('is seen to work when it does not fail: the scripts around it are not what makes these tests pass', async () => {
    const tenant = await fleet.tenant('control', SMALL);
    await using clients = await ClientFolder.make('15.99', real);
    const manifest = await fleet.backUp(tenant, { clients: clients.finder() });
    expect(manifest.postgres.pgDump).toBe('15.99');
    expect(manifest.contents?.rowCounts).toEqual({ 'public.notes': 100 });
  });
});
