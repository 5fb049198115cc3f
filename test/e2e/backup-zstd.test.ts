import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { reportOf, statuses, TestFleet } from '../support/fleet.js';
import { hasPackagedNode24, node24 } from '../support/node24.js';
import { StoreInspector } from '../support/store.js';

let fleet: TestFleet;
let store: StoreInspector;
beforeAll(async () => {
  fleet = await TestFleet.start();
  store = new StoreInspector(fleet.neon.s3);
});
afterAll(async () => {
  store[Symbol.dispose]();
  await fleet[Symbol.asyncDispose]();
});

const ZSTD_MAGIC = 'fd2fb528'; // RFC 8878, 3.1.1, little-endian on disk

(hasPackagedNode24 ? test : test.skip)(
  'with zstd, which the runtime of GitHub has, a dump is stored, proven and restored',
  async () => {
    const node = await node24();
    const [id = ''] = await fleet.neon.seedProjects(['zstd tenant']);
    await fleet.query(
      id,
      "CREATE TABLE notes AS SELECT n, 'note ' || n AS body FROM generate_series(1, 20000) n; CREATE SEQUENCE s START 7",
    );
    const run = await fleet.run('backup', { tenants: id, compression: 'zstd', ...fleet.s3Inputs }, { node });
    expect({ exitCode: run.exitCode, log: run.log }).toMatchObject({ exitCode: 0 });
    const keys = await store.keys(id);
    const dump = keys.find((key) => key.endsWith('.sql.zst')) ?? '';
    expect(keys).toHaveLength(2);
    const body = await store.read(dump);
    expect(Buffer.from(body.subarray(0, 4)).readUInt32LE(0).toString(16)).toBe(ZSTD_MAGIC);

    const s3Only = { ...fleet.s3Inputs, 'neon-api-key': '', 'neon-api-url': '' };
    const verified = await fleet.run('backup', { command: 'verify', tenants: id, ...s3Only }, { node });
    expect({ exitCode: verified.exitCode, log: verified.log }).toMatchObject({ exitCode: 0 });
    expect(reportOf(verified).outcomes[0]?.detail).toMatch(/20000 rows of 1 tables.*1 sequences.*the schema/);

    const [target = ''] = await fleet.neon.seedProjects(['zstd target']);
    const restored = await fleet.run(
      'backup',
      { command: 'restore', backup: dump, 'target-url': await fleet.uriOf(target), ...s3Only },
      { node },
    );
    expect({ exitCode: restored.exitCode, log: restored.log }).toMatchObject({ exitCode: 0 });
    const rows = 'SELECT n, body FROM notes ORDER BY n';
    expect(await fleet.query(target, rows)).toEqual(await fleet.query(id, rows));
  },
);

test('where the runtime has no zstd it says so, and what to do, and stores nothing', async () => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 15)) return;
  const [id = ''] = await fleet.neon.seedProjects(['no zstd']);
  const run = await fleet.run('backup', { tenants: id, compression: 'zstd', ...fleet.s3Inputs });
  expect(statuses(run)).toEqual({ 'no zstd': 'failed' });
  expect(run.log).toMatch(/has no zstd/);
  expect(run.log).toMatch(/Set compression: gzip/);
  expect(await store.keys(id)).toEqual([]);
});
