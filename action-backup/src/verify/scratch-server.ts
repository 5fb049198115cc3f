import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { ExplainedError } from '@neon-fleet/shared/errors';
import { connect, findServer, type ConnectionTarget } from '@neon-fleet/shared/postgres';
import {
  childEnvironment,
  exitWords,
  runProgram,
  startProgram,
  type Environment,
  type RunningProgram,
} from '@neon-fleet/shared/processes';

export interface ScratchOptions {
  /** The server's major version at least. */
  readonly major: number;
  readonly env: Environment;
  readonly signal: AbortSignal;
  readonly onNote: (line: string) => void;
}

/** A PostgreSQL of this job's own, for drills: nothing outside reaches it, and nothing of it stays. */
export interface ScratchServer {
  readonly major: number;
  /** Where a database of it is, as its superuser. */
  target(database: string): ConnectionTarget;
  /** Makes an empty database. @returns its name */
  createDatabase(): Promise<string>;
  dropDatabase(name: string): Promise<void>;
  /** Ends the server and removes all it had on disk. */
  stop(): Promise<void>;
}

const SUPERUSER = 'postgres';
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;

/** PostgreSQL outlives a parent that is killed. Behind this shell it ends when the parent's end of the pipe does. */
const WITH_PARENT = '"$@" & server=$!; cat > /dev/null; kill -QUIT "$server" 2> /dev/null; wait "$server"';

/**
 * Finds or installs PostgreSQL's server programs and starts one server on a free port of the loopback interface.
 *
 * @throws ExplainedError with the end of the server's log when it does not come up.
 */
export async function startScratchServer(options: ScratchOptions): Promise<ScratchServer> {
  const { env, signal } = options;
  const programs = await findServer(options.major, options);
  const user = await serverUser();
  const folder = await mkdtemp(
    path.join(user === undefined ? (env['RUNNER_TEMP'] ?? tmpdir()) : tmpdir(), 'neon-fleet-drill-'),
  );
  const password = randomBytes(24).toString('hex');
  let server: RunningProgram | undefined;
  const stop = async () => {
    server?.stdin.end();
    if (server !== undefined) await Promise.race([server.exited, delay(STOP_TIMEOUT_MS, undefined, { ref: false })]);
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const passwordFile = path.join(folder, 'password');
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (user !== undefined) for (const owned of [folder, passwordFile]) await chown(owned, user.uid, user.gid);
    const data = path.join(folder, 'data');
    const initialised = await runProgram({
      file: programs.initdb,
      args: [
        ...['--pgdata', data, '--username', SUPERUSER, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
        ...['--encoding', 'UTF8', '--locale', 'C', '--no-sync', '--no-instructions'],
      ],
      env: childEnvironment(env),
      cwd: folder,
      user,
      signal,
    });
    if (initialised.code !== 0) throw notUp(`initdb ${exitWords(initialised)}`, initialised.stderr);
    const port = await freePort();
    server = startProgram({
      file: '/bin/sh',
      args: ['-c', WITH_PARENT, 'sh', programs.postgres, '-D', data, ...settings(port, folder)],
      env: childEnvironment(env),
      cwd: folder,
      user,
      signal,
    });
    const target = (database: string): ConnectionTarget => ({
      host: '127.0.0.1',
      port,
      user: SUPERUSER,
      password,
      database,
      tls: 'off',
    });
    await untilUp(server, target('postgres'), signal);
    return { major: programs.major, target, stop, ...databases(target('postgres'), signal) };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

function databases(
  target: ConnectionTarget,
  signal: AbortSignal,
): Pick<ScratchServer, 'createDatabase' | 'dropDatabase'> {
  let count = 0;
  return {
    async createDatabase() {
      count += 1;
      const name = `drill_${count}`;
      await command(target, `CREATE DATABASE ${name} TEMPLATE template0`, signal);
      return name;
    },
    async dropDatabase(name) {
      await command(target, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`, AbortSignal.timeout(STOP_TIMEOUT_MS));
    },
  };
}

async function command(target: ConnectionTarget, sql: string, signal: AbortSignal): Promise<void> {
  const connection = await connect(target, { signal, applicationName: 'neon-fleet drill' });
  try {
    await connection.query(sql);
  } finally {
    await connection.close();
  }
}

/** Nothing here outlives the job: durability is off, as is what looks after a server that stays. */
function settings(port: number, folder: string): string[] {
  const values: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: folder,
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    wal_level: 'minimal',
    max_wal_senders: 0,
    max_wal_size: '4GB',
    maintenance_work_mem: '256MB',
    autovacuum: 'off',
    log_min_error_statement: 'panic', // statements hold customers' rows
    log_min_messages: 'fatal',
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function untilUp(server: RunningProgram, target: ConnectionTarget, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  const ended = server.exited.then((exit) => {
    throw notUp(`postgres ${exitWords(exit)}`, exit.stderr);
  });
  for (;;) {
    const asked = connect(target, { signal, connectTimeoutMs: 2_000 }).then(async (connection) => connection.close());
    try {
      await Promise.race([asked, ended]);
      return;
    } catch (thrown) {
      signal.throwIfAborted();
      if (thrown instanceof ExplainedError && thrown.message.startsWith(NOT_UP)) throw thrown;
      if (performance.now() > deadline) throw thrown;
      await delay(50, undefined, { signal });
    }
  }
}

const NOT_UP = "the drill's own PostgreSQL did not start";

function notUp(what: string, log: string): ExplainedError {
  return new ExplainedError({ message: `${NOT_UP}: ${what}: ${log.trim().slice(-400)}` });
}

/** PostgreSQL refuses to be run by root: as whom to run it then. */
async function serverUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const account = accounts.find(([name]) => name === 'postgres') ?? accounts.find(([name]) => name === 'nobody');
  return { uid: Number(account?.[2] ?? 65_534), gid: Number(account?.[3] ?? 65_534) };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the system gave no free port');
  return address.port;
}
