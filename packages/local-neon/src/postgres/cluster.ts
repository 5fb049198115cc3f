import { randomBytes } from 'node:crypto';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { describeExit, type Child, type Supervisor } from '../supervisor/supervisor.js';
import type { Directories } from './storage.js';
import type { Certificates } from './certificates.js';
import { findServerPrograms, runnableBy, serverUser, type User } from './programs.js';

/** The running PostgreSQL server. */
export interface Cluster {
  readonly port: number;
  readonly binDir: string;
  /** Directory for a tablespace on disk, when the data is in memory. */
  readonly overflow: string | undefined;
  /** Major version of the server. */
  readonly major: number;
  readonly superuser: { readonly user: string; readonly password: string };
  /** URL of a superuser's connection to one physical database, over plain TCP. */
  superuserUrl(database: string): string;
}

export interface ClusterOptions {
  readonly directories: Directories;
  readonly certificates: Certificates;
  readonly binDir: string | undefined;
  readonly log: (line: string) => void;
}

const SUPERUSER = 'postgres';
const START_TIMEOUT_MS = 30_000;

/**
 * Makes a data directory and starts one server on a free loopback port. The supervisor ends it.
 *
 * @throws Error with the end of the server's log when it does not come up
 */
export async function startCluster(supervisor: Supervisor, options: ClusterOptions): Promise<Cluster> {
  const programs = findServerPrograms(options.binDir);
  const user = serverUser();
  const binDir = await runnableBy(programs, user, path.join(options.directories.main, 'postgres-programs'));
  const home = path.join(options.directories.data, 'postgres');
  const password = randomBytes(18).toString('hex');
  await prepareHome(home, password, options.certificates, user);
  const overflow = await makeOverflow(options.directories, user);
  await initialise(supervisor, binDir, home, user);
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const server = supervisor.run({
      file: path.join(binDir, 'postgres'),
      args: serverArguments(home, port),
      env: environment(),
      cwd: home,
      ...(user ? { user } : {}),
      log: path.join(options.directories.main, 'postgres.log'),
    });
    const outcome = await firstOf(server, port, password);
    if (outcome !== 'exited') {
      options.log(`PostgreSQL ${String(outcome)} (${programs.source}, ${binDir}) listens on port ${String(port)}`);
      const superuserUrl = (database: string) =>
        `postgresql://${SUPERUSER}:${password}@127.0.0.1:${String(port)}/${encodeURIComponent(database)}`;
      return { port, binDir, overflow, major: outcome, superuser: { user: SUPERUSER, password }, superuserUrl };
    }
    const log = await server.logTail();
    // Somebody else may have taken the port between choosing it and listening on it.
    if (attempt >= 5 || !/could not (bind|create any TCP)/.test(log)) {
      throw new Error(`PostgreSQL ${describeExit(await server.exited)}:\n${log}`);
    }
  }
}

async function prepareHome(home: string, password: string, certificates: Certificates, user: User | undefined) {
  await mkdir(home, { mode: 0o700 });
  const files = { password, 'server.crt': certificates.chain, 'server.key': certificates.key };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(home, name), content, { mode: 0o600 });
    if (user) await chown(path.join(home, name), user.uid, user.gid);
  }
  if (user) await chown(home, user.uid, user.gid);
}

async function makeOverflow({ main, data }: Directories, user: User | undefined): Promise<string | undefined> {
  if (main === data) return undefined;
  const directory = path.join(main, 'overflow');
  await mkdir(directory, { mode: 0o700 });
  if (user) await chown(directory, user.uid, user.gid);
  return directory;
}

async function initialise(supervisor: Supervisor, binDir: string, home: string, user: User | undefined) {
  const attempt = async (locale: string) => {
    const child = supervisor.run({
      file: path.join(binDir, 'initdb'),
      args: [
        ...['--pgdata', path.join(home, 'data'), '--username', SUPERUSER, '--pwfile', path.join(home, 'password')],
        ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', locale, '--no-sync', '--no-instructions'],
      ],
      env: environment(),
      cwd: home,
      ...(user ? { user } : {}),
      log: path.join(path.dirname(home), `initdb-${locale}.log`),
    });
    const exit = await child.exited;
    return exit.code === 0 ? undefined : `initdb ${describeExit(exit)}:\n${await child.logTail()}`;
  };
  const problem = await attempt('C.UTF-8');
  if (problem === undefined) return;
  if (!problem.includes('locale') || (await attempt('C')) !== undefined) throw new Error(problem);
}

/** Durability is off throughout: nothing here outlives the process. */
function serverArguments(home: string, port: number): string[] {
  const settings: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '', // TCP only, so that no path can be too long for a socket
    max_connections: 500,
    shared_buffers: '32MB',
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_wal_senders: 0,
    max_wal_size: '4GB',
    autovacuum: 'off', // with thousands of databases its launcher would never rest
    jit: 'off',
    ssl: 'on',
    ssl_cert_file: path.join(home, 'server.crt'),
    ssl_key_file: path.join(home, 'server.key'),
    log_min_error_statement: 'panic', // statements can hold passwords
    log_min_messages: 'error',
  };
  return [
    '-D',
    path.join(home, 'data'),
    ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${String(value)}`]),
  ];
}

const environment = () => ({ PATH: process.env['PATH'] ?? '', TZ: 'UTC' });

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the system gave no free port');
  return address.port;
}

/** The server's major version once it answers, or 'exited'. */
async function firstOf(server: Child, port: number, password: string): Promise<number | 'exited'> {
  let exited = false;
  void server.exited.then(() => (exited = true));
  const deadline = Date.now() + START_TIMEOUT_MS;
  let last: unknown;
  while (Date.now() < deadline) {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- set by the callback above
    if (exited) return 'exited';
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: SUPERUSER,
      password,
      database: 'postgres',
      ssl: false,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      const result = await client.query<{ version: number }>(
        `select current_setting('server_version_num')::int / 10000 as version`,
      );
      return result.rows[0]?.version ?? 0;
    } catch (error) {
      last = error;
    } finally {
      await client.end().catch(() => undefined);
    }
    await Promise.race([sleep(20), server.exited]);
  }
  throw new Error(`PostgreSQL did not answer within ${String(START_TIMEOUT_MS / 1000)} s`, { cause: last });
}
