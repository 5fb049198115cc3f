import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FinishedAction } from '@neon-fleet/local-runner';
import pg from 'pg';

import { outcomeOf, statuses, TestFleet } from '../support/fleet.js';
import { LocalGitHub } from '../support/github.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';
import { placesThatShow } from '../support/secrets.js';

let fleet: TestFleet;
let github: LocalGitHub;
let migrations: string;
let count = 0;
let name: string;
let role: string;
let id: string;

beforeAll(async () => {
  fleet = await TestFleet.start();
  migrations = await writeMigrations(path.join(fleet.folder, 'drizzle'), { '0000_init': GUIDE_TABLES });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(async () => {
  github = await LocalGitHub.start();
  fleet.neon.faults.clear();
  count += 1;
  name = `with app ${count}`;
  // Roles made with SQL have one namespace in the stand-in.
  role = `app ${count} "quoted"`;
  [id = ''] = await fleet.neon.seedProjects([name]);
});
afterEach(async () => {
  await github[Symbol.asyncDispose]();
});

const GITHUB = { 'github-secret': 'auto', 'github-token': 'github_pat_0123456789abcdefghij' };
const secret = () => github.secret('org/app/actions', `WITH_APP_${count}_DATABASE_URL`);

async function provision(inputs: Record<string, string> = {}): Promise<FinishedAction> {
  const given = { name, 'application-role': role, 'migrations-folder': migrations, ...inputs };
  return fleet.run('provision', given, { env: { GITHUB_API_URL: github.apiUrl } });
}

async function ok(inputs: Record<string, string> = {}): Promise<FinishedAction> {
  const run = await provision(inputs);
  expect({ exitCode: run.exitCode, log: run.log }).toMatchObject({ exitCode: 0 });
  return run;
}

/** Logs in with a URI, as an application does. */
async function as<Row extends pg.QueryResultRow>(uri: string | undefined, ...statements: string[]): Promise<Row[]> {
  const url = new URL(uri ?? '');
  url.search = '';
  const client = new pg.Client({ connectionString: url.href, ssl: { ca: await readFile(fleet.neon.caFile, 'utf8') } });
  await client.connect();
  try {
    let rows: Row[] = [];
    for (const statement of statements) ({ rows } = await client.query<Row>(statement));
    return rows;
  } finally {
    await client.end();
  }
}

describe('the role of an application', () => {
  test('reads and writes, and can do nothing else', async () => {
    const run = await ok();
    const uri = run.outputs['application-uri'];
    expect(decodeURIComponent(new URL(uri ?? '').username)).toBe(role);
    expect(outcomeOf(run, name).detail).toContain(`made the role ${role}; gave ${role} a password`);
    const password = new URL(uri ?? '').password;
    expect(password).toMatch(/^[0-9a-f]{64}$/);
    expect(placesThatShow(password, run, ['application-uri', 'application-uri-pooled'])).toEqual([]);

    expect(
      await as(
        uri,
        "INSERT INTO users (name) VALUES ('Ada')",
        "UPDATE users SET name = 'Ada L.'",
        'SELECT name FROM users',
      ),
    ).toEqual([{ name: 'Ada L.' }]);
    await as(uri, 'DELETE FROM users');
    await as(run.outputs['application-uri-pooled'], 'SELECT count(*) FROM users');
    for (const statement of [
      'CREATE TABLE mine (id int)',
      'CREATE SCHEMA mine',
      'DROP TABLE users CASCADE',
      'TRUNCATE users CASCADE',
      'ALTER TABLE users ADD COLUMN more int',
      'SELECT * FROM drizzle.__drizzle_migrations',
      'CREATE ROLE another',
    ]) {
      await expect(as(uri, statement)).rejects.toThrow(
        /permission denied|must be (owner|superuser)|no privileges|must have/,
      );
    }
    // Without the right to grant this is no error, and grants nothing.
    await as(uri, 'GRANT SELECT ON users TO PUBLIC');
    const [everybody] = await fleet.query<{ acl: string }>(
      id,
      "SELECT relacl::text AS acl FROM pg_class WHERE oid = 'public.users'::regclass",
    );
    expect(everybody?.acl).not.toMatch(/[{,]=/);
    const [attributes] = await fleet.query(
      id,
      `SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication, pg_has_role(oid, 'neon_superuser', 'member') AS neon
         FROM pg_roles WHERE rolname = '${role}'`,
    );
    expect(Object.values(attributes ?? {})).toEqual([false, false, false, false, false, false]);
  });

  test('gets at what the owner makes later, and loses what it was granted by hand no more than its password', async () => {
    const uri = (await ok()).outputs['application-uri'];
    await fleet.queryAsOwner(id, 'CREATE TABLE later (id serial PRIMARY KEY, note text)');
    expect(await as(uri, "INSERT INTO later (note) VALUES ('x') RETURNING id")).toEqual([{ id: 1 }]);
    const again = await ok();
    expect(statuses(again)).toEqual({ [name]: 'unchanged: up-to-date' });
    expect(again.outputs['application-uri']).toBeUndefined();
    // What went missing comes back, in a schema that is new as well, and the password is still the same.
    await fleet.queryAsOwner(
      id,
      `REVOKE ALL ON users FROM ${pg.escapeIdentifier(role)}; CREATE SCHEMA "odd ""name"; CREATE TABLE "odd ""name"."t'" (n int)`,
    );
    await expect(as(uri, 'SELECT * FROM users')).rejects.toThrow(/permission denied/);
    const mended = await ok();
    expect(outcomeOf(mended, name)).toMatchObject({ status: 'succeeded' });
    expect(outcomeOf(mended, name).detail).toMatch(/gave .* 5 rights that it lacked/);
    await as(uri, 'SELECT * FROM users', `INSERT INTO "odd ""name"."t'" VALUES (1)`);
    expect(statuses(await ok())).toEqual({ [name]: 'unchanged: up-to-date' });
  });

  test('does not get at the table of drizzle where that is among the tables of customers', async () => {
    const run = await ok({ 'migrations-schema': 'public', 'migrations-table': 'applied' });
    await expect(as(run.outputs['application-uri'], 'SELECT * FROM public.applied')).rejects.toThrow(
      /permission denied/,
    );
    await as(run.outputs['application-uri'], 'SELECT * FROM users');
    await fleet.queryAsOwner(id, `GRANT SELECT ON applied TO ${pg.escapeIdentifier(role)}`);
    await ok({ 'migrations-schema': 'public', 'migrations-table': 'applied' });
    await expect(as(run.outputs['application-uri'], 'SELECT * FROM public.applied')).rejects.toThrow(
      /permission denied/,
    );
  });

  test('has its password in no log of the server, whatever that logs', async () => {
    await fleet.query(
      id,
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET log_statement = ''all''', current_database()); END $$",
    );
    await fleet.query(
      id,
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET log_min_duration_statement = 0', current_database()); END $$",
    );
    const first = (await ok()).outputs['application-uri'];
    const second = (await ok({ command: 'rotate' })).outputs['application-uri'];
    const log = await serverLog();
    expect(log).toContain('neon_fleet.password');
    for (const uri of [first, second]) {
      const { password } = new URL(uri ?? '');
      expect(password).not.toBe('');
      expect(log).not.toContain(password);
    }
  });

  test('that may do more than an application should is refused, and so is one that is taken', async () => {
    for (const taken of ['neondb_owner', `powerful${count}`]) {
      await fleet.query(
        id,
        `DO $$ BEGIN CREATE ROLE powerful${count} CREATEDB LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
      );
      const [owner] = await fleet.queryAsOwner<{ name: string }>(id, 'SELECT current_user AS name');
      const run = await provision({ 'application-role': taken === 'neondb_owner' ? (owner?.name ?? '') : taken });
      expect(run.exitCode).toBe(1);
      expect(run.log).toContain('may do more than an application should');
    }
  });

  test('can connect where nobody may but who was told to, also without the schema public', async () => {
    await fleet.query(id, 'DROP SCHEMA public CASCADE');
    await fleet.query(
      id,
      "DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$",
    );
    const run = await ok({ 'migrations-folder': '' });
    expect(await as(run.outputs['application-uri'], 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(statuses(await ok({ 'migrations-folder': '' }))).toEqual({ [name]: 'unchanged: up-to-date' });
  });
});

/** What the real server has written so far. */
function serverLog(): Promise<string> {
  return readFile(path.join(path.dirname(fleet.neon.caFile), 'postgres.log'), 'utf8');
}

describe('with an output', () => {
  test('a rotation that fails afterwards has handed the new URI on', async () => {
    const before = (await ok()).outputs['application-uri'];
    fleet.neon.faults.set({ kind: 'status', status: 404, path: 'resetProjectBranchRolePassword' });
    const run = await provision({ command: 'rotate' });
    expect(run.exitCode).toBe(1);
    await expect(as(before, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
    await as(run.outputs['application-uri'], 'SELECT * FROM users');
    const { password } = new URL(run.outputs['application-uri'] ?? '');
    expect(placesThatShow(password, run, ['application-uri'])).toEqual([]);
  });

  test('a tenant that is not the only one selected sets no output, also when the others fail', async () => {
    const run = await provision({ command: 'rotate', name: `${name}\nnobody`, 'application-role': '' });
    expect(statuses(run)).toEqual({ [name]: 'succeeded', nobody: 'failed' });
    expect(run.outputs['connection-uri']).toBeUndefined();
  });
});

describe('with a secret', () => {
  test('that secret holds the URI of the application, and rotate changes both', async () => {
    const run = await ok(GITHUB);
    const first = secret();
    expect(first).toBe(run.outputs['application-uri']);
    await as(first, 'SELECT * FROM users');
    await ok(GITHUB);
    expect(secret()).toBe(first);

    const owner = await fleet.uriOf(id);
    const rotated = await ok({ ...GITHUB, command: 'rotate' });
    const second = secret();
    expect(second).not.toBe(first);
    expect(rotated.outputs['application-uri']).toBe(second);
    expect(await fleet.uriOf(id)).not.toBe(owner);
    await as(second, 'SELECT * FROM users');
    await expect(as(first, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
    for (const uri of [first, second]) {
      const { password } = new URL(uri ?? '');
      expect(placesThatShow(password, rotated, ['application-uri', 'application-uri-pooled'])).toEqual([]);
    }
  });

  test('a secret that was lost is not a reason to change a password; rotate is', async () => {
    await ok();
    const run = await provision(GITHUB);
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain('is known to nobody here');
    expect(secret()).toBeUndefined();
    await ok({ ...GITHUB, command: 'rotate' });
    await as(secret(), 'SELECT * FROM users');
  });

  test('GitHub refusing it leaves a role that nobody can log in as, and the next run goes on', async () => {
    github.refuseWritesWith = 403;
    const failed = await provision(GITHUB);
    expect(failed.exitCode).toBe(1);
    const canLogIn = async () =>
      (await fleet.query(id, `SELECT rolcanlogin FROM pg_roles WHERE rolname = '${role}'`))[0];
    expect(await canLogIn()).toEqual({ rolcanlogin: false });
    github.refuseWritesWith = undefined;
    await ok(GITHUB);
    await as(secret(), 'SELECT * FROM users');
    // The same for a rotation: the old password still holds.
    const before = secret();
    github.refuseWritesWith = 403;
    expect((await provision({ ...GITHUB, command: 'rotate' })).exitCode).toBe(1);
    expect(secret()).toBe(before);
    await as(before, 'SELECT * FROM users');
  });

  test('killed while the secret is written, the next run ends with a secret that lets in', async () => {
    for (const [turn, command] of (['apply', 'rotate', 'rotate'] as const).entries()) {
      const inputs = { ...GITHUB, command, name, 'application-role': role, 'migrations-folder': migrations };
      const writes = () => github.requests.filter((request) => request.startsWith('PUT ')).length;
      const start = writes();
      const run = await fleet.start('provision', inputs, { env: { GITHUB_API_URL: github.apiUrl } });
      // As soon as the secret is being written: before the password holds, or just after.
      while (run.process.exitCode === null && writes() === start) await new Promise((next) => setTimeout(next, turn));
      run.process.kill('SIGKILL');
      await run.finished;
      await ok({ ...GITHUB, command });
      await as(secret(), 'SELECT * FROM users');
    }
  });

  test('twice at once ends with a secret that lets in', async () => {
    const first = await Promise.all([provision(GITHUB), provision(GITHUB)]);
    expect(first.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    await as(secret(), 'SELECT * FROM users');
    await Promise.all([provision({ ...GITHUB, command: 'rotate' }), provision({ ...GITHUB, command: 'rotate' })]);
    await as(secret(), 'SELECT * FROM users');
  });

  test('several tenants without a secret get roles that nobody can log in as, as nobody would be told', async () => {
    const [other = ''] = await fleet.neon.seedProjects([`${name} b`]);
    await writeFile(
      path.join(fleet.folder, 'fleet.yml'),
      `tenants:\n  - { key: a${count}, name: ${name}, application-role: plain${count}a }\n  - { key: b${count}, name: ${name} b, application-role: plain${count}b }\n`,
    );
    const inputs = { name: '', 'application-role': '', 'fleet-file': 'fleet.yml', ready: 'all' };
    const run = await ok(inputs);
    for (const [project, suffix] of [
      [id, 'a'],
      [other, 'b'],
    ] as const) {
      expect(
        await fleet.query(project, `SELECT rolcanlogin FROM pg_roles WHERE rolname = 'plain${count}${suffix}'`),
      ).toEqual([{ rolcanlogin: false }]);
    }
    expect(outcomeOf(run, name).detail).toContain('has no password: there is neither github-secret nor an output');
    await ok({ ...inputs, ...GITHUB });
    for (const key of ['A', 'B']) {
      await as(github.secret('org/app/actions', `${key}${count}_DATABASE_URL`), 'SELECT * FROM users');
    }
    // Nobody would be told the new one, and so it is left.
    const rotated = await ok({ ...inputs, command: 'rotate', tenants: '*', 'github-secret': '' });
    expect(outcomeOf(rotated, name).detail).toMatch(/that of plain\d+a was left/);
    await as(github.secret('org/app/actions', `A${count}_DATABASE_URL`), 'SELECT * FROM users');
  });
});
