import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { TestFleet } from '../support/fleet.js';
import { S3Proxy, StoreInspector } from '../support/store.js';

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

/** Keys of dumps that have a manifest, each as large as its manifest says. */
async function backups(id: string): Promise<string[]> {
  const keys = await store.keys(id);
  const manifests = keys.filter((key) => key.endsWith('.manifest.json'));
  for (const key of manifests) {
    const manifest = JSON.parse((await store.read(key)).toString('utf8')) as { key: string; sizeBytes: number };
    expect((await store.read(manifest.key)).length).toBe(manifest.sizeBytes);
  }
  return manifests;
}

test('killed at any of its requests to S3 it leaves no backup that is not whole, and the next run clears up', async () => {
  const [id = ''] = await fleet.neon.seedProjects(['killed']);
  // Compresses badly: several parts, so that there are moments enough.
  await fleet.query(
    id,
    `CREATE TABLE bulk AS SELECT n, (SELECT string_agg(md5(n::text || part), '') FROM generate_series(1, 32) part) AS body
       FROM generate_series(1, 40000) n`,
  );
  const inputs = { tenants: id, ...fleet.s3Inputs };
  expect((await fleet.run('backup', inputs)).exitCode).toBe(0);
  const [old = ''] = await backups(id);

  let killed = 0;
  for (let moment = 1; moment <= 10; moment += 1) {
    let requests = 0;
    let kill: () => void = () => undefined;
    await using proxy = await S3Proxy.start(fleet.neon.s3.endpoint, () => {
      requests += 1;
      if (requests === moment) kill();
      return 'pass';
    });
    const run = await fleet.start('backup', { ...inputs, 's3-endpoint': proxy.endpoint });
    kill = () => run.process.kill('SIGKILL');
    const { signal } = await run.finished;
    if (signal === 'SIGKILL') killed += 1;
    expect(await backups(id)).toContain(old);
  }
  expect(killed).toBeGreaterThan(5);

  // What the killed ones left is garbage by now; with the usual orphan-age it would stay for a day.
  const next = await fleet.run('backup', { ...inputs, 'orphan-age': '1ms' });
  expect({ exitCode: next.exitCode, log: next.log }).toMatchObject({ exitCode: 0 });
  const keys = await store.keys(id);
  expect(keys).toHaveLength(2 * (await backups(id)).length);
  expect(keys).toContain(old);
  expect(await store.unfinishedUploads()).toEqual([]);
});
