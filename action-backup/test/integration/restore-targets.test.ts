import { execFileSync } from 'node:child_process';
import type { Manifest } from '@neon-fleet/shared/backups';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect, parseConnectionUri } from '@neon-fleet/shared/postgres';

import { serverUser } from '../../../packages/local-neon/src/postgres/programs.js';
import { WHOLE_PLAIN_DUMP, type DumpShape } from '../../src/dump/dump-options.js';
import { oneAtATime } from '../../src/restore/one-at-a-time.js';
import { restoreInto, type RestoreSettings } from '../../src/restore/restore-into.js';
import { ownContents } from '../../src/restore/target-contents.js';
import { startScratchServer, type ScratchServer } from '../../src/verify/scratch-server.js';
import { BackupFleet } from '../support/backup-fleet.js';
import { SmallDisk } from '../support/small-disk.js';

let fleet: BackupFleet;
/** A server that has none of the roles of the fleet's. */
let server: ScratchServer;
const { signal } = new AbortController();

beforeAll(async () => {
  fleet = await BackupFleet.start();
  server = await startScratchServer({ major: 15, env: process.env, signal, onNote: () => undefined });
});
afterAll(async () => {
  await server.stop();
  await fleet[Symbol.asyncDispose]();
});

async function backUp(name: string, sql: string, shape: Partial<DumpShape> = {}): Promise<Manifest> {
  const tenant = await fleet.tenant(name);
  const uri = await fleet.local.adminUrlFor(tenant.projectId);
  execFileSync('psql', ['--quiet', '--set=ON_ERROR_STOP=1', uri], { input: sql });
  return fleet.backUp(tenant, { shape: { ...WHOLE_PLAIN_DUMP, ...shape } });
}

function urlOf(database: string, role?: { name: string; password: string }): string {
  const { host, port, user, password } = server.target(database);
  return `postgresql://${role?.name ?? user}:${role?.password ?? password}@${host}:${port}/${database}?sslmode=disable`;
}

function restore(manifest: Manifest, targetUrl: string, settings: Partial<RestoreSettings> = {}) {
  const all = { targetUrl, allowNonEmpty: false, lockWait: 20_000, restoreRoles: true, ...settings };
  return restoreInto(all, manifest, fleet.store, fleet.surroundingsOfRestore(), signal);
}

async function query(database: string, sql: string): Promise<Record<string, unknown>[]> {
  const connection = await connect(server.target(database));
  try {
    return await connection.query(sql);
  } finally {
    await connection.close();
  }
}

async function contentsOf(database: string): Promise<string> {
  const connection = await connect(server.target(database));
  try {
    return await ownContents(connection);
  } finally {
    await connection.close();
  }
}

const BULK = `CREATE TABLE bulk AS SELECT n, repeat(md5(n::text), 60) AS body FROM generate_series(1, 20000) n;
  CREATE TABLE small AS SELECT 1 AS one; CREATE INDEX bulk_n ON bulk (n)`;

describe('a target that has no room left', () => {
  const refusal = SmallDisk.refusal();
  let disk: SmallDisk | undefined;
  beforeAll(() => {
    if (refusal === undefined) disk = SmallDisk.mount(24, serverUser()?.uid ?? 0);
    else console.warn(`The test with a disk that is full is left out: ${refusal}`);
  });
  afterAll(async () => {
    try {
      await query('postgres', 'DROP DATABASE IF EXISTS cramped WITH (FORCE)');
      await query('postgres', 'DROP TABLESPACE IF EXISTS cramped');
    } finally {
      disk?.[Symbol.dispose]();
    }
  });

  // Without the right to mount the next test has to do: its server only says what a full one does.
  (refusal === undefined ? test : test.skip)('ends a restore, which is done once there is room', async () => {
    await query('postgres', `CREATE TABLESPACE cramped LOCATION '${disk?.folder}'`);
    await query('postgres', 'CREATE DATABASE cramped TEMPLATE template0 TABLESPACE cramped');
    const plain = await backUp('plain', BULK);
    const custom = await backUp('custom', BULK, { format: 'custom' });
    const full = await restore(plain, urlOf('cramped'), { mark: true }).catch((thrown: unknown) => thrown);
    expect(full).toMatchObject({
      code: 'SQLSTATE 53100',
      message: expect.stringMatching(/No space left on device; in COPY bulk.*; the target was left as it was$/),
      hint: expect.stringContaining("The target's disk is full"),
    });
    expect(await contentsOf('cramped')).toBe('');

    const half = await restore(custom, urlOf('cramped')).catch((thrown: unknown) => thrown);
    expect(half).toMatchObject({
      code: 'SQLSTATE 53100',
      message: expect.stringMatching(/No space left on device; the target may hold a part of the backup$/),
      hint: expect.stringContaining("The target's disk is full"),
    });
    await query('cramped', 'DROP TABLE IF EXISTS bulk, small');

    disk?.grow(400);
    await expect(restore(plain, urlOf('cramped'))).resolves.toMatchObject({ status: 'succeeded' });
    expect(await query('cramped', 'SELECT count(*)::int AS n FROM bulk')).toEqual([{ n: 20_000 }]);
  });

  test.each(['disk_full', 'out_of_memory'])(
    'ends a restore after all of the data was loaded: %s',
    async (condition) => {
      const manifest = await backUp(`late ${condition}`, BULK);
      const database = await server.createDatabase();
      await query(
        database,
        `CREATE FUNCTION information_schema.no_room() RETURNS event_trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'could not extend file because project size limit (512 MB) has been exceeded' USING ERRCODE = '${condition}'; END $$;
       CREATE EVENT TRIGGER no_room ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION information_schema.no_room()`,
      );
      const before = await contentsOf(database);
      await expect(restore(manifest, urlOf(database), { allowNonEmpty: true })).rejects.toMatchObject({
        code: condition === 'disk_full' ? 'SQLSTATE 53100' : 'SQLSTATE 53200',
        message: expect.stringMatching(/the target was left as it was$/),
        hint: expect.stringContaining(condition === 'disk_full' ? 'the size limit of its Neon project' : 'memory'),
      });
      expect(await contentsOf(database)).toBe(before);
      await server.dropDatabase(database);
    },
  );
});

describe('a target that is there for one restore only', () => {
  test('says which backup it holds, and a second restore of it finds it done', async () => {
    const one = await backUp('one', "CREATE TABLE notes AS SELECT 'it''s' AS body");
    const other = await backUp('other', 'CREATE TABLE notes AS SELECT 1 AS body');
    const url = urlOf('made_for_it');
    await expect(restore(one, url, { mark: true })).rejects.toThrow(/does not exist/);
    await expect(restore(one, url, { mark: true, createMissing: true })).resolves.toMatchObject({
      status: 'succeeded',
    });
    await expect(restore(one, url, { mark: true, createMissing: true })).resolves.toMatchObject({
      status: 'unchanged',
      detail: expect.stringContaining('an earlier run has restored it'),
    });
    await expect(restore(one, url)).rejects.toThrow(/is not empty/);
    await expect(restore(other, url, { mark: true })).rejects.toThrow(/is not empty/);
    await server.dropDatabase('made_for_it');
  });

  test('is marked by none whose key would be SQL', async () => {
    const manifest = await backUp('hostile', 'CREATE TABLE notes AS SELECT 1 AS body');
    const key = "x'); DROP TABLE notes; -- $mark$ \\ %I.sql.gz";
    const store = {
      head: () => fleet.store.head(manifest.key),
      getRange: (
        _: string,
        range: Parameters<typeof fleet.store.getRange>[1],
        options: Parameters<typeof fleet.store.getRange>[2],
      ) => fleet.store.getRange(manifest.key, range, options),
    };
    const settings = {
      targetUrl: urlOf('hostile'),
      allowNonEmpty: false,
      lockWait: 1_000,
      mark: true,
      createMissing: true,
    };
    const into = () => restoreInto(settings, { ...manifest, key }, store, fleet.surroundingsOfRestore(), signal);
    await expect(into()).resolves.toMatchObject({ status: 'succeeded' });
    await expect(into()).resolves.toMatchObject({ status: 'unchanged' });
    expect(await query('hostile', 'SELECT body FROM notes')).toEqual([{ body: 1 }]);
    await server.dropDatabase('hostile');
  });

  test('is restored once when two do it at the same time', async () => {
    const manifest = await backUp('twice', BULK);
    const url = urlOf('twice');
    const both = await Promise.all([1, 2].map(() => restore(manifest, url, { mark: true, createMissing: true })));
    expect(both.map(({ status }) => status).toSorted()).toEqual(['succeeded', 'unchanged']);
    expect(await query('twice', 'SELECT count(*)::int AS n FROM bulk')).toEqual([{ n: 20_000 }]);
    await server.dropDatabase('twice');
  });
});

describe('many databases of one server', () => {
  const APPLICATION = `DO $$ BEGIN CREATE ROLE app_of_many LOGIN PASSWORD 'old'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    CREATE TABLE notes AS SELECT 1 AS body; GRANT SELECT ON notes TO app_of_many`;

  test('share the roles that they have in common, whose one password opens each', async () => {
    const manifests = [await backUp('many 1', APPLICATION), await backUp('many 2', APPLICATION, { format: 'custom' })];
    const passwords: string[] = [];
    const turns = oneAtATime();
    const results = await Promise.all(
      manifests.map((manifest, index) =>
        restore(manifest, urlOf(`many_${index}`), {
          createMissing: true,
          mark: true,
          makeRoles: (make) => turns('server', make),
          onRole: (_, password) => void passwords.push(password),
        }),
      ),
    );
    expect(results.map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);
    expect(passwords).toHaveLength(1);
    for (const index of [0, 1]) {
      const app = parseConnectionUri(urlOf(`many_${index}`, { name: 'app_of_many', password: passwords[0] ?? '' }));
      const connection = await connect(app);
      expect(await connection.query('SELECT body FROM notes')).toEqual([{ body: 1 }]);
      await connection.close();
      await server.dropDatabase(`many_${index}`);
    }
  });

  test('tell of no password of a role that went with a failure', async () => {
    const manifest = await backUp('failing', APPLICATION.replaceAll('app_of_many', 'app_of_none'));
    const database = await server.createDatabase();
    await query(database, 'CREATE TABLE notes (id int)');
    const told: string[] = [];
    const failing = restore(manifest, urlOf(database), { allowNonEmpty: true, onRole: (role) => void told.push(role) });
    await expect(failing).rejects.toThrow(/already exists/);
    expect(told).toEqual([]);
    expect(await query(database, "SELECT FROM pg_roles WHERE rolname = 'app_of_none'")).toEqual([]);
    await server.dropDatabase(database);
  });
});
