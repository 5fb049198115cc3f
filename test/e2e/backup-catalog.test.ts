import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type pg from 'pg';

import { statuses, TestFleet } from '../support/fleet.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';
import { placesThatShow } from '../support/secrets.js';
import { StoreInspector } from '../support/store.js';
import { shardsOf, Workflow } from '../support/workflow.js';

let fleet: TestFleet;
let store: StoreInspector;
let catalogId: string;
let catalogUrl: string;
let ids: string[];
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
  store = new StoreInspector(fleet.neon.s3);
});
afterAll(async () => {
  store[Symbol.dispose]();
  await fleet[Symbol.asyncDispose]();
});
beforeEach(async () => {
  count += 1;
  [catalogId = '', ...ids] = await fleet.neon.seedProjects([`cat ${count}`, name(0), name(1)]);
  catalogUrl = await fleet.uriOf(catalogId);
});

const name = (index: number) => `b${count}-${index}`;
const inputs = (more: Readonly<Record<string, string>> = {}) => ({
  ...fleet.s3Inputs,
  's3-prefix': `prefix-${count}`,
  'catalog-url': catalogUrl,
  ...more,
});
const tenants = () => `b${count}-*`;
const s3Only = () => ({ 'neon-api-key': '', 'neon-api-url': '' });

async function ask<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
  return fleet.query<Row>(catalogId, sql);
}

interface BackupRow {
  name: string;
  storage_key: string;
  size: number;
  sha256: string;
  schema_version: string | null;
  verify_outcome: string | null;
  gone: boolean;
}

const backups = () =>
  ask<BackupRow>(
    `SELECT c.name, b.storage_key, b.size_bytes::int AS size, b.sha256, b.schema_version, b.verify_outcome, b.gone_at IS NOT NULL AS gone
       FROM fleet.backup b JOIN fleet.project p ON p.id = b.project_id JOIN fleet.customer c ON c.id = p.customer_id
      ORDER BY c.name, b.created_at`,
  );

test('list does not miss a backup of the project that the catalog is in', async () => {
  const asked = { command: 'list', tenants: '*' };
  const named = statuses(await fleet.run('backup', inputs(asked)));
  expect(Object.keys(named)).toContain(name(0));
  expect(Object.keys(named)).not.toContain(`cat ${count}`);
  const unaware = statuses(await fleet.run('backup', inputs({ ...asked, 'catalog-url': '' })));
  expect(Object.keys(unaware)).toContain(`cat ${count}`);
});

describe('backup with a catalog', () => {
  test('tells it what it has made, what a drill showed, and what is not there any more', async () => {
    const folder = await writeMigrations(path.join(fleet.folder, `drizzle-${count}`), { '0000_init': GUIDE_TABLES });
    const migrated = await fleet.run('migrate', {
      tenants: name(0),
      'migrations-folder': folder,
      'catalog-url': catalogUrl,
    });
    expect(migrated.exitCode).toBe(0);
    const run = await fleet.run('backup', inputs({ tenants: tenants() }));
    expect({ exitCode: run.exitCode, log: run.log }).toMatchObject({ exitCode: 0 });
    expect(placesThatShow(new URL(catalogUrl).password, run)).toEqual([]);

    // The second tenant was not known before.
    const made = await backups();
    expect(made.map(({ name: each }) => each)).toEqual([name(0), name(1)]);
    for (const { storage_key: key, size, sha256 } of made) {
      expect(
        JSON.parse((await store.read(key.replace(/\.sql\.gz$/, '.manifest.json'))).toString('utf8')),
      ).toMatchObject({
        sizeBytes: size,
        sha256,
      });
    }
    const [hash] = await fleet.query<{ hash: string }>(ids[0] ?? '', 'SELECT hash FROM drizzle.__drizzle_migrations');
    expect(made.map((each) => each.schema_version)).toEqual([hash?.hash, null]);
    expect(await ask("SELECT action, verdict FROM fleet.migration_run WHERE action = 'backup'")).toEqual([
      { action: 'backup', verdict: 'succeeded' },
    ]);
    // What is certain about the schema is as certain as before.
    expect(await ask('SELECT schema_version FROM fleet.database_version WHERE migrations_digest IS NOT NULL')).toEqual([
      { schema_version: '0000_init' },
    ]);

    const verified = await fleet.run('backup', inputs({ command: 'verify', verify: 'checksum', ...s3Only() }));
    expect({ exitCode: verified.exitCode, log: verified.log }).toMatchObject({ exitCode: 0 });
    expect((await backups()).map((each) => each.verify_outcome)).toEqual(['passed', 'passed']);

    await fleet.run('backup', inputs({ tenants: name(0) }));
    expect(await backups()).toHaveLength(3);
    const pruning = inputs({ command: 'prune', tenants: '*', retention: 'last=1', ...s3Only() });
    await fleet.run('backup', { ...pruning, 'dry-run': 'true' });
    expect((await backups()).map(({ gone }) => gone)).toEqual([false, false, false]);
    const pruned = await fleet.run('backup', pruning);
    expect({ exitCode: pruned.exitCode, log: pruned.log }).toMatchObject({ exitCode: 0 });
    expect((await backups()).map(({ gone }) => gone)).toEqual([true, false, false]);

    // Retention of the run itself.
    await fleet.run('backup', inputs({ tenants: name(1), retention: 'last=1' }));
    expect((await backups()).map(({ gone }) => gone)).toEqual([true, false, true, false]);

    const erasing = { command: 'erase', tenant: name(0), confirm: ids[0] ?? '', ...s3Only() };
    const erased = await fleet.run('backup', inputs(erasing));
    expect({ exitCode: erased.exitCode, log: erased.log }).toMatchObject({ exitCode: 0 });
    expect((await backups()).map(({ gone }) => gone)).toEqual([true, true, true, false]);
    expect(await ask("SELECT what, actor FROM fleet.event WHERE action = 'backup'")).toEqual([
      { what: 'erased', actor: 'octocat' },
    ]);
  });

  test('tells it that a backup is not what it was', async () => {
    await fleet.run('backup', inputs({ tenants: name(0) }));
    const [made] = await backups();
    const key = made?.storage_key ?? '';
    const body = await store.read(key);
    body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1;
    await store.write(key, body);
    const verified = await fleet.run('backup', inputs({ command: 'verify', verify: 'checksum', ...s3Only() }));
    expect(verified.exitCode).toBe(1);
    expect((await backups()).map((each) => each.verify_outcome)).toEqual(['failed']);
  });

  test('takes its tenants from there, and is one run over many jobs', async () => {
    // Known before, with a place of its own; the project of the catalog is known too, and never taken.
    expect((await fleet.run('backup', inputs({ tenants: tenants() }))).exitCode).toBe(0);
    const before = fleet.neon.requests().length;
    const workflow = new Workflow(fleet, 'backup', path.join(fleet.folder, `jobs-${count}`), inputs());
    const planned = await workflow.plan({ tenants: '*', source: 'catalog', 'tenants-per-shard': '1' });
    expect({ exitCode: planned.exitCode, log: planned.log }).toMatchObject({ exitCode: 0 });
    expect(shardsOf(planned)).toEqual([1, 2]);
    expect(fleet.neon.requests().length).toBe(before);
    for (const shard of [1, 2]) expect((await workflow.apply(shard)).exitCode).toBe(0);
    const reported = await workflow.report(inputs());
    expect(reported.outputs).toMatchObject({ verdict: 'succeeded' });
    expect(await backups()).toHaveLength(4);
    expect(await ask("SELECT count(*)::int AS runs FROM fleet.migration_run WHERE action = 'backup'")).toEqual([
      { runs: 2 },
    ]);
    const nobody = await fleet.run('backup', inputs({ tenants: '*\n!misspelled', source: 'catalog' }));
    expect(nobody.exitCode).toBe(1);
    expect(nobody.log).toContain('no tenant of the catalog matches "!misspelled"');
  });

  test('is as good without one that is down, which is told later', async () => {
    const nowhere = 'postgresql://someone:secret-word@127.0.0.1:9/catalog';
    const folder = path.join(fleet.folder, `runner-${count}`);
    const run = await fleet.run('backup', inputs({ tenants: tenants(), 'catalog-url': nowhere }), { folder });
    expect(run).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded' } });
    expect(statuses(run)).toEqual({ [name(0)]: 'succeeded', [name(1)]: 'succeeded' });
    expect(run.log).toMatch(/::warning::The catalog was not told/);
    expect(placesThatShow('secret-word', run)).toEqual([]);
    const replay = run.outputs['catalog-replay'] ?? '';
    for (let time = 0; time < 2; time += 1) {
      const sync = await fleet.run('provision', { command: 'sync', 'catalog-url': catalogUrl, replay });
      expect({ exitCode: sync.exitCode, log: sync.log }).toMatchObject({ exitCode: 0 });
    }
    expect(await backups()).toHaveLength(2);
    const needing = await fleet.run('backup', inputs({ tenants: '*', source: 'catalog', 'catalog-url': nowhere }));
    expect(needing.exitCode).toBe(1);
    expect(needing.log).toContain('the catalog cannot be reached, and this run needs it; nothing was done');
  });
});
