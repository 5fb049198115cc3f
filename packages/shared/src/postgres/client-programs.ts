import { access, constants, readdir, realpath } from 'node:fs/promises';
import path from 'node:path';

import { ExplainedError } from '../errors/index.js';
import { childEnvironment, runProgram, type Environment } from '../processes/index.js';
import { installClient, installCommands } from './client-install.js';
import { chooseClient, parseClientVersion, type ClientVersion } from './client-version.js';

/** PostgreSQL's client programs in one folder. */
export interface ClientPrograms extends ClientVersion {
  readonly pgDump: string;
  readonly pgRestore: string;
  readonly psql: string;
}

/** Finds client programs; the machine is searched once, not once a tenant. */
export interface ClientFinder {
  /**
   * The programs for a server: of its own major version, else of the nearest newer one, never of an older.
   *
   * @param fits leaves out programs that are new enough but unusable for another reason.
   * @throws ExplainedError with the command that installs them, when there are none and they could not be installed.
   */
  forServer(major: number, fits?: (client: ClientVersion) => boolean): Promise<ClientPrograms>;
}

export interface ClientFinderOptions {
  readonly env: Environment;
  readonly signal?: AbortSignal | undefined;
  /** Told what is being done, when it takes time. */
  readonly onNote?: (line: string) => void;
  /** Replaced in tests. */
  readonly folders?: (env: Environment) => Promise<string[]>;
  readonly install?: (major: number) => Promise<void>;
}

export function openClientFinder(options: ClientFinderOptions): ClientFinder {
  const { env, signal, onNote = () => undefined, folders = clientFolders } = options;
  const install = options.install ?? ((major: number) => installClient({ major, env, signal, onNote }));
  const search = async () => searchClients(await folders(env), env, signal);
  let found: Promise<ClientPrograms[]> | undefined;
  const installed = new Map<number, Promise<void>>();
  let lastInstallation: Promise<void> = Promise.resolve();

  async function installOnce(major: number): Promise<void> {
    const earlier = installed.get(major);
    if (earlier !== undefined) return earlier;
    // One after the other: apt holds a lock of its own.
    const installation = lastInstallation.then(() => install(major));
    installed.set(major, installation);
    lastInstallation = installation.catch(() => undefined);
    await installation;
    found = search();
  }

  return {
    async forServer(major, fits = () => true) {
      const choose = async () => chooseClient((await (found ??= search())).filter(fits), major);
      const there = await choose();
      if (there !== undefined) return there;
      await installOnce(major);
      const now = await choose();
      if (now !== undefined) return now;
      throw new ExplainedError({
        message: `pg_dump and psql ${major} or newer are needed, and are not here although they were installed`,
        hint: `Run before this step: ${installCommands(major)}`,
      });
    },
  };
}

/** Folders in which client programs may be, whether they are there or not. */
export async function clientFolders(env: Environment): Promise<string[]> {
  const versioned = await Promise.all([
    below('/usr/lib/postgresql', /^\d+$/), // Debian, Ubuntu
    below('/usr', /^pgsql-\d+$/), // Red Hat
    below('/opt/homebrew/opt', /^(postgresql@\d+|libpq)$/),
    below('/usr/local/opt', /^(postgresql@\d+|libpq)$/),
    below('/home/linuxbrew/.linuxbrew/opt', /^(postgresql@\d+|libpq)$/),
  ]);
  const onPath = (env['PATH'] ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  return [...new Set([...onPath, ...versioned.flat().map((folder) => path.join(folder, 'bin'))])];
}

async function below(folder: string, pattern: RegExp): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => pattern.test(name)).map((name) => path.join(folder, name));
}

async function searchClients(
  folders: readonly string[],
  env: Environment,
  signal: AbortSignal | undefined,
): Promise<ClientPrograms[]> {
  const found = await Promise.all(folders.map((folder) => clientIn(folder, env, signal)));
  return found.filter((client) => client !== undefined);
}

async function clientIn(
  folder: string,
  env: Environment,
  signal: AbortSignal | undefined,
): Promise<ClientPrograms | undefined> {
  const pgDump = path.join(folder, 'pg_dump');
  const psql = path.join(folder, 'psql');
  try {
    await Promise.all([pgDump, psql].map((file) => access(file, constants.X_OK)));
    // Debian's wrapper chooses a version by rules of its own; what it chooses from is found where it is.
    if (path.basename(await realpath(pgDump)) === 'pg_wrapper') return undefined;
    const { code, stdout } = await runProgram({
      file: pgDump,
      args: ['--version'],
      env: childEnvironment(env),
      signal,
    });
    const version = code === 0 ? parseClientVersion(stdout) : undefined;
    // Every package that has pg_dump has pg_restore beside it.
    return version === undefined ? undefined : { ...version, pgDump, pgRestore: path.join(folder, 'pg_restore'), psql };
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}
