import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { createProject, query, run, settingsFor, settled, started, type Started } from './support.js';

type Project = Awaited<ReturnType<typeof createProject>>;

describe('endpoints, as PostgreSQL clients see them', () => {
  let s: Started;
  let project: Project;
  beforeAll(async () => {
    s = await started();
    project = await createProject(s.api);
  });
  afterAll(() => s.neon.stop());

  test('psql connects with a verified certificate and channel binding', async () => {
    const sql = `select rolcreaterole, rolcreatedb, rolbypassrls, rolsuper, version() like 'PostgreSQL %' from pg_roles where rolname = current_user`;
    const { stdout, stderr } = await run(s.neon, 'psql', project.uri, '-Atc', sql);
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe('t|t|t|f|t');
  });

  test('node-postgres connects, and changes what other projects do not see', async () => {
    const other = await createProject(s.api, 'other');
    await query(s.neon, project.uri, 'create table mine (id int)');
    await query(s.neon, other.uri, 'create table mine (id int)');
    const [row] = await query(
      s.neon,
      project.uri,
      'select count(*)::int as n from pg_tables where tablename = $$mine$$',
    );
    expect(row).toEqual({ n: 1 });
  });

  test('a database that a role made with SQL opens to that role, and to no other project', async () => {
    const other = await createProject(s.api, 'other');
    const inside = (uri: string) => Object.assign(new URL(uri), { pathname: '/made_with_sql' }).href;
    await query(s.neon, project.uri, 'create database made_with_sql template template0');
    expect(await query(s.neon, inside(project.uri), 'select current_database() as name')).toEqual([
      { name: 'made_with_sql' },
    ]);
    await expect(query(s.neon, inside(other.uri), 'select 1')).rejects.toThrow(/"made_with_sql" does not exist/);
    await query(s.neon, project.uri, 'drop database made_with_sql with (force)');
    await expect(query(s.neon, inside(project.uri), 'select 1')).rejects.toThrow(/"made_with_sql" does not exist/);
  });

  test('a role made with SQL can log in where it was let in, and with its own password only', async () => {
    const other = await createProject(s.api, 'other');
    const as = (uri: string, user: string, password: string) =>
      Object.assign(new URL(uri), { username: user, password }).href;
    await query(s.neon, other.uri, 'select 1');
    await query(
      s.neon,
      project.uri,
      "create role sql_made login password 'sql_made_password'; create role sql_group nologin",
    );
    const open = "do $$ begin execute format('grant connect on database %I to sql_made', current_database()); end $$";
    await query(s.neon, project.uri, open);
    expect(await query(s.neon, as(project.uri, 'sql_made', 'sql_made_password'), 'select current_user as me')).toEqual([
      { me: 'sql_made' },
    ]);
    for (const [uri, user, password, why] of [
      [project.uri, 'sql_made', 'wrong', /password authentication failed/],
      [project.uri, 'sql_group', 'sql_made_password', /password authentication failed/],
      [project.uri, 'sql_none', 'sql_made_password', /password authentication failed/],
      [other.uri, 'sql_made', 'sql_made_password', /permission denied for database/],
    ] as const) {
      await expect(query(s.neon, as(uri, user, password), 'select 1')).rejects.toThrow(why);
    }
  });

  test('one project cannot get into the database of another', async () => {
    const other = await createProject(s.api, 'other');
    const admin = new URL(await s.neon.adminUrlFor(other.id));
    const mine = new URL(project.uri);
    await query(s.neon, project.uri, 'select 1');
    // Straight to the real server, past the endpoint that would not let the name through.
    const physical = new pg.Client(await s.neon.adminUrlFor(project.id));
    await physical.connect();
    const { rows } = await physical.query<{ owner: string }>(
      'select pg_get_userbyid(datdba) as owner from pg_database where datname = current_database()',
    );
    await physical.end();
    const intruder = new pg.Client({
      host: '127.0.0.1',
      port: Number(admin.port),
      user: rows[0]?.owner ?? '',
      password: mine.password,
      database: admin.pathname.slice(1),
    });
    await expect(intruder.connect()).rejects.toThrow(/permission denied for database/);
  });

  test('a wrong password, an unknown role and an unknown database are refused', async () => {
    const attempt = async (change: Partial<pg.ClientConfig>) => {
      const client = new pg.Client({ ...settingsFor(s.neon, project.uri), ...change });
      const error: unknown = await client.connect().catch((reason: unknown) => reason);
      return error instanceof pg.DatabaseError ? error.code : error;
    };
    expect(await attempt({ password: 'wrong' })).toBe('28P01');
    expect(await attempt({ user: 'nobody' })).toBe('28P01');
    expect(await attempt({ user: 'postgres' })).toBe('28P01');
    expect(await attempt({ database: 'nothing' })).toBe('3D000');
  });

  test('a connection without TLS is refused with advice', async () => {
    const client = new pg.Client({ ...settingsFor(s.neon, project.uri), ssl: false });
    await expect(client.connect()).rejects.toThrow('connection is insecure (try using `sslmode=require`)');
  });

  test('TLS may start without being asked for', async () => {
    const { port } = new URL(project.uri);
    const socket = tls.connect({
      host: 'localhost',
      port: Number(port),
      ca: readFileSync(s.neon.caFile),
      ALPNProtocols: ['postgresql'],
    });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    expect(socket.alpnProtocol).toBe('postgresql');
    socket.destroy();
  });

  test('garbage is answered by closing', async () => {
    const socket = net.connect({ host: '127.0.0.1', port: Number(new URL(project.uri).port) });
    socket.on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve).resume());
  });

  test('a query can be cancelled', async () => {
    const client = new pg.Client(settingsFor(s.neon, project.uri));
    await client.connect();
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    const slow = client.query('select pg_sleep(30)').catch((error: unknown) => error);
    const canceller = net.connect({ host: '127.0.0.1', port: Number(new URL(project.uri).port) });
    const packet = Buffer.alloc(16);
    [16, 80877102, processID, secretKey].forEach((value, index) => packet.writeInt32BE(value, index * 4));
    // The query may not have reached the server yet: a request to cancel nothing does nothing.
    await waitFor(async () => (await activity(s, project.id)).some((text) => text.includes('pg_sleep')));
    canceller.end(packet);
    expect(await slow).toMatchObject({ code: '57014' });
    await client.end();
  });

  test('a large result comes through whole', async () => {
    const { stdout } = await run(
      s.neon,
      'psql',
      project.uri,
      '-Atc',
      `select repeat('x', 1000) from generate_series(1, 20000)`,
    );
    expect(stdout.length).toBe(20_000 * 1_001);
  });

  test('pg_dump reads through the direct door, and the doors are counted', async () => {
    const fresh = await createProject(s.api, 'dumped');
    await query(s.neon, fresh.uri, 'create table t (id int)', 'insert into t values (42)');
    const dump = await run(s.neon, 'pg_dump', fresh.uri, '--dbname');
    expect(dump).toMatchObject({ code: 0, stderr: '' });
    expect(dump.stdout).toContain('42\n');
    expect(dump.stdout).toContain('cloud_admin');
    const before = await s.neon.connections(fresh.id);
    const { data } = await s.api.getConnectionUri({
      projectId: fresh.id,
      database_name: 'neondb',
      role_name: 'neondb_owner',
      pooled: true,
    });
    await query(s.neon, data.uri, 'select 1');
    expect(await s.neon.connections(fresh.id)).toEqual({ direct: before.direct, pooled: 1 });
    const client = new pg.Client({ ...settingsFor(s.neon, data.uri), options: '-c statement_timeout=1s' });
    await expect(client.connect()).rejects.toThrow('unsupported startup parameter: options');
  });

  test('a compute is idle until somebody connects, and after it was suspended', async () => {
    const [id = ''] = await s.neon.seedProjects(['sleeper']);
    const state = async () => (await s.api.listProjectEndpoints(id)).data.endpoints[0]?.current_state;
    expect(await state()).toBe('idle');
    expect((await s.api.getProject(id)).data.project.compute_last_active_at).toBeUndefined();
    const { data } = await s.api.getConnectionUri({
      projectId: id,
      database_name: 'neondb',
      role_name: 'neondb_owner',
    });
    await query(s.neon, data.uri, 'select 1');
    expect(await state()).toBe('active');
    expect((await s.api.getProject(id)).data.project.compute_last_active_at).toBeDefined();
    const client = new pg.Client(settingsFor(s.neon, data.uri));
    const dropped = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    const endpoint = (await s.api.listProjectEndpoints(id)).data.endpoints[0]?.id ?? '';
    await s.api.suspendProjectEndpoint(id, endpoint);
    await dropped;
    expect(await state()).toBe('idle');
  });

  test('a password that was reset holds at once', async () => {
    const { id, branchId, uri } = await createProject(s.api, 'reset');
    await query(s.neon, uri, 'select 1');
    const { data } = await s.api.resetProjectBranchRolePassword(id, branchId, 'neondb_owner');
    await expect(query(s.neon, uri, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    const renewed = new URL(uri);
    renewed.password = data.role.password ?? '';
    expect(await query(s.neon, renewed.href, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect((await s.api.getProjectBranchRolePassword(id, branchId, 'neondb_owner')).data.password).toBe(
      data.role.password,
    );
  });

  describe('an address that a project does not let in', () => {
    const connecting = async (uri: string) => query(s.neon, uri.replace('localhost', '127.0.0.1'), 'select 1 as one');
    const settings = async (id: string, wanted: Parameters<typeof s.api.updateProject>[1]['project']['settings']) => {
      await s.api.updateProject(id, { project: { settings: wanted ?? {} } });
      await settled(s.api, id);
    };

    test('is told so in the words of Neon’s proxy, and may come in once it is in the list', async () => {
      const { id, uri } = await createProject(s.api, 'restricted');
      await settings(id, { allowed_ips: { ips: ['203.0.113.0/24', '10.0.0.1-10.0.0.9'] } });
      await expect(connecting(uri)).rejects.toThrow(
        'This IP address 127.0.0.1 is not allowed to connect to this endpoint. Please add it',
      );
      await settings(id, { allowed_ips: { ips: ['203.0.113.7', '127.0.0.0/8'] } });
      expect(await connecting(uri)).toEqual([{ one: 1 }]);
    });

    test('gets into branches that are not protected when the list is for protected ones', async () => {
      const { id, uri, branchId } = await createProject(s.api, 'restricted in part');
      await settings(id, { allowed_ips: { ips: ['203.0.113.7'], protected_branches_only: true } });
      expect(await connecting(uri)).toEqual([{ one: 1 }]);
      await s.api.updateProjectBranch(id, branchId, { branch: { protected: true } });
      await expect(connecting(uri)).rejects.toThrow('is not allowed to connect');
    });

    test('is any, when public connections are blocked', async () => {
      const { id, uri } = await createProject(s.api, 'private');
      await settings(id, { block_public_connections: true, allowed_ips: { ips: ['127.0.0.1'] } });
      await expect(connecting(uri)).rejects.toThrow('from a blocked network');
    });
  });
});

async function activity(s: Started, projectId: string): Promise<string[]> {
  const client = new pg.Client(await s.neon.adminUrlFor(projectId));
  await client.connect();
  const { rows } = await client.query<{ query: string }>(
    `select query from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state = 'active'`,
  );
  await client.end();
  return rows.map((row) => row.query);
}

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(10);
}
