import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';
import pg from 'pg';

import {
  CATALOG_SESSION,
  openCatalog,
  CATALOG_MIGRATIONS,
  QUERIES,
  tenantsOfCatalog,
  type Catalog,
  type CatalogBatch,
  type CatalogTenant,
  type OutcomeRecord,
  type ProjectRecord,
} from '../../src/catalog/index.js';
import * as schema from '../../src/catalog/schema.js';
import { newCatalogDatabase } from '../support/migrations.js';

let neon: LocalNeon;
let url: string;
let admin: pg.Client;
let catalog: Catalog;

beforeAll(async () => {
  neon = await startLocalNeon({ s3: false });
});
afterAll(async () => {
  await neon.stop();
});
beforeEach(async () => {
  url = await newCatalogDatabase(neon);
  admin = new pg.Client({ connectionString: url });
  await admin.connect();
  await admin.query('CREATE TABLE public.customer (mine int)');
  catalog = await openCatalog(url);
});
afterEach(async () => {
  await catalog.end();
  await admin.end();
});

const AT = '2026-11-02T03:04:05.000Z';

function projectRecord(key: string, overrides: Partial<ProjectRecord> = {}): ProjectRecord {
  return {
    key,
    name: key.toUpperCase(),
    projectId: `p-${key}`,
    regionId: 'aws-us-east-1',
    pgVersion: 17,
    status: 'ready',
    ...overrides,
  };
}

function outcome(key: string, overrides: Partial<OutcomeRecord> = {}): OutcomeRecord {
  return {
    projectId: `p-${key}`,
    name: key.toUpperCase(),
    database: 'neondb',
    status: 'succeeded',
    to: '0001_tasks',
    attempts: 1,
    startedAt: AT,
    durationMs: 12.5,
    ...overrides,
  };
}

function withoutVersion(overrides: Partial<OutcomeRecord>): OutcomeRecord {
  const all = Object.entries(outcome('acme', overrides)).filter(([name]) => name !== 'to');
  return Object.fromEntries(all) as unknown as OutcomeRecord;
}

function run(outcomes: readonly OutcomeRecord[], runKey = 'run-1'): CatalogBatch {
  return {
    schemaVersion: 1,
    run: {
      runKey,
      action: 'migrate',
      command: 'run',
      verdict: 'succeeded',
      startedAt: AT,
      durationMs: 1_000,
      actor: 'octocat',
      outcomes: [...outcomes],
    },
  };
}

async function tenants(): Promise<CatalogTenant[]> {
  const all: CatalogTenant[] = [];
  for await (const page of catalog.tenants()) all.push(...page);
  return all;
}

async function count(table: string): Promise<number> {
  const { rows } = await admin.query<{ n: number }>(`SELECT count(*)::int AS n FROM fleet.${table}`);
  return rows[0]?.n ?? -1;
}

describe('the catalog', () => {
  test('makes its tables once, however many come at the same time, and leaves those of others alone', async () => {
    await admin.query('DROP SCHEMA fleet CASCADE');
    const many = await Promise.all(Array.from({ length: 6 }, () => openCatalog(url)));
    await Promise.all(many.map((each) => each.end()));
    expect(await count('catalog_migration')).toBe(CATALOG_MIGRATIONS.length);
    const { rows } = await admin.query(
      `SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'customer'`,
    );
    expect(rows).toEqual([{ column_name: 'mine' }]);
  });

  test('that is newer than the program is refused', async () => {
    await admin.query("INSERT INTO fleet.catalog_migration (tag) VALUES ('9999_future')");
    await expect(openCatalog(url)).rejects.toThrow(/newer than this version.*9999_future/);
  });

  const TABLES: readonly PgTable[] = [
    schema.customer,
    schema.project,
    schema.databaseVersion,
    schema.creationIntent,
    schema.migrationRun,
    schema.runPart,
    schema.shardFailures,
    schema.migrationOutcome,
    schema.backup,
    schema.event,
  ];

  test.each(TABLES.map((table) => [getTableConfig(table).name, table] as const))(
    'has the table %s as the drizzle schema says',
    async (name, table) => {
      const config = getTableConfig(table);
      const { rows: columns } = await admin.query(
        `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS "notNull", atthasdef AS "hasDefault"
           FROM pg_attribute WHERE attrelid = ('fleet.' || $1)::regclass AND attnum > 0 ORDER BY attnum`,
        [name],
      );
      expect(columns).toEqual(
        config.columns.map((column) => ({
          name: column.name,
          type: column.getSQLType(),
          notNull: column.notNull,
          hasDefault: column.hasDefault,
        })),
      );
      const { rows: names } = await admin.query<{ name: string }>(
        `SELECT conname AS name FROM pg_constraint WHERE conrelid = ('fleet.' || $1)::regclass AND contype IN ('f', 'u', 'c')
         UNION SELECT indexrelid::regclass::text FROM pg_index i WHERE indrelid = ('fleet.' || $1)::regclass
           AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)`,
        [name],
      );
      expect(names.map((row) => row.name.replace('fleet.', '')).toSorted()).toEqual(
        [
          ...config.foreignKeys.map((key) => key.getName()),
          ...config.columns.filter((column) => column.isUnique).map((column) => column.uniqueName ?? ''),
          ...config.checks.map((check) => check.name),
          ...config.indexes.map((index) => index.config.name ?? ''),
        ].toSorted(),
      );
    },
  );

  test('keeps tenants, and what is told twice is there once', async () => {
    const batch: CatalogBatch = {
      schemaVersion: 1,
      projects: [projectRecord('acme', { database: 'app', schemaVersion: '0001' }), projectRecord('b')],
    };
    await catalog.write(batch);
    await catalog.write(batch);
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('acme', { name: 'ACME Corp' })] });
    expect(await tenants()).toMatchObject([
      { key: 'acme', name: 'ACME Corp', projectId: 'p-acme', schemaVersion: '0001' },
      { key: 'b', name: 'B' },
    ]);
    // Keys do not differ by case alone.
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('ACME', { projectId: 'p-acme' })] });
    expect(await count('customer')).toBe(2);
    expect(await catalog.byKey('Acme')).toMatchObject([{ projectId: 'p-acme' }]);
  });

  test('takes the outcomes of a run idempotently, and learns tenants and versions of them', async () => {
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('acme')] });
    const outcomes = [
      outcome('acme'),
      outcome('new', { regionId: 'aws-eu-central-1', pgVersion: 16 }),
      outcome('stranger'), // nothing is known about it
    ];
    await catalog.write(run(outcomes));
    await catalog.write(run([outcome('acme', { status: 'failed', errorCode: 'SQLSTATE 42701' })]));
    expect(await count('migration_run')).toBe(1);
    expect(await count('migration_outcome')).toBe(2);
    expect((await tenants()).map(({ key, schemaVersion }) => [key, schemaVersion])).toEqual([
      ['acme', '0001_tasks'],
      ['NEW', '0001_tasks'],
    ]);
    const { rows } = await admin.query<Record<string, unknown>>(
      'SELECT status, error_code, duration_ms FROM fleet.migration_outcome ORDER BY status',
    );
    expect(rows[0]).toEqual({ status: 'failed', error_code: 'SQLSTATE 42701', duration_ms: '13' });
  });

  test('does not turn a version back when an older run is written later', async () => {
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('acme')] });
    await catalog.write(run([outcome('acme', { to: '0002', startedAt: '2026-11-03T00:00:00.000Z' })], 'newer'));
    await catalog.write(run([outcome('acme', { to: '0001', startedAt: '2026-11-02T00:00:00.000Z' })], 'older'));
    expect(await tenants()).toMatchObject([{ schemaVersion: '0002' }]);
  });

  test('shows the newest and the newest verified backup, and the last outcome', async () => {
    const backup = (day: number, verifyOutcome?: 'passed' | 'failed') => ({
      projectId: 'p-acme',
      database: 'neondb',
      storageKey: `k-${day}`,
      sizeBytes: day,
      sha256: 'x',
      createdAt: `2026-11-0${day}T00:00:00.000Z`,
      ...(verifyOutcome === undefined ? {} : { verifyOutcome, verifiedAt: `2026-11-0${day}T01:00:00.000Z` }),
    });
    const backups = [backup(1, 'passed'), backup(2, 'failed'), backup(3)];
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('acme')], backups });
    await catalog.write({ ...run([outcome('acme', { status: 'skipped', reason: 'drift' })]), backups });
    // A backup that went well since then says nothing about the migration.
    const { run: backedUp } = run([outcome('acme', { startedAt: '2026-11-09T00:00:00.000Z' })], 'backup-1');
    if (backedUp !== undefined) await catalog.write({ schemaVersion: 1, run: { ...backedUp, action: 'backup' } });
    expect(await count('backup')).toBe(3);
    for await (const page of catalog.status()) {
      expect(page).toMatchObject([
        {
          backupAt: '2026-11-03T00:00:00.000Z',
          backupBytes: 3,
          verifiedAt: '2026-11-01T01:00:00.000Z',
          outcome: 'skipped',
          reason: 'drift',
          runKey: 'run-1',
        },
      ]);
    }
  });

  test('keeps the newest drill of a backup, and shows none that is gone', async () => {
    const backup = (verifiedAt: string, verifyOutcome: 'passed' | 'failed') => ({
      projectId: 'p-acme',
      database: 'neondb',
      storageKey: 'k',
      sizeBytes: 7,
      sha256: 'x',
      createdAt: AT,
      verifiedAt,
      verifyOutcome,
    });
    const write = (batch: Omit<CatalogBatch, 'schemaVersion'>) => catalog.write({ schemaVersion: 1, ...batch });
    const newest = backup('2026-11-05T00:00:00.000Z', 'failed');
    await write({ projects: [projectRecord('acme')], backups: [newest] });
    await write({ backups: [backup('2026-11-04T00:00:00.000Z', 'passed')] });
    const untried = {
      projectId: 'p-acme',
      database: 'neondb',
      storageKey: 'k',
      sizeBytes: 7,
      sha256: 'x',
      createdAt: AT,
    };
    await write({ backups: [untried] });
    const kept = 'SELECT verify_outcome, gone_at FROM fleet.backup';
    expect((await admin.query(kept)).rows).toEqual([{ verify_outcome: 'failed', gone_at: null }]);
    const gone = { storageKeys: ['k', 'another'], at: '2026-11-06T00:00:00.000Z' };
    await write({ backupsGone: gone });
    await write({ backupsGone: { ...gone, at: '2026-11-07T00:00:00.000Z' } });
    expect((await admin.query(kept)).rows).toEqual([{ verify_outcome: 'failed', gone_at: new Date(gone.at) }]);
    for await (const page of catalog.status()) expect(page[0]?.backupAt).toBeUndefined();
  });

  test('takes names with anything in them as data', async () => {
    const name = `'); DROP TABLE fleet.customer;-- 🦊 $(x) \\ " ${'ä'.repeat(200)} \u0000`;
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('h', { name })] });
    expect(await tenants()).toMatchObject([{ name: name.replace('\u0000', '') }]);
  });

  test('closes and renames, and finds a tenant by the id of a former project', async () => {
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('a'), projectRecord('b')] });
    await catalog.rename([{ projectId: 'p-a', name: 'New' }]);
    await catalog.close(['p-b'], 'gone');
    expect(await tenants()).toMatchObject([{ key: 'a', name: 'New' }]);
    await admin.query("UPDATE fleet.project SET predecessor_ids = '{p-old}' WHERE neon_project_id = 'p-a'");
    expect(await catalog.tenantOf('p-old')).toMatchObject({ key: 'a', projectId: 'p-a', predecessorIds: ['p-old'] });
    expect(await catalog.tenantOf('p-none')).toBeUndefined();
  });

  test('keeps a retired project closed, whatever is told or listed late, until somebody makes it ready again', async () => {
    const closure = { projectId: 'p-a', status: 'retired' as const, at: '2026-11-10T00:00:00.000Z' };
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('a', { readyAt: AT })], closures: [closure] });
    const closed = async () =>
      (
        await admin.query<{ status: string; closed_at: Date | null }>(
          "SELECT status, closed_at FROM fleet.project WHERE neon_project_id = 'p-a'",
        )
      ).rows[0];
    expect(await closed()).toEqual({ status: 'retired', closed_at: new Date(closure.at) });
    expect(await catalog.retired(['p-a', 'p-b'])).toEqual(new Set(['p-a']));
    // A list that is late, a batch that is told late, a run that still had it, and a sync that misses it.
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('a')] });
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('a', { readyAt: AT })] });
    await catalog.write(run([outcome('a', { regionId: 'aws-us-east-1', pgVersion: 17 })]));
    await catalog.close(['p-a'], 'gone');
    expect(await closed()).toEqual({ status: 'retired', closed_at: new Date(closure.at) });
    expect(await tenants()).toEqual([]);
    // Recovered in Neon, and provisioned again.
    const readyAt = '2026-11-11T00:00:00.000Z';
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('a', { readyAt })] });
    expect(await closed()).toEqual({ status: 'ready', closed_at: null });
  });

  test('writes all of a batch or nothing', async () => {
    const broken = { ...run([outcome('a')]), events: [{ eventKey: 'e', at: 'not a time', action: 'x', what: 'y' }] };
    await expect(catalog.write({ ...broken, projects: [projectRecord('a')] })).rejects.toThrow();
    expect(await count('customer')).toBe(0);
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('a')] });
    expect(await count('customer')).toBe(1);
  });

  test('lets one process at a time create a project for a key, and hands a dead one’s attempt on', async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    const other = await openCatalog(url);
    expect(await other.claim('acme', first, undefined)).toEqual({ attempt: first });
    expect(await catalog.claim('ACME', second, undefined)).toBeUndefined();
    expect(await catalog.claim('else', second, undefined)).toEqual({ attempt: second });
    await other.end(); // as when it is killed
    expect(await catalog.claim('acme', second, undefined)).toEqual({ attempt: first });
    await catalog.release('acme');
    expect(await catalog.claim('acme', second, undefined)).toEqual({ attempt: second });
  });

  test('has more than a page of tenants', async () => {
    const projects = Array.from({ length: 2_345 }, (_, index) => projectRecord(`t${index}`));
    await catalog.write({ schemaVersion: 1, projects });
    const keys = (await tenants()).map(({ key }) => key);
    expect(new Set(keys).size).toBe(2_345);
    expect(keys).toHaveLength(2_345);
  });
});

describe('what a database is at', () => {
  const verified = { table: '"drizzle"."__drizzle_migrations"', digest: 'd1' };
  const certain = async () => {
    const all: string[] = [];
    for await (const page of catalog.versions()) {
      for (const { projectId, versions = [] } of page) {
        all.push(...versions.map(({ branch, database, version }) => [projectId, branch, database, version].join('/')));
      }
    }
    return all.toSorted();
  };
  const at = (day: number) => `2026-11-${String(day).padStart(2, '0')}T00:00:00.000Z`;
  let runs = 0;
  const tell = (...outcomes: OutcomeRecord[]) => catalog.write(run(outcomes, `run-${(runs += 1)}`));

  beforeEach(async () => {
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('acme', { database: 'neondb' })] });
  });

  test('is read page by page, without those of which nothing is certain', async () => {
    const keys = Array.from({ length: 2_000 }, (_, index) => `t${index}`);
    await catalog.write({ schemaVersion: 1, projects: keys.map((key) => projectRecord(key)) });
    const known = keys.filter((_, index) => index % 4 !== 0);
    await tell(...known.map((key) => outcome(key, { verified })));
    const pages: string[][] = [];
    for await (const page of catalog.versions()) pages.push(page.map(({ projectId }) => projectId));
    expect(pages.map(({ length }) => length)).toEqual([1_000, 500]);
    expect(pages.flat().toSorted()).toEqual(known.map((key) => `p-${key}`).toSorted());
  });

  test('is kept for each database and each branch, and the tenant is at what its own database is at', async () => {
    await tell(
      outcome('acme', { verified, to: '0002' }),
      outcome('acme', { verified, to: '0001', database: 'reports' }),
    );
    await tell(outcome('acme', { verified, to: '0003', branch: 'dev', startedAt: at(9) }));
    expect(await certain()).toEqual(['p-acme//neondb/0002', 'p-acme//reports/0001', 'p-acme/dev/neondb/0003']);
    expect(await tenants()).toMatchObject([{ schemaVersion: '0002' }]);
  });

  test('is what the newest run saw, in whatever order they are told', async () => {
    await tell(outcome('acme', { verified, to: '0002', startedAt: at(5) }));
    await tell(outcome('acme', { verified, to: '0001', startedAt: at(4) }));
    expect(await certain()).toEqual(['p-acme//neondb/0002']);
    expect(await tenants()).toMatchObject([{ schemaVersion: '0002' }]);
  });

  test('is uncertain on all branches after a failure or after going back, until somebody has looked again', async () => {
    await tell(outcome('acme', { verified, to: '0002', startedAt: at(4) }));
    await tell(outcome('acme', { verified, to: '0002', branch: 'main', startedAt: at(4) }));
    await tell(outcome('acme', { to: '0001', isVersionKnown: true, inDoubt: true, branch: 'main', startedAt: at(5) }));
    expect(await certain()).toEqual([]);
    // Told late: what was certain before that is not any more.
    await tell(outcome('acme', { verified, to: '0002', startedAt: at(4) }));
    expect(await certain()).toEqual([]);
    await tell(outcome('acme', { verified, to: '0001', startedAt: at(6) }));
    expect(await certain()).toEqual(['p-acme//neondb/0001']);
    await catalog.doubt(['p-acme']);
    expect(await certain()).toEqual([]);
  });

  test('can be nothing at all after going back', async () => {
    await tell(outcome('acme', { to: '0001', startedAt: at(4) }));
    await tell(withoutVersion({ startedAt: at(5), inDoubt: true, isVersionKnown: true }));
    expect((await tenants())[0]?.schemaVersion).toBeUndefined();
  });

  test('leaves alone what only a plan knows: a tenant that nobody looked at', async () => {
    const skipped = withoutVersion({
      status: 'skipped',
      reason: 'budget',
      attempts: 0,
      startedAt: at(8),
    });
    await tell(outcome('acme', { verified, to: '0002', startedAt: at(4) }));
    await tell(skipped);
    expect(await certain()).toEqual(['p-acme//neondb/0002']);
  });

  test('is learnt with the place of a project that the catalog did not know, as far as that was told', async () => {
    const place = { regionId: 'aws-us-east-1', pgVersion: 17 };
    await tell(
      outcome('named', { ...place, verified, database: 'app', role: 'app_owner' }),
      outcome('assumed', { ...place, verified, isDatabaseAssumed: true }),
    );
    const { rows } = await admin.query(
      `SELECT neon_project_id AS id, database_name, role_name, schema_version FROM fleet.project WHERE neon_project_id <> 'p-acme' ORDER BY 1`,
    );
    expect(rows).toEqual([
      { id: 'p-assumed', database_name: null, role_name: null, schema_version: '0001_tasks' },
      { id: 'p-named', database_name: 'app', role_name: 'app_owner', schema_version: '0001_tasks' },
    ]);
  });
});

describe('a run of several shards', () => {
  const part = (number: number, verdict: string, attempt = 1): CatalogBatch => {
    const { run: whole, ...rest } = run([]);
    if (whole === undefined) throw new Error('no run');
    return { ...rest, run: { ...whole, verdict, part: { number, attempt } } };
  };
  const verdict = async () => (await admin.query<{ verdict: string }>('SELECT verdict FROM fleet.migration_run')).rows;

  test.each([
    [['succeeded', 'failed', 'incomplete'], 'failed'],
    [['failed', 'incomplete', 'succeeded'], 'failed'],
    [['incomplete', 'succeeded', 'succeeded'], 'incomplete'],
    [['succeeded', 'succeeded', 'incomplete'], 'incomplete'],
    [['succeeded', 'succeeded', 'succeeded'], 'succeeded'],
  ])('that end as %j in this order is %s', async (verdicts, worst) => {
    for (const [index, each] of verdicts.entries()) await catalog.write(part(index + 1, each));
    expect(await verdict()).toEqual([{ verdict: worst }]);
  });

  test('that end at the same time is as bad as the worst of them', async () => {
    const others = await Promise.all(Array.from({ length: 5 }, () => openCatalog(url)));
    try {
      await Promise.all(others.map((each, index) => each.write(part(index + 1, index === 2 ? 'failed' : 'succeeded'))));
    } finally {
      await Promise.all(others.map((each) => each.end()));
    }
    expect(await verdict()).toEqual([{ verdict: 'failed' }]);
  });

  test('is as its newest attempts ended, also when an older one is told late', async () => {
    await catalog.write(part(1, 'succeeded'));
    await catalog.write(part(2, 'failed'));
    await catalog.write(part(0, 'failed'));
    await catalog.write(part(2, 'succeeded', 2));
    expect(await verdict()).toEqual([{ verdict: 'succeeded' }]);
    await catalog.write(part(2, 'failed', 1));
    expect(await verdict()).toEqual([{ verdict: 'succeeded' }]);
    // The report knows of shards that never told anything.
    await catalog.write(part(0, 'incomplete', 2));
    expect(await verdict()).toEqual([{ verdict: 'incomplete' }]);
  });

  test('keeps the newest outcome of a tenant', async () => {
    await catalog.write({ schemaVersion: 1, projects: [projectRecord('acme')] });
    await catalog.write(run([outcome('acme', { startedAt: '2026-11-03T00:00:00.000Z' })]));
    await catalog.write(run([outcome('acme', { status: 'failed', startedAt: '2026-11-02T00:00:00.000Z' })]));
    expect((await admin.query('SELECT status FROM fleet.migration_outcome')).rows).toEqual([{ status: 'succeeded' }]);
  });

  test('counts its failures together, those of its newest attempt', async () => {
    const planId = randomUUID();
    const shard = (number: number, attempt = 1) => ({ planId, shard: number, attempt });
    expect(await catalog.exchangeFailures(shard(1), 0)).toBe(0);
    expect(await catalog.exchangeFailures(shard(1), 2)).toBe(2);
    expect(await catalog.exchangeFailures(shard(2), 1)).toBe(3);
    expect(await catalog.exchangeFailures(shard(2), 1)).toBe(3);
    expect(await catalog.exchangeFailures({ ...shard(1), planId: randomUUID() }, 1)).toBe(1);
    expect(await catalog.exchangeFailures(shard(1, 2), 0)).toBe(0);
  });
});

describe('tenants out of the catalog', () => {
  const names = ({ tenants: all }: { readonly tenants: readonly { readonly name: string }[] }) =>
    all.map(({ name }) => name).toSorted();

  beforeEach(async () => {
    const projects = [
      projectRecord('acme', { database: 'app', role: 'app_owner', branch: 'live' }),
      projectRecord('b'),
      projectRecord('new', { status: 'creating' }),
      projectRecord('left'),
      projectRecord('gone'),
    ];
    await catalog.write({ schemaVersion: 1, projects });
    await catalog.close(['p-left'], 'retired');
    await catalog.close(['p-gone'], 'gone');
  });

  test('have their place, and those that are no tenants any more, or not yet, are left out', async () => {
    const found = await tenantsOfCatalog(catalog, ['*']);
    expect(names(found)).toEqual(['ACME', 'B']);
    expect(found.tenants.find(({ key }) => key === 'acme')).toMatchObject({
      branch: 'live',
      database: 'app',
      role: 'app_owner',
      assumed: { database: false, role: false },
      regionId: 'aws-us-east-1',
      pgVersion: 17,
    });
    expect(found.settled).toMatchObject([{ name: 'NEW', status: 'skipped', reason: 'creating', attempts: 0 }]);
    expect(await tenantsOfCatalog(catalog, ['acme'], { database: 'other' })).toMatchObject({
      tenants: [{ database: 'other', role: 'app_owner' }],
    });
  });

  test('are refused when a pattern, or an exclusion, means nobody', async () => {
    for (const patterns of [['acme', 'akme'], ['*', '!akme'], ['left'], ['gone'], ['b', '!b'], ['!b']]) {
      await expect(tenantsOfCatalog(catalog, patterns)).rejects.toThrow(/nothing was done/);
    }
    expect(await tenantsOfCatalog(catalog, ['*', '!staging-*'])).toMatchObject({ idleExclusions: ['!staging-*'] });
    expect(names(await tenantsOfCatalog(catalog, ['*', '!ACME']))).toEqual(['B']);
  });

  test('never are the project of the catalog itself', async () => {
    const itself = { catalogProject: 'p-b' };
    expect(names(await tenantsOfCatalog(catalog, ['*'], {}, itself))).toEqual(['ACME']);
    expect(names(await tenantsOfCatalog(catalog, ['*', '!b'], {}, itself))).toEqual(['ACME']);
    await expect(tenantsOfCatalog(catalog, ['b'], {}, itself)).rejects.toThrow(/no tenant of the catalog matches "b"/);
  });

  test('is known by what Neon says to every session', async () => {
    expect(await catalog.ownProject()).toBeUndefined();
    await admin.query(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET neon.project_id = 'misty-river-1'`);
    const again = await openCatalog(url);
    expect(await again.ownProject().finally(() => again.end())).toBe('misty-river-1');
  });
});

describe('every statement', () => {
  const record = {
    neon_project_id: 'p-1',
    slug: 's-1',
    name: 'n',
    status: 'ready',
    version_known: true,
    in_doubt: true,
    to_version: '0001',
    migrations_table: 't',
    migrations_digest: 'd',
    started_at: AT,
  };
  const given = JSON.stringify(
    Array.from({ length: 400 }, (_, index) => ({ ...record, neon_project_id: `p-${index}`, slug: `s-${index}` })),
  );
  const parameters: Readonly<Record<keyof typeof QUERIES, readonly unknown[]>> = {
    tenants: ['p-1', 1_000],
    byKey: ['s-1'],
    status: ['p-1', 1_000],
    versions: ['p-1', 1_000],
    registerCustomers: [given],
    registerProjects: [given],
    learnCustomers: [given],
    learnProjects: [given],
    recordRun: ['k', 'a', 'c', 'v', AT, 1, null, null],
    recordPart: [randomUUID(), 1, 1, 'failed'],
    settleVerdict: [randomUUID()],
    recordOutcomes: [given, randomUUID(), 'migrate'],
    recordVersions: [given],
    doubtVersions: [given],
    doubtProjects: [['p-1', 'p-2']],
    keepVersions: [given],
    recordBackups: [given],
    closeBackups: [['k-1', 'k-2'], AT],
    tellFailures: [randomUUID(), 1, 1, 1],
    sumFailures: [randomUUID(), 1],
    forgetFailures: [],
    ownProject: [],
    recordEvents: [given],
    closeProjects: [['p-1', 'p-2'], 'gone', AT],
    retired: [['p-1', 'p-2']],
    renameCustomers: [given],
    claim: ['s-1', randomUUID(), null],
    release: ['s-1'],
    successor: ['p-1'],
  };

  test('goes along an index, in a catalog of 100,000 tenants', async () => {
    await admin.query(`
      INSERT INTO fleet.customer (slug, name) SELECT 's-' || n, 'name ' || n FROM generate_series(1, 100000) n;
      INSERT INTO fleet.project (customer_id, neon_project_id, region, postgres_version, status)
        SELECT id, 'p-' || substr(slug::text, 3), 'aws-us-east-1', 17, 'ready' FROM fleet.customer;
      INSERT INTO fleet.migration_run (run_key, action, command, verdict, started_at, duration_ms)
        SELECT 'r-' || n, 'migrate', 'run', 'succeeded', now(), 1 FROM generate_series(1, 5000) n;
      INSERT INTO fleet.migration_outcome (run_id, project_id, database_name, status, attempts, started_at, duration_ms)
        SELECT r.id, p.id, 'neondb', 'succeeded', 1, now(), 1 FROM (SELECT id FROM fleet.migration_run LIMIT 3) r, fleet.project p;
      INSERT INTO fleet.backup (project_id, database_name, storage_key, size_bytes, sha256, created_at)
        SELECT id, 'neondb', n || neon_project_id, 1, 'x', now() FROM fleet.project, generate_series(1, 2) n;
      INSERT INTO fleet.database_version (project_id, branch_name, database_name, migrations_table, schema_version, migrations_digest, recorded_at)
        SELECT id, '', 'neondb', 't', '0001', 'd', '2026-11-01' FROM fleet.project;
      INSERT INTO fleet.run_part (run_id, part, attempt, verdict)
        SELECT id, n, 1, 'succeeded' FROM fleet.migration_run, generate_series(0, 9) n;
      INSERT INTO fleet.shard_failures (plan_id, attempt, shard, failures)
        SELECT gen_random_uuid(), 1, n, 0 FROM generate_series(1, 20000) n;
      INSERT INTO fleet.event (event_key, at, action, what, project_id) SELECT neon_project_id, now(), 'a', 'w', id FROM fleet.project;
      INSERT INTO fleet.creation_intent (slug, attempt) SELECT slug, gen_random_uuid() FROM fleet.customer;
      ANALYZE`);
    await admin.query(CATALOG_SESSION);
    for (const [name, sql] of Object.entries(QUERIES)) {
      const values = parameters[name as keyof typeof QUERIES];
      const { rows } = await admin.query<{ 'QUERY PLAN': unknown }>(`EXPLAIN (FORMAT JSON) ${sql}`, [...values]);
      expect({ name, scanned: scannedTables(rows[0]?.['QUERY PLAN']) }).toEqual({ name, scanned: [] });
    }
  });
});

/** The tables that a plan reads from one end to the other. */
function scannedTables(plan: unknown): string[] {
  if (Array.isArray(plan)) return plan.flatMap(scannedTables);
  if (typeof plan !== 'object' || plan === null) return [];
  const node = plan as Readonly<Record<string, unknown>>;
  const own = node['Node Type'] === 'Seq Scan' ? [String(node['Relation Name'])] : [];
  return [...own, ...Object.values(node).flatMap(scannedTables)];
}
