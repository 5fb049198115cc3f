import { readFile } from 'node:fs/promises';

import { DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { createApiClient } from '@neondatabase/api-client';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';

import { outcomeOf, statuses, TestFleet } from '../support/fleet.js';
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

async function isAsleep(projectId: string): Promise<boolean> {
  const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
  const { data } = await api.listProjectEndpoints(projectId);
  return data.endpoints.every(({ current_state: state }) => state === 'idle');
}

const dumps = async (id: string) => (await store.keys(id)).filter((key) => key.endsWith('.sql.gz'));

/** Makes everything of a tenant older by some days: keys, and what the manifest and the notes say of them. */
async function age(id: string, days: number): Promise<void> {
  const { bucket, endpoint, region, accessKeyId, secretAccessKey } = fleet.neon.s3;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  for (const key of await store.keys(id)) {
    const [, stamp = '', digits = ''] = /\/(\d{8}T\d{6})(\d{9}Z)/.exec(key) ?? [];
    const iso = stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)$/, '$1-$2-$3T$4:$5:$6Z');
    const then = new Date(Date.parse(iso) - days * 86_400_000).toISOString().replace(/[-:]|\.\d+Z/g, '');
    const body = await store.read(key);
    const Body = key.endsWith('.json') ? body.toString('utf8').replaceAll(stamp + digits, then + digits) : body;
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: key.replace(stamp, then), Body }));
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
  }
  client.destroy();
}

test('a tenant that nobody uses is left asleep, counts as covered, and is backed up even so after max-skip', async () => {
  const [id = ''] = await fleet.neon.seedProjects(['Quiet Inc']);
  await fleet.queryAsOwner(id, 'CREATE TABLE notes AS SELECT n FROM generate_series(1, 10) n');
  await fleet.neon.suspendAll();
  const inputs = { tenants: id, 'skip-unchanged': 'true', 'suspend-after': 'true', ...fleet.s3Inputs };
  const list = () => fleet.run('backup', { command: 'list', tenants: id, 'max-age': '26h', ...fleet.s3Inputs });

  const first = await fleet.run('backup', inputs);
  expect({ log: first.log, ...statuses(first) }).toMatchObject({ 'Quiet Inc': 'succeeded' });
  expect(first.log).toContain('which this run had woken');
  expect(await isAsleep(id)).toBe(true);
  await age(id, 3);
  expect((await store.keys(id)).map((key) => key.replace(/^.*Z\./, '')).toSorted()).toEqual([
    'covered.json',
    'manifest.json',
    'sql.gz',
  ]);

  const before = await fleet.neon.connections(id);
  const second = await fleet.run('backup', inputs);
  expect({ exitCode: second.exitCode, log: second.log }).toMatchObject({ exitCode: 0 });
  expect(statuses(second)).toEqual({ 'Quiet Inc': 'unchanged: idle-since-last-backup' });
  expect(await dumps(id)).toHaveLength(1);
  expect(await isAsleep(id)).toBe(true);
  expect(await fleet.neon.connections(id)).toEqual(before);

  // By its own date the backup is older than max-age; the look of a moment ago covers it.
  const listed = await list();
  expect({ exitCode: listed.exitCode, log: listed.log }).toMatchObject({ exitCode: 0 });
  expect(outcomeOf(listed, 'Quiet Inc').detail).toMatch(/newest 3 d old.*nothing has changed since/);
  // How old the backup is decides in the end, whoever has looked.
  await age(id, 2);
  const notYet = await fleet.run('backup', { ...inputs, 'max-skip': '6d' });
  expect(statuses(notYet)).toEqual({ 'Quiet Inc': 'unchanged: idle-since-last-backup' });
  const forced = await fleet.run('backup', { ...inputs, 'max-skip': '5d' });
  expect(statuses(forced)).toEqual({ 'Quiet Inc': 'succeeded' });
  expect(await dumps(id)).toHaveLength(2);
  expect(await isAsleep(id)).toBe(true);
});

test('whoever was used since, or during the backup, is backed up again', async () => {
  const [id = ''] = await fleet.neon.seedProjects(['Busy Inc']);
  await fleet.queryAsOwner(id, 'CREATE TABLE notes AS SELECT n FROM generate_series(1, 10) n');
  const inputs = { tenants: id, 'skip-unchanged': 'true', 'suspend-after': 'true', ...fleet.s3Inputs };
  // Awake by somebody else's doing: it is left awake.
  await fleet.run('backup', inputs);
  expect(await isAsleep(id)).toBe(false);

  await fleet.queryAsOwner(id, 'INSERT INTO notes VALUES (11)');
  const second = await fleet.run('backup', inputs);
  expect(statuses(second)).toEqual({ 'Busy Inc': 'succeeded' });
  expect(await dumps(id)).toHaveLength(2);

  // Somebody is there all the time, and writes nothing: he may have begun to.
  await fleet.neon.suspendAll();
  const uri = new URL(await fleet.uriOf(id));
  uri.search = '';
  const somebody = new pg.Client({
    connectionString: uri.href,
    ssl: { ca: await readFile(fleet.neon.caFile, 'utf8') },
  });
  somebody.on('error', () => undefined);
  await somebody.connect();
  const third = await fleet.run('backup', inputs);
  expect(statuses(third)).toEqual({ 'Busy Inc': 'succeeded' });
  expect(await isAsleep(id)).toBe(false);
  await somebody.end();
  await fleet.neon.suspendAll();
  const fourth = await fleet.run('backup', inputs);
  expect(statuses(fourth)).toEqual({ 'Busy Inc': 'succeeded' });
});
