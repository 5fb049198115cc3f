import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { outcomeOf, statuses, TestFleet } from '../support/fleet.js';
import { S3Proxy, StoreInspector } from '../support/store.js';

const EU = 'acme-backups-eu';
const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/7f0c4a1e-0000-4000-8000-000000000000';

let fleet: TestFleet;
let home: StoreInspector;
let abroad: StoreInspector;
let ids: string[];

beforeAll(async () => {
  fleet = await TestFleet.start();
  const { s3 } = fleet.neon;
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: s3.region,
    forcePathStyle: true,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
  });
  await client.send(new CreateBucketCommand({ Bucket: EU }));
  client.destroy();
  home = new StoreInspector(s3);
  abroad = new StoreInspector({ ...s3, bucket: EU });
  ids = await fleet.neon.seedProjects(['ACME Corp', 'Payroll Inc', 'Stranger']);
  for (const id of ids) await fleet.query(id, 'CREATE TABLE notes AS SELECT n FROM generate_series(1, 10) n');
});
afterAll(async () => {
  home[Symbol.dispose]();
  abroad[Symbol.dispose]();
  await fleet[Symbol.asyncDispose]();
});

const FILE = `
defaults:
  backup: { every: 24h, retention: last=5 }
groups:
  - match: { labels: { residency: eu } }
    backup: { bucket: ${EU}, prefix: vault, aws-region: eu-central-1, kms-key: '${KEY}', retention: last=1 }
tenants:
  - key: acme
    name: ACME Corp
  - key: payroll
    name: Payroll Inc
    labels: { residency: eu }
`;

async function fleetFile(text = FILE): Promise<string> {
  const file = path.join(fleet.folder, `fleet-${Math.random().toString(16).slice(2)}.yml`);
  await writeFile(file, text);
  return file;
}

const s3Only = () => ({ ...fleet.s3Inputs, 's3-prefix': 'neon', 'neon-api-key': '', 'neon-api-url': '' });

describe('a backup by the policy of the fleet file', () => {
  test('puts each tenant where its data may be, with its own key, and nothing of it elsewhere', async () => {
    const seen: { url: string; key: string; sse: string }[] = [];
    await using proxy = await S3Proxy.start(fleet.neon.s3.endpoint, ({ method, url = '', headers }) => {
      const header = (name: string) => String(headers[`x-amz-server-side-encryption${name}`] ?? '');
      if (method === 'PUT') seen.push({ url, sse: header(''), key: header('-aws-kms-key-id') });
      return 'pass';
    });
    const run = await fleet.run('backup', {
      ...fleet.s3Inputs,
      's3-prefix': 'neon',
      's3-endpoint': proxy.endpoint,
      'fleet-file': await fleetFile(),
    });
    expect({ exitCode: run.exitCode, log: run.log }).toMatchObject({ exitCode: 0 });
    expect(statuses(run)).toEqual({ 'ACME Corp': 'succeeded', 'Payroll Inc': 'succeeded' });
    expect(run.log).toMatch(/^::warning.*does not know.*Stranger/m);
    const [acme = '', payroll = ''] = ids;
    expect(await home.keys(`neon/${acme}/`)).toHaveLength(2);
    expect(await abroad.keys(`vault/${payroll}/`)).toHaveLength(2);
    expect((await home.keys()).filter((key) => key.includes(payroll))).toEqual([]);
    expect((await abroad.keys()).filter((key) => key.includes(acme))).toEqual([]);
    const ofEu = seen.filter(({ url }) => url.startsWith(`/${EU}/`));
    expect(ofEu.map(({ sse, key }) => [sse, key])).toEqual([
      ['aws:kms', KEY],
      ['aws:kms', KEY],
    ]);
    expect(seen.filter(({ url, key }) => !url.startsWith(`/${EU}/`) && key !== '')).toEqual([]);
  });

  test('is due by the policy of each, and planned with it for jobs that have no checkout', async () => {
    const [, payroll = ''] = ids;
    const inputs = { ...fleet.s3Inputs, 's3-prefix': 'neon' };
    const notDue = await fleet.run('backup', { ...inputs, 'fleet-file': await fleetFile() });
    expect(Object.values(statuses(notDue))).toEqual(['unchanged: not-due', 'unchanged: not-due']);

    const eager = FILE.replace('every: 24h', 'every: 1m');
    const planned = await fleet.run(
      'backup',
      { command: 'plan', ...inputs, 'fleet-file': await fleetFile(eager), 'look-every': '1m', tenants: 'payroll' },
      { folder: path.join(fleet.folder, 'planned') },
    );
    expect({ exitCode: planned.exitCode, log: planned.log }).toMatchObject({ exitCode: 0 });
    const before = await abroad.keys(`vault/${payroll}/`);
    const plan = planned.outputs['plan'] ?? '';
    // A day later, for the one that looks.
    const older = JSON.parse(await readFile(plan, 'utf8')) as {
      shards: { tenants: { backup: { every?: number } }[] }[];
    };
    for (const { backup } of older.shards.flatMap(({ tenants }) => tenants)) delete backup.every;
    await writeFile(plan, JSON.stringify(older));
    const applied = await fleet.run('backup', { command: 'apply', plan, shard: '1', ...inputs });
    expect({ exitCode: applied.exitCode, log: applied.log }).toMatchObject({ exitCode: 0 });
    const after = await abroad.keys(`vault/${payroll}/`);
    // Retention of its own: the last one.
    expect(after).toHaveLength(2);
    expect(after).not.toEqual(before);
    expect((await home.keys()).filter((key) => key.includes(payroll))).toEqual([]);
  });

  test('is listed, proven, pruned and restored where it is, by the key of the file and from S3 alone', async () => {
    const file = await fleetFile();
    const [, payroll = ''] = ids;
    const listed = await fleet.run('backup', { command: 'list', 'fleet-file': file, 'max-age': '1h', ...s3Only() });
    expect({ exitCode: listed.exitCode, log: listed.log }).toMatchObject({ exitCode: 0 });
    expect((JSON.parse(listed.outputs['list'] ?? '') as { name: string }[]).map(({ name }) => name).toSorted()).toEqual(
      ['ACME Corp', 'Payroll Inc'],
    );
    const verified = await fleet.run('backup', {
      command: 'verify',
      verify: 'checksum',
      'fleet-file': file,
      tenants: 'payroll',
      ...s3Only(),
    });
    expect(statuses(verified)).toEqual({ 'Payroll Inc': 'succeeded' });
    expect((await abroad.keys('vault/')).filter((key) => key.endsWith('.verified.json'))).toHaveLength(1);
    const pruned = await fleet.run('backup', { command: 'prune', 'dry-run': 'true', 'fleet-file': file, ...s3Only() });
    expect(pruned.log).toMatch(/stays: vault\/.*1 of the last 1/);
    expect(pruned.log).toMatch(/stays: neon\/.*1 of the last 5/);

    const restored = await fleet.run('backup', {
      command: 'restore',
      tenant: 'payroll',
      backup: 'latest',
      target: 'new-project',
      ...fleet.s3Inputs,
      's3-prefix': 'neon',
      'fleet-file': file,
    });
    expect({ exitCode: restored.exitCode, log: restored.log }).toMatchObject({ exitCode: 0 });
    expect(restored.outputs['restored-from']).toMatch(new RegExp(`^vault/${payroll}/`));
    const made = await fleet.query(restored.outputs['project-id'] ?? '', 'SELECT n FROM notes');
    expect(made).toHaveLength(10);
  });

  test('is red for a tenant of the file that never had one, without asking Neon', async () => {
    const file = await fleetFile(`${FILE}  - key: newcomer\n    name: New Comer\n`);
    const listed = await fleet.run('backup', { command: 'list', 'fleet-file': file, ...s3Only() });
    expect(listed.exitCode).toBe(1);
    expect(listed.log).toContain('there is no backup of New Comer');
    const run = await fleet.run('backup', { ...fleet.s3Inputs, 'fleet-file': file, tenants: 'newcomer' });
    expect(outcomeOf(run, 'New Comer')).toMatchObject({ status: 'failed', error: { hint: /Provision it first/ } });
  });

  test('tells of what still lies where a tenant was before, and touches none of it', async () => {
    const [acme = ''] = ids;
    const moved = FILE.replace('    name: ACME Corp\n', '    name: ACME Corp\n    labels: { residency: eu }\n');
    const file = await fleetFile(moved);
    const before = await home.keys(`neon/${acme}/`);
    const pruned = await fleet.run('backup', { command: 'prune', 'fleet-file': file, ...s3Only() });
    expect(pruned.log).toMatch(/still holds 1 backups of ACME Corp/);
    expect(await home.keys(`neon/${acme}/`)).toEqual(before);
    const listed = await fleet.run('backup', { command: 'list', 'fleet-file': file, ...s3Only() });
    expect(listed.log).toContain('there is no backup of ACME Corp');
  });
});

describe('a policy that cannot be', () => {
  test('is refused with every mistake at once, and neither Neon nor S3 is asked', async () => {
    const requests = fleet.neon.requests().length;
    const file = await fleetFile(`
defaults:
  backup: {}
tenants:
  - key: acme
    backup: { retention: '', every: 6 }
  - key: payroll
    backup: { retention: 30days, bucket: 'no such/bucket', kms-key: 'a b' }
`);
    const run = await fleet.run('backup', {
      ...fleet.s3Inputs,
      's3-endpoint': 'http://127.0.0.1:1',
      'fleet-file': file,
    });
    expect(run.exitCode).toBe(1);
    for (const what of [
      /:3:11: backup: expected at least one of every, retention/,
      /:6:26: retention: expected an age such as 7d/,
      /:6:37: every: expected a length of time/,
      /:8:26: retention: expected an age such as 7d/,
      /:8:42: bucket: expected the name of a bucket/,
      /:8:69: kms-key: expected the id/,
    ]) {
      expect(run.log).toMatch(what);
    }
    expect(fleet.neon.requests()).toHaveLength(requests);
  });

  test('is refused when a bucket would be in two regions, or written with a key of another one', async () => {
    const requests = fleet.neon.requests().length;
    const file = await fleetFile(`
tenants:
  - key: acme
    backup: { bucket: one, aws-region: eu-west-1, kms-key: '${KEY}' }
  - key: payroll
    backup: { bucket: one, aws-region: eu-central-1 }
`);
    const run = await fleet.run('backup', { ...fleet.s3Inputs, 'fleet-file': file });
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain('the bucket one in eu-west-1 would be written with a key of eu-central-1');
    expect(run.log).toContain('the bucket one is said to be in eu-west-1 and in eu-central-1');
    expect(fleet.neon.requests()).toHaveLength(requests);
  });

  test('is refused when a bucket is not there, before anybody is woken', async () => {
    const file = await fleetFile(FILE.replaceAll(EU, 'nobodys-bucket'));
    const run = await fleet.run('backup', { ...fleet.s3Inputs, 's3-prefix': 'neon', 'fleet-file': file });
    expect(run.exitCode).toBe(1);
    expect(run.log).toMatch(/not every place of the backups can be reached; nothing was done/);
    expect(run.log).toContain('s3://nobodys-bucket/vault/');
    expect(fleet.neon.requests().filter(({ path: url }) => url.includes('connection_uri')).length).toBeLessThan(20);
  });

  test('is an error of plan when the crons of the workflow cannot keep it, and a warning of run', async () => {
    const file = await fleetFile(FILE.replace('every: 24h', 'every: 6h'));
    const workspace = path.join(fleet.folder, 'workspace');
    await mkdir(path.join(workspace, '.github', 'workflows'), { recursive: true });
    await writeFile(
      path.join(workspace, '.github', 'workflows', 'backup.yml'),
      "on:\n  schedule:\n    - cron: '17 3 * * *'\n    - cron: '17 15 * * 1-5'\njobs: {}\n",
    );
    const env = {
      GITHUB_WORKSPACE: workspace,
      GITHUB_REPOSITORY: 'acme/app',
      GITHUB_WORKFLOW_REF: 'acme/app/.github/workflows/backup.yml@refs/heads/main',
    };
    const inputs = { ...fleet.s3Inputs, 's3-prefix': 'neon', 'fleet-file': file };
    const planned = await fleet.run('backup', { command: 'plan', ...inputs }, { env });
    expect(planned.exitCode).toBe(1);
    expect(planned.log).toMatch(
      /looks only every 1d \(the crons of the workflow\), which cannot keep the policy of "ACME Corp" \(every 6h\)/,
    );
    expect(planned.outputs['plan']).toBeUndefined();
    const told = await fleet.run('backup', { command: 'plan', ...inputs, 'look-every': '1h' }, { env });
    expect({ exitCode: told.exitCode, log: told.log }).toMatchObject({ exitCode: 0 });
    const run = await fleet.run('backup', inputs, { env });
    expect(run.exitCode).toBe(0);
    expect(run.log).toMatch(/^::warning.*looks only every 1d/m);
  });
});
