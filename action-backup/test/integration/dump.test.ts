import { execFileSync } from 'node:child_process';
import { gunzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Manifest, manifestKey, readManifest } from '@neon-fleet/shared/backups';

import { WHOLE_PLAIN_DUMP, type DumpShape } from '../../src/dump/dump-options.js';
import { BackupFleet } from '../support/backup-fleet.js';

let fleet: BackupFleet;
beforeAll(async () => {
  fleet = await BackupFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const SQL = `
CREATE TABLE notes AS SELECT n, E'line\\nof ' || n AS body FROM generate_series(1, 1234) n;
CREATE TABLE empty_one (id int);
CREATE SCHEMA "Audit Log";
CREATE TABLE "Audit Log"."Einträge ""x""" (id int, t text);
INSERT INTO "Audit Log"."Einträge ""x""" VALUES (1, '\\.'), (2, E'\\n\\\\.\\n'), (3, NULL);
CREATE TABLE part (id int, region text) PARTITION BY LIST (region);
CREATE TABLE part_eu PARTITION OF part FOR VALUES IN ('eu');
INSERT INTO part VALUES (1, 'eu'), (2, 'eu');
CREATE SEQUENCE "odd ' one" START 7 INCREMENT 3; SELECT nextval('"odd '' one"'), nextval('"odd '' one"');
CREATE SEQUENCE fresh;
CREATE ROLE app_rw_NAME NOLOGIN; CREATE ROLE app_NAME LOGIN PASSWORD 'x' IN ROLE app_rw_NAME;
GRANT USAGE ON SCHEMA "Audit Log" TO app_rw_NAME; GRANT SELECT, INSERT ON notes TO app_rw_NAME; GRANT UPDATE (body) ON notes TO app_rw_NAME;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON notes TO app_NAME USING (n < 10);
CREATE FUNCTION f(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION f FROM PUBLIC; GRANT EXECUTE ON FUNCTION f TO app_NAME;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO app_rw_NAME;
CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id serial, hash text, created_at bigint);
INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('aaa', 1), ('bbb', 2);
`;

const ROWS = {
  'public.notes': 1234,
  'public.empty_one': 0,
  '"Audit Log"."Einträge ""x"""': 3,
  'public.part_eu': 2,
  'drizzle.__drizzle_migrations': 2,
};

async function backUp(name: string, shape: Partial<DumpShape> = {}, sql = SQL) {
  const tenant = await fleet.tenant(name);
  const uri = await fleet.local.adminUrlFor(tenant.projectId);
  execFileSync('psql', ['--quiet', '--set=ON_ERROR_STOP=1', uri], { input: sql.replaceAll('NAME', name) });
  const manifest = await fleet.backUp(tenant, { shape: { ...WHOLE_PLAIN_DUMP, ...shape } });
  return { tenant, manifest, body: await fleet.store.get(manifest.key) };
}

/** A stored dump as SQL. */
async function sqlOf({ key, format }: Manifest): Promise<string> {
  const body = await fleet.store.get(key);
  if (format === 'plain') return gunzipSync(body).toString('utf8');
  return execFileSync('pg_restore', ['--file=-'], { input: body, maxBuffer: 1e9 }).toString('utf8');
}

describe('what is recorded with a dump', () => {
  test('are the rows, sequences, migrations, roles, memberships, grants and objects of the moment of its snapshot', async () => {
    const { manifest, tenant } = await backUp('facts');
    const text = (await fleet.store.get(manifestKey(manifest.key))).toString('utf8');
    expect(readManifest(text, manifest.key)).toEqual(manifest);
    const { contents } = manifest;
    expect(contents).toMatchObject({
      partial: false,
      rowCounts: ROWS,
      sequences: {
        'public."odd \' one"': { value: '10', called: true },
        'public.fresh': { value: '1', called: false },
      },
      migrations: { applied: 2, lastHash: 'bbb', lastCreatedAt: 2 },
      extensions: [{ name: 'plpgsql', version: '1.0' }],
      roles: [
        { name: 'app_facts', login: true },
        { name: 'app_rw_facts', login: false },
      ],
      memberships: [{ role: 'app_rw_facts', member: 'app_facts', admin: false }],
      schema: { tables: { count: 6 }, policies: { count: 1 }, functions: { count: 1 } },
    });
    const grantsOf = (kind: string, name?: string) =>
      contents?.grants.filter((each) => each.kind === kind && each.name === name).map(({ grants }) => grants);
    expect(grantsOf('table', 'notes')).toEqual([
      [{ to: 'app_rw_facts', privileges: ['INSERT', 'SELECT'], grantable: false }],
    ]);
    expect(grantsOf('column', 'notes')).toEqual([[{ to: 'app_rw_facts', privileges: ['UPDATE'], grantable: false }]]);
    expect(grantsOf('routine', 'f')).toEqual([[{ to: 'app_facts', privileges: ['EXECUTE'], grantable: false }]]);
    expect(contents?.defaultGrants).toEqual(
      expect.arrayContaining([expect.objectContaining({ objects: 'TABLES', to: 'app_rw_facts', schema: 'public' })]),
    );
    const { password } = new URL(await fleet.uriOf(tenant.projectId));
    expect(text).not.toContain(password);
  });

  test('is the same of a custom dump, which pg_restore reads', async () => {
    const { manifest, body } = await backUp('custom', { format: 'custom' });
    expect(manifest.key).toMatch(/Z\.dump$/);
    expect(manifest).toMatchObject({ format: 'custom', contents: { rowCounts: ROWS } });
    const { manifest: plain } = await backUp('custom_as_plain');
    expect(manifest.contents?.sequences).toEqual(plain.contents?.sequences);
    expect(Object.keys(manifest.contents?.sequences ?? {})).toHaveLength(3);
    const sql = execFileSync('pg_restore', ['--file=-'], { input: body, maxBuffer: 1e9 }).toString('utf8');
    expect(sql).toContain('COPY public.notes');
  });

  test.each<[string, Partial<DumpShape>, (body: Buffer) => string]>([
    ['nocompress', { compression: 'none' }, (body) => body.toString('utf8')],
    ['level1', { compressionLevel: 1 }, (body) => gunzipSync(body).toString('utf8')],
  ])('comes with what a dump is stored as: %s', async (name, shape, read) => {
    const { manifest, body } = await backUp(name, shape);
    const sql = read(body);
    expect(Buffer.byteLength(sql)).toBe(manifest.dumpBytes);
    expect(sql).toContain('-- PostgreSQL database dump complete');
  });

  test('leaves out what it is told to, counts what is left, and says that it is partial', async () => {
    const { manifest, body } = await backUp('partial', {
      excludeTables: ['"Audit Log".*'],
      excludeTableData: ['part_eu'],
      extraArgs: ['--no-comments'],
    });
    const { partial, rowCounts } = manifest.contents ?? {};
    expect(partial).toBe(true);
    expect(Object.keys(rowCounts ?? {}).toSorted()).toEqual([
      'drizzle.__drizzle_migrations',
      'public.empty_one',
      'public.notes',
    ]);
    expect(gunzipSync(body).toString('utf8')).not.toContain('Einträge');
  });

  test('is of one moment, whatever is written meanwhile', async () => {
    const tenant = await fleet.tenant('busy', 'CREATE TABLE a (n int); CREATE TABLE b (n int); CREATE SEQUENCE s');
    const writing = new AbortController();
    const writer = (async () => {
      while (!writing.signal.aborted) {
        await fleet.query(
          tenant.projectId,
          'BEGIN; INSERT INTO a VALUES (1); INSERT INTO b VALUES (nextval($$s$$)); COMMIT',
        );
      }
    })();
    for (const format of ['plain', 'custom'] as const) {
      const manifest = await fleet.backUp(tenant, { shape: { ...WHOLE_PLAIN_DUMP, format } });
      const { 'public.a': a, 'public.b': b } = manifest.contents?.rowCounts ?? {};
      // A sequence has no part in the snapshot: what counts is what is in the dump.
      const text = await sqlOf(manifest);
      const { value, called } = manifest.contents?.sequences?.['public.s'] ?? {};
      expect(text).toContain(`SELECT pg_catalog.setval('public.s', ${value}, ${called});`);
      expect(a).toBe(b);
      expect(a).toBeDefined();
    }
    writing.abort();
    await writer;
  });
});
