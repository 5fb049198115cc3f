import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FinishedAction } from '@neon-fleet/local-runner';
import { createApiClient } from '@neondatabase/api-client';

import { runExample } from '../support/example-workflow.js';
import { outcomeOf, statuses, TestFleet } from '../support/fleet.js';
import { LocalGitHub } from '../support/github.js';
import { placesThatShow } from '../support/secrets.js';
import { StoreInspector } from '../support/store.js';

let fleet: TestFleet;
let github: LocalGitHub;
let store: StoreInspector;
let s3: S3Client;
let catalogId: string;
let catalogUrl: string;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
  store = new StoreInspector(fleet.neon.s3);
  const { endpoint, region, accessKeyId, secretAccessKey } = fleet.neon.s3;
  s3 = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  [catalogId = ''] = await fleet.neon.seedProjects(['the catalog']);
  catalogUrl = await fleet.uriOf(catalogId);
});
afterAll(async () => {
  s3.destroy();
  store[Symbol.dispose]();
  await fleet[Symbol.asyncDispose]();
});
beforeEach(async () => {
  github = await LocalGitHub.start();
  fleet.neon.faults.clear();
});
afterEach(async () => {
  await github[Symbol.asyncDispose]();
});

const TOKEN = 'github_pat_0123456789abcdefghij';

/** A tenant of the fleet file whose project has two databases with something in them. */
class Leaver {
  private constructor(
    readonly key: string,
    readonly name: string,
    readonly id: string,
  ) {}

  static async make(settings = ''): Promise<Leaver> {
    count += 1;
    const leaver = { key: `leaver-${count}`, name: `Leaver ${count}` };
    const [id = ''] = await fleet.neon.seedProjects([leaver.name]);
    const { data } = await api().listProjectBranches({ projectId: id });
    const branchId = data.branches[0]?.id ?? '';
    await api().createProjectBranchDatabase(id, branchId, {
      database: { name: 'billing', owner_name: 'neondb_owner' },
    });
    await fleet.queryAsOwner(id, 'CREATE TABLE notes AS SELECT generate_series(1, 20) AS n');
    await writeFile(
      path.join(fleet.folder, 'fleet.yml'),
      `tenants:\n  - { key: ${leaver.key}, name: ${leaver.name}${settings} }\n`,
    );
    return new Leaver(leaver.key, leaver.name, id);
  }

  backUp(inputs: Record<string, string> = {}): Promise<FinishedAction> {
    return fleet.run('backup', {
      ...fleet.s3Inputs,
      's3-prefix': 'retired',
      tenants: this.id,
      database: '*',
      'skip-unchanged': 'true',
      'max-skip': '1h',
      ...inputs,
    });
  }

  verify(inputs: Record<string, string> = {}): Promise<FinishedAction> {
    return fleet.run('backup', {
      ...fleet.s3Inputs,
      command: 'verify',
      's3-prefix': 'retired',
      tenants: this.id,
      ...inputs,
    });
  }

  inputs(inputs: Record<string, string> = {}): Record<string, string> {
    return {
      ...fleet.s3Inputs,
      command: 'retire',
      's3-prefix': 'retired',
      'fleet-file': 'fleet.yml',
      tenants: this.key,
      confirm: this.key,
      'github-secret': 'auto',
      'github-token': TOKEN,
      'catalog-url': catalogUrl,
      ...inputs,
    };
  }

  retire(inputs: Record<string, string> = {}): Promise<FinishedAction> {
    return fleet.run('provision', this.inputs(inputs), withGitHub());
  }

  /** As it is in production: registered in the catalog, with a secret. */
  async isInUse(): Promise<void> {
    const applied = await fleet.run(
      'provision',
      {
        'fleet-file': 'fleet.yml',
        ready: 'all',
        'github-secret': 'auto',
        'github-token': TOKEN,
        'catalog-url': catalogUrl,
      },
      withGitHub(),
    );
    expect({ exitCode: applied.exitCode, log: applied.log }).toMatchObject({ exitCode: 0 });
    expect(this.secret).toBeDefined();
  }

  get secret(): string | undefined {
    return github.secret('org/app/actions', `LEAVER_${count}_DATABASE_URL`);
  }

  async isThere(): Promise<boolean> {
    const { data } = await api().listProjects({ limit: 400 });
    return data.projects.some(({ id }) => id === this.id);
  }

  async inCatalog(): Promise<{ status: string; closed: boolean; events: string[] } | undefined> {
    const [row] = await fleet.query<{ status: string; closed: boolean; events: string[] }>(
      catalogId,
      `SELECT p.status, p.closed_at IS NOT NULL AS closed,
         ARRAY(SELECT e.what FROM fleet.event e WHERE e.project_id = p.id AND e.what LIKE 'retire%' ORDER BY 1) AS events
       FROM fleet.project p WHERE p.neon_project_id = '${this.id}'`,
    );
    return row;
  }
}

const api = () => createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
const withGitHub = () => ({ env: { GITHUB_API_URL: github.apiUrl } });

const deletions = (start: number, id: string) =>
  fleet.neon
    .requests()
    .slice(start)
    .filter(({ method, path: at }) => method === 'DELETE' && at.endsWith(`/projects/${id}`)).length;

async function put(key: string, body: Buffer): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: fleet.neon.s3.bucket, Key: key, Body: body }));
}
async function remove(key: string): Promise<void> {
  await s3.send(new DeleteObjectCommand({ Bucket: fleet.neon.s3.bucket, Key: key }));
}

test('retire looks where the fleet file says that the backups of the tenant are', async () => {
  const leaver = await Leaver.make(', backup: { prefix: own/place }');
  const elsewhere = await leaver.backUp();
  expect(elsewhere.exitCode).toBe(0);
  await leaver.verify();
  const refused = await leaver.retire();
  expect(refused.exitCode).toBe(1);
  expect(refused.log).toContain(`own/place/${leaver.id}/`);
  expect(await leaver.isThere()).toBe(true);
  const file = { 'fleet-file': path.join(fleet.folder, 'fleet.yml'), tenants: leaver.key };
  expect((await leaver.backUp(file)).exitCode).toBe(0);
  expect((await leaver.verify(file)).exitCode).toBe(0);
  const retired = await leaver.retire();
  expect({ exitCode: retired.exitCode, log: retired.log }).toMatchObject({ exitCode: 0 });
  expect(await leaver.isThere()).toBe(false);
});

describe('retire, as the example has it', () => {
  test('backs up every database, proves it, deletes the project, and closes what belongs to it', async () => {
    const leaver = await Leaver.make();
    await leaver.isInUse();
    const run = () =>
      runExample(
        fleet,
        'retire',
        {
          inputs: { name: leaver.name, confirm: leaver.key },
          secrets: { NEON_API_KEY: fleet.neon.apiKey, SECRETS_TOKEN: TOKEN, CATALOG_URL: catalogUrl },
          vars: { BACKUP_BUCKET: fleet.neon.s3.bucket, BACKUP_REGION: fleet.neon.s3.region, BACKUP_ROLE_ARN: '' },
        },
        () => ({ 's3-endpoint': fleet.neon.s3.endpoint, 's3-force-path-style': 'true' }),
        withGitHub(),
      );
    const [backup, drill, retired] = await run();
    expect(backup?.finished.exitCode).toBe(0);
    expect(drill?.finished.exitCode).toBe(0);
    if (retired === undefined) throw new Error('retire was not run');
    const { finished } = retired;
    expect({ exitCode: finished.exitCode, log: finished.log }).toMatchObject({ exitCode: 0 });
    expect(await leaver.isThere()).toBe(false);
    expect(leaver.secret).toBeUndefined();
    expect(await leaver.inCatalog()).toEqual({
      status: 'retired',
      closed: true,
      events: ['retired', 'retirement-begun'],
    });
    const until = finished.outputs['recoverable-until'] ?? '';
    const days = (Date.parse(until) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(7);
    expect(finished.summary).toContain(`it can be recovered until ${until}`);
    for (const database of ['neondb', 'billing'])
      expect(finished.summary).toContain(`retired/${leaver.id}/${database}/`);
    // The backup outlives it.
    expect((await store.keys(`retired/${leaver.id}/`)).filter((key) => key.endsWith('.sql.gz'))).toHaveLength(2);
    for (const secret of [TOKEN, new URL(catalogUrl).password]) expect(placesThatShow(secret, finished)).toEqual([]);

    // The whole workflow again: what can be backed up no more keeps nothing from being finished.
    const again = (await run()).at(-1)?.finished;
    if (again === undefined) throw new Error('nothing was run');
    expect(statuses(again)).toEqual({ [leaver.name]: 'unchanged: up-to-date' });
    expect(outcomeOf(again, leaver.name).detail).toContain(`was deleted already; it can be recovered until ${until}`);

    // Left in the file, it is not made anew as long as the old one can be recovered.
    const applied = await fleet.run('provision', { command: 'apply', 'fleet-file': 'fleet.yml' });
    expect(outcomeOf(applied, leaver.name)).toMatchObject({ status: 'failed', projectId: leaver.id });
    expect(applied.log).toContain(`was deleted, and can be recovered until ${until}; no new one was created`);
    const byName = await fleet.run('provision', { name: leaver.name });
    expect(byName.log).toContain('no new one was created');
    const planned = await fleet.run('provision', { command: 'plan', 'fleet-file': 'fleet.yml' });
    expect(planned.summary).toContain('no new one was created');
    const anew = await fleet.run('provision', { 'fleet-file': 'fleet.yml', 'recreate-deleted': 'true' });
    expect(anew.outputs).toMatchObject({ created: 'true' });
  });
});

describe('retire without a good backup', () => {
  let leaver: Leaver;
  let objects: Map<string, Buffer>;

  beforeAll(async () => {
    leaver = await Leaver.make();
    for (const step of [await leaver.backUp(), await leaver.verify()]) {
      expect({ exitCode: step.exitCode, log: step.log }).toMatchObject({ exitCode: 0 });
    }
    objects = new Map();
    for (const key of await store.keys(`retired/${leaver.id}/`)) objects.set(key, await store.read(key));
  });
  afterEach(async () => {
    for (const key of await store.keys(`retired/${leaver.id}/`)) if (!objects.has(key)) await remove(key);
    for (const [key, body] of objects) await put(key, body);
  });

  const keyOf = (database: string, end: string) =>
    [...objects.keys()].find((key) => key.includes(`/${database}/`) && key.endsWith(end)) ?? '';
  const changed = (body: Buffer | undefined, from: string | RegExp, to: string) => {
    const text = body?.toString() ?? '';
    if (text.replace(from, to) === text) throw new Error('nothing was changed');
    return Buffer.from(text.replace(from, to));
  };

  async function expectRefused(why: RegExp, inputs: Record<string, string> = {}): Promise<void> {
    const start = fleet.neon.requests().length;
    const run = await leaver.retire(inputs);
    expect(run.exitCode).toBe(1);
    expect(outcomeOf(run, leaver.name)).toMatchObject({ status: 'failed' });
    expect(outcomeOf(run, leaver.name).detail).toMatch(why);
    expect(deletions(start, leaver.id)).toBe(0);
    expect(await leaver.isThere()).toBe(true);
    expect(run.outputs['recoverable-until']).toBeUndefined();
  }

  const DUMP = '.sql.gz';
  const MANIFEST = '.manifest.json';
  const NOTE = '.verified.json';

  test.each<[string, RegExp, () => Promise<unknown>]>([
    [
      'there is none',
      /there is none/,
      async () => {
        for (const key of objects.keys()) await remove(key);
      },
    ],
    [
      'one database of two has none',
      /"billing" has no good backup: there is none/,
      async () => {
        for (const key of objects.keys()) if (key.includes('/billing/')) await remove(key);
      },
    ],
    ['it was never verified', /has not been verified/, () => remove(keyOf('neondb', NOTE))],
    [
      'its drill failed',
      /drill of .* failed/,
      () => put(keyOf('neondb', NOTE), changed(objects.get(keyOf('neondb', NOTE)), '"passed"', '"failed"')),
    ],
    [
      'its manifest is that of the other database',
      /is the one of/,
      async () => put(keyOf('neondb', MANIFEST), objects.get(keyOf('billing', MANIFEST)) ?? Buffer.alloc(0)),
    ],
    [
      'it is that of another project',
      /is a backup of "neondb" of the project other-project-1/,
      () =>
        put(
          keyOf('neondb', MANIFEST),
          changed(objects.get(keyOf('neondb', MANIFEST)), /"projectId": "[^"]*"/, '"projectId": "other-project-1"'),
        ),
    ],
    [
      'the object is shorter',
      /bytes instead of/,
      () => put(keyOf('neondb', DUMP), (objects.get(keyOf('neondb', DUMP)) ?? Buffer.alloc(0)).subarray(0, -9)),
    ],
    [
      'the object is another one of the same size',
      /its checksum is not the one/,
      () => put(keyOf('billing', DUMP), Buffer.alloc(objects.get(keyOf('billing', DUMP))?.length ?? 0, 'x')),
    ],
    ['the object is missing', /not in the bucket any more/, () => remove(keyOf('billing', DUMP))],
    [
      'somebody may have been there, for all that is known',
      /somebody may have used "neondb" since/,
      () => remove(keyOf('neondb', '.covered.json')),
    ],
  ])('does not delete: %s', async (_, why, tamper) => {
    await tamper();
    await expectRefused(why);
  });

  test('does not delete: it is too old, elsewhere, or the store cannot be reached', async () => {
    await expectRefused(/longer ago than max-backup-age/, { 'max-backup-age': '1ms' });
    await expectRefused(/there is none/, { 's3-prefix': 'elsewhere' });
    await expectRefused(/S3/, { 's3-endpoint': 'http://127.0.0.1:1' });
    await expectRefused(/S3/, { 's3-bucket': 'no-such-bucket' });
  });

  test('does not delete: the newest leaves something out, or was only read', async () => {
    expect((await leaver.backUp({ 'exclude-tables': 'notes', 'max-skip': '1ms' })).exitCode).toBe(0);
    expect((await leaver.verify()).exitCode).toBe(0);
    await expectRefused(/leaves out a part of the database/);
    expect((await leaver.backUp({ 'max-skip': '1ms' })).exitCode).toBe(0);
    await expectRefused(/has not been verified/);
    expect((await leaver.verify({ verify: 'checksum' })).exitCode).toBe(0);
    await expectRefused(/only the checksum/);
  });

  test('does not delete without the right word, or a tenant or branch that is protected', async () => {
    await expectRefused(/confirm is "leaver", and the tenant's key is/, { confirm: 'leaver' });
    await writeFile(
      path.join(fleet.folder, 'fleet.yml'),
      `defaults: { protected: true }\ntenants:\n  - { key: ${leaver.key}, name: ${leaver.name} }\n`,
    );
    await expectRefused(/fleet.yml protects the tenant/);
    await writeFile(
      path.join(fleet.folder, 'fleet.yml'),
      `tenants:\n  - { key: ${leaver.key}, name: ${leaver.name} }\n`,
    );
    const { data } = await api().listProjectBranches({ projectId: leaver.id });
    const branchId = data.branches[0]?.id ?? '';
    await api().updateProjectBranch(leaver.id, branchId, { branch: { protected: true } });
    await expectRefused(/the branch "\w+" of .* is protected/);
    await api().updateProjectBranch(leaver.id, branchId, { branch: { protected: false } });
  });

  test('does not delete more than one, and says at once what is missing', async () => {
    const run = await fleet.run('provision', { command: 'retire', 'fleet-file': 'fleet.yml' });
    expect(run.exitCode).toBe(1);
    for (const input of ['tenants', 'confirm', 's3-bucket']) expect(run.log).toMatch(new RegExp(`${input}: given`));
  });

  test('does not delete: somebody has used it since', async () => {
    // Half a minute later, as far as Neon and the notes are concerned.
    for (const key of objects.keys()) {
      if (!key.endsWith('.covered.json')) continue;
      const earlier = new Date(Date.now() - 3_600_000).toISOString();
      await put(key, changed(objects.get(key), /"quietUntil": "[^"]*"/, `"quietUntil": "${earlier}"`));
    }
    await fleet.queryAsOwner(leaver.id, 'INSERT INTO notes VALUES (1)');
    await expectRefused(/the compute was active at .*, after the backups/);
  });
});

describe('retire that is interrupted', () => {
  async function provenLeaver(): Promise<Leaver> {
    const leaver = await Leaver.make();
    await leaver.isInUse();
    for (const step of [await leaver.backUp(), await leaver.verify()]) {
      expect({ exitCode: step.exitCode, log: step.log }).toMatchObject({ exitCode: 0 });
    }
    return leaver;
  }

  async function expectGone(leaver: Leaver): Promise<void> {
    expect(await leaver.isThere()).toBe(false);
    expect(leaver.secret).toBeUndefined();
    expect(await leaver.inCatalog()).toMatchObject({ status: 'retired', closed: true });
  }

  test('by a kill after the deletion is finished by the next run', async () => {
    const leaver = await provenLeaver();
    const start = fleet.neon.requests().length;
    const run = await fleet.start('provision', leaver.inputs(), withGitHub());
    while (run.process.exitCode === null && deletions(start, leaver.id) === 0) {
      await new Promise((next) => setTimeout(next, 1));
    }
    run.process.kill('SIGKILL');
    await run.finished;
    const again = await leaver.retire();
    expect({ exitCode: again.exitCode, log: again.log }).toMatchObject({ exitCode: 0 });
    expect(again.outputs['project-id']).toBe(leaver.id);
    await expectGone(leaver);
  });

  test('by GitHub or by the catalog is finished by the next run', async () => {
    const leaver = await provenLeaver();
    // The list is answered, the removal is not.
    github.refuseDeletesWith = 403;
    const failed = await leaver.retire({ 'catalog-url': 'postgresql://u:p@127.0.0.1:1/none?sslmode=disable' });
    expect(failed.exitCode).toBe(1);
    expect(await leaver.isThere()).toBe(false);
    expect(leaver.secret).toBeDefined();
    expect(await leaver.inCatalog()).toMatchObject({ status: 'ready' });
    github.refuseDeletesWith = undefined;
    const again = await leaver.retire();
    expect(statuses(again)).toEqual({ [leaver.name]: 'succeeded' });
    expect(outcomeOf(again, leaver.name).detail).toMatch(
      /was deleted already; .*; secret LEAVER_\d+_DATABASE_URL removed/,
    );
    await expectGone(leaver);
  });

  test('by lost answers, or by another one at the same time, ends well', async () => {
    const leaver = await provenLeaver();
    fleet.neon.faults.set({ kind: 'lost-answer', path: 'deleteProject', times: 1 });
    github.lostAnswers = 1;
    const runs = await Promise.all([leaver.retire(), leaver.retire()]);
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    await expectGone(leaver);
  });

  test('for a project that Neon has forgotten ends when file or catalog know it, and else is an error', async () => {
    const leaver = await Leaver.make(', project-id: long-gone-project-1');
    const run = await leaver.retire();
    expect(statuses(run)).toEqual({ [leaver.name]: 'unchanged: up-to-date' });
    await writeFile(path.join(fleet.folder, 'fleet.yml'), `tenants:\n  - { key: nobody, name: Nobody }\n`);
    const nobody = await leaver.retire({ tenants: 'nobody', confirm: 'nobody' });
    expect(nobody.exitCode).toBe(1);
    expect(nobody.log).toContain('there is no project of "Nobody"; nothing was done');
  });
});
