import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DRIZZLE_TABLE, findMigration, readMigrations, type MigrationFolder } from '@neon-fleet/shared/drizzle';
import pg from 'pg';

import { writeMigrations } from '../../../test/support/migrations.js';
import {
  baselineDatabase,
  openReferences,
  type BaselineOptions,
  type BaselineResult,
  type ReferenceOptions,
} from '../../src/baseline/index.js';
import { cutAtCommit } from '../../../packages/shared/test/support/cut-at-commit.js';
import { KITCHEN_SINK, KITCHEN_SINK_BY_HAND } from '../support/kitchen-sink.js';
import type { BaselineJob } from '../support/baseline-child.js';
import { MigrateFleet } from '../support/migrate-fleet.js';

const SCOPE = { table: DRIZZLE_TABLE, ignoredSchemas: [] };

let fleet: MigrateFleet;
let folder: MigrationFolder;

beforeAll(async () => {
  fleet = await MigrateFleet.start();
  const where = await writeMigrations(path.join(fleet.folder, 'drizzle'), {
    ...KITCHEN_SINK,
    '0002_later': ['CREATE TABLE later (id int)'],
  });
  folder = await readMigrations(where);
});
afterAll(() => fleet[Symbol.asyncDispose]());

interface Overrides {
  readonly folder?: MigrationFolder;
  readonly at?: string;
  readonly reference?: Partial<ReferenceOptions>;
  readonly references?: BaselineOptions['references'];
  readonly dryRun?: boolean;
  readonly lockWaitMs?: number;
  readonly signal?: AbortSignal;
  readonly note?: (line: string) => void;
}

function optionsOf(overrides: Overrides): BaselineOptions {
  const used = overrides.folder ?? folder;
  const at = findMigration(used, overrides.at ?? '0001_more');
  const signal = overrides.signal ?? new AbortController().signal;
  const { authorities } = fleet;
  return {
    folder: used,
    at,
    scope: SCOPE,
    references:
      overrides.references ??
      openReferences({
        folder: used,
        at,
        scope: SCOPE,
        statementTimeoutMs: 60_000,
        authorities,
        signal,
        ...overrides.reference,
      }),
    dryRun: overrides.dryRun ?? false,
    lockWaitMs: overrides.lockWaitMs ?? 60_000,
    lockTimeoutMs: 5_000,
    statementTimeoutMs: 60_000,
    authorities,
    signal,
    note: overrides.note ?? (() => undefined),
  };
}

async function baseline(projectId: string, overrides: Overrides = {}): Promise<BaselineResult> {
  return baselineDatabase(await fleet.uriOf(projectId), optionsOf(overrides));
}

/** Sessions that wait in a scratch database, and all that have to do with one. */
const SLEEPING = "FROM pg_stat_activity WHERE query LIKE '%SELECT pg_sleep%' AND datname LIKE 'neon_fleet_scratch%'";
const HELD =
  "SELECT FROM pg_stat_activity WHERE application_name LIKE 'neon_fleet_scratch%' OR datname LIKE 'neon_fleet_scratch%'";

/** Starts a process that looks at one database; to be killed. */
function startBaseline(job: BaselineJob): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', path.join(import.meta.dirname, '../support/baseline-child.ts')], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: fleet.local.caFile, JOB: JSON.stringify(job) },
    stdio: 'inherit',
  });
}

/** A connection as the superuser, which may call itself something. */
async function adminOf(database: string, name?: string): Promise<pg.Client> {
  const uri = new URL(fleet.local.postgresUrl);
  uri.pathname = `/${database}`;
  const client = new pg.Client({
    connectionString: uri.href,
    ...(name === undefined ? {} : { application_name: name }),
  });
  await client.connect();
  return client;
}

async function scratchDatabases(): Promise<string[]> {
  const rows = await fleet.admin("SELECT datname FROM pg_database WHERE datname LIKE 'neon_fleet_scratch%'");
  return rows.map(({ datname }) => String(datname));
}

describe('baseline', () => {
  test('adopts a database that is what the migrations make: first it only says so, then it writes drizzle’s rows', async () => {
    const id = await fleet.tenant('adopted', KITCHEN_SINK_BY_HAND);
    const looked = await baseline(id, { dryRun: true });
    expect(looked.result).toEqual({
      status: 'succeeded',
      detail: "is what the migrations up to 0001_more make; 2 of drizzle's rows would be written",
    });
    expect(await fleet.record(id)).toBeUndefined();

    const { result } = await baseline(id);
    expect(result).toEqual({ status: 'succeeded', detail: 'adopted at 0001_more; 1 later migration is pending' });
    expect(await fleet.record(id)).toEqual(
      folder.migrations.slice(0, 2).map(({ hash, when }, index) => ({
        id: index + 1,
        hash,
        created_at: String(when),
      })),
    );
    expect(await fleet.query(id, 'SELECT name FROM users')).toEqual([{ name: 'ada' }]);
    expect(await scratchDatabases()).toEqual([]);

    expect((await baseline(id)).result).toMatchObject({ status: 'unchanged', reason: 'up-to-date' });
    expect(await fleet.record(id)).toHaveLength(2);
  });

  test('shows what differs, and writes nothing', async () => {
    const id = await fleet.tenant(
      'different',
      `${KITCHEN_SINK_BY_HAND}; ALTER TABLE users ALTER COLUMN name DROP NOT NULL; CREATE TABLE public.own (id int); DROP TABLE events`,
    );
    const { result, differences } = await baseline(id);
    expect(result).toEqual({
      status: 'skipped',
      reason: 'drift',
      detail:
        'is not what the migrations up to 0001_more make: 2 missing, 1 extra, 1 different (missing table public.events; missing table public.events_2026; extra table public.own; different column public.users.name)',
    });
    expect(differences.at(-1)).toEqual({
      is: 'different',
      kind: 'column',
      name: 'public.users.name',
      expected: "character varying(100) DEFAULT 'nobody'::character varying NOT NULL",
      actual: "character varying(100) DEFAULT 'nobody'::character varying",
    });
    expect(await fleet.record(id)).toBeUndefined();
  });

  test('builds what the migrations make once for all tenants', async () => {
    const ids = await Promise.all([1, 2, 3, 4].map((n) => fleet.tenant(`many-${n}`, KITCHEN_SINK_BY_HAND)));
    const connections = async () => {
      const counts = await Promise.all(ids.map((id) => fleet.local.connections(id)));
      return counts.reduce((sum, { direct }) => sum + direct, 0);
    };
    const before = await connections();
    const { references } = optionsOf({});
    const results = await Promise.all(ids.map((id) => baseline(id, { references })));
    expect(results.map(({ result }) => result.status)).toEqual(ids.map(() => 'succeeded'));
    // One for each tenant; and to make a database, to work in it, and to remove it.
    expect((await connections()) - before).toBe(ids.length + 3);
    expect(await scratchDatabases()).toEqual([]);
  });

  test('leaves alone what drizzle’s record contradicts, and what it says already', async () => {
    const record = (rows: string) => `${KITCHEN_SINK_BY_HAND}; CREATE SCHEMA drizzle;
      CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint);
      INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ${rows}`;
    const [first, second, third] = folder.migrations.map(({ hash, when }) => `('${hash}', ${when})`);
    const results = await Promise.all(
      [`${first}, ('edited', ${folder.migrations[1]?.when ?? 0})`, `${first}`, `${first}, ${second}, ${third}`].map(
        async (rows, index) => (await baseline(await fleet.tenant(`recorded-${index}`, record(rows)))).result,
      ),
    );
    expect(results).toMatchObject([
      { status: 'skipped', reason: 'drift', detail: expect.stringContaining('edited') },
      { status: 'skipped', reason: 'drift', detail: expect.stringContaining('ends at 0000_init') },
      { status: 'unchanged', reason: 'up-to-date', detail: "drizzle's record says 0002_later already" },
    ]);
  });

  test('has nothing to adopt in an empty database', async () => {
    const { result } = await baseline(await fleet.tenant('empty'));
    expect(result).toMatchObject({
      status: 'skipped',
      reason: 'drift',
      detail: expect.stringContaining('nothing to adopt'),
    });
  });

  test('twice at once: the rows are written once', async () => {
    const id = await fleet.tenant('twice', KITCHEN_SINK_BY_HAND);
    const results = await Promise.all([baseline(id), baseline(id), baseline(id)]);
    expect(results.map(({ result }) => result.status).sort()).toEqual(['succeeded', 'unchanged', 'unchanged']);
    expect(await fleet.record(id)).toHaveLength(2);
  });

  test('waits for the tenant’s lock, and says who keeps it', async () => {
    const id = await fleet.tenant('locked', KITCHEN_SINK_BY_HAND);
    const lock = await fleet.holdLock(id);
    expect((await baseline(id, { lockWaitMs: 1 })).result).toMatchObject({ status: 'skipped', reason: 'locked' });
    await lock.release();
    expect((await baseline(id)).result.status).toBe('succeeded');
  });

  test('a schema that changes between the look and the writing is found inside the transaction', async () => {
    const id = await fleet.tenant('changing', KITCHEN_SINK_BY_HAND);
    const { references } = optionsOf({});
    let asked = 0;
    const { result } = await baseline(id, {
      references: {
        async forServer(major, beside) {
          const catalog = await references.forServer(major, beside);
          // Between the first look and the second.
          if (asked++ === 0) await fleet.query(id, 'ALTER TABLE users ADD COLUMN meanwhile int');
          return catalog;
        },
      },
    });
    expect(result).toMatchObject({
      status: 'skipped',
      reason: 'drift',
      detail: expect.stringContaining('extra column public.users.meanwhile'),
    });
    expect(await fleet.record(id)).toBeUndefined();
  });

  test.each(['before', 'after'] as const)(
    'a connection that breaks just %s COMMIT: what the database says counts',
    async (moment) => {
      const id = await fleet.tenant(`commit-${moment}`, KITCHEN_SINK_BY_HAND);
      await using way = await cutAtCommit(await fleet.local.adminUrlFor(id), moment);
      const { result } = await baselineDatabase(
        way.url,
        optionsOf({ reference: { scratchUrl: fleet.local.postgresUrl } }),
      );
      expect(result.status).toBe(moment === 'after' ? 'succeeded' : 'failed');
      const recorded = await fleet.record(id);
      if (moment === 'after') expect(recorded).toHaveLength(2);
      else expect(recorded).toBeUndefined();
    },
  );

  test('migrations that fail on an empty database are explained, not tried beside each tenant, and leave nothing', async () => {
    const broken = await readMigrations(
      await writeMigrations(path.join(fleet.folder, 'broken'), {
        '0000_broken': ['ALTER TABLE nowhere ADD COLUMN x int'],
      }),
    );
    const overrides = { folder: broken, at: '0000_broken' };
    const { references } = optionsOf(overrides);
    const ids = await Promise.all(['x', 'y'].map((name) => fleet.tenant(name, 'CREATE TABLE users (id int)')));
    const before = await fleet.local.connections(ids[1] ?? '');
    await expect(baseline(ids[0] ?? '', { ...overrides, references })).rejects.toThrow(
      /cannot be applied to an empty database.*0000_broken\.sql, statement 1 of 1: relation "nowhere" does not exist/,
    );
    await expect(baseline(ids[1] ?? '', { ...overrides, references })).rejects.toThrow(/nowhere/);
    // Its own connection, and none for a scratch database.
    expect((await fleet.local.connections(ids[1] ?? '')).direct - before.direct).toBe(1);
    expect(await scratchDatabases()).toEqual([]);
  });

  test('a run that is stopped while the migrations are built leaves no database behind', async () => {
    const slow = await readMigrations(
      await writeMigrations(path.join(fleet.folder, 'slow'), { '0000_slow': ['SELECT pg_sleep(600)'] }),
    );
    const id = await fleet.tenant('stopped', 'CREATE TABLE users (id int)');
    const stop = new AbortController();
    const running = baseline(id, { folder: slow, at: '0000_slow', signal: stop.signal });
    running.catch(() => undefined);
    while ((await fleet.admin(`SELECT ${SLEEPING}`)).length === 0) await delay(10);
    expect(await scratchDatabases()).toHaveLength(1);
    stop.abort(new Error('stopped'));
    await expect(running).rejects.toThrow();
    expect(await scratchDatabases()).toEqual([]);
  });

  test('removes what a killed run left behind, and nothing that is held, in use, or somebody else’s', async () => {
    const id = await fleet.tenant('littered', KITCHEN_SINK_BY_HAND);
    const left = 'neon_fleet_scratch_1795600800_00112233aabbccdd';
    const used = 'neon_fleet_scratch_1795600800_ffeeddccbbaa0011';
    const held = 'neon_fleet_scratch_1795600800_0011223344556677';
    const own = 'neon_fleet_scratch_1795600800_of_a_customer';
    for (const name of [left, used, held, own]) await fleet.query(id, `CREATE DATABASE ${name} TEMPLATE template0`);
    const user = await adminOf(used);
    const holder = await adminOf('postgres', held);
    await baseline(id, { dryRun: true });
    await Promise.all([user.end(), holder.end()]);
    expect((await scratchDatabases()).sort()).toEqual([used, held, own].sort());
    for (const name of [used, held, own]) await fleet.query(id, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  });

  test.each(['beside the tenant', 'on the server of scratch-url'])(
    'a run that is killed while it builds %s leaves a database to the next run, which removes it',
    async (place) => {
      const files = { '0000_slow': ['CREATE TABLE users (id int)', 'SELECT pg_sleep(600)'] };
      const slow = await writeMigrations(path.join(fleet.folder, 'killed'), files);
      const id = await fleet.tenant(`killed ${place}`, 'CREATE TABLE users (id int)');
      const scratchUrl = place === 'beside the tenant' ? undefined : fleet.local.postgresUrl;
      const child = startBaseline({ uri: await fleet.uriOf(id), migrations: slow, scratchUrl });
      const ended = once(child, 'exit');
      while ((await fleet.admin(`SELECT ${SLEEPING}`)).length === 0) {
        expect(child.exitCode).toBeNull();
        await delay(10);
      }

      // While it lives, another run leaves its database alone.
      const again = { dryRun: true, reference: { scratchUrl } };
      await baseline(id, again);
      expect(await scratchDatabases()).toHaveLength(1);

      child.kill('SIGKILL');
      await ended;
      // PostgreSQL only notices that the client is gone when its statement ends.
      await fleet.admin(`SELECT pg_terminate_backend(pid) ${SLEEPING}`);
      while ((await fleet.admin(HELD)).length > 0) await delay(10);
      expect(await scratchDatabases()).toHaveLength(1);

      await baseline(id, again);
      expect(await scratchDatabases()).toEqual([]);
    },
  );

  test('builds on the server of scratch-url, and not on any tenant’s', async () => {
    const id = await fleet.tenant('elsewhere', KITCHEN_SINK_BY_HAND);
    const { result } = await baseline(id, { reference: { scratchUrl: fleet.local.postgresUrl } });
    expect(result.status).toBe('succeeded');
    expect((await fleet.local.connections(id)).direct).toBe(await connectionsWithoutScratch(id));
    expect(await scratchDatabases()).toEqual([]);
  });

  test('a role that may not make databases is told what to do', async () => {
    const id = await fleet.tenant('no-createdb', KITCHEN_SINK_BY_HAND);
    await fleet.admin(`ALTER ROLE "${await ownerOf(id)}" NOCREATEDB`);
    const error = await baseline(id).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      message: expect.stringContaining('may not make a scratch database'),
      hint: expect.stringContaining('scratch-url'),
    });
    expect(JSON.stringify(error)).not.toContain(new URL(await fleet.uriOf(id)).password);
  });

  test('one tenant’s server that fails is no reason to give the others up', async () => {
    const [bad = '', good = ''] = await Promise.all(
      ['bad-first', 'good-second'].map((name) => fleet.tenant(name, KITCHEN_SINK_BY_HAND)),
    );
    await fleet.admin(`ALTER ROLE "${await ownerOf(bad)}" NOCREATEDB`);
    const { references } = optionsOf({});
    await expect(baseline(bad, { references })).rejects.toThrow();
    expect((await baseline(good, { references })).result.status).toBe('succeeded');
    // What was built beside the second serves the first.
    expect((await baseline(bad, { references })).result.status).toBe('succeeded');
  });
});

async function ownerOf(projectId: string): Promise<string> {
  return String((await fleet.query(projectId, 'SELECT current_user AS name'))[0]?.['name']);
}

/** What the test itself and the tenant's own work take: making it, and one connection for baseline. */
async function connectionsWithoutScratch(projectId: string): Promise<number> {
  const other = await fleet.tenant(`counted-${projectId}`, 'SELECT 1');
  await baseline(other, { reference: { scratchUrl: fleet.local.postgresUrl } });
  return (await fleet.local.connections(other)).direct;
}
