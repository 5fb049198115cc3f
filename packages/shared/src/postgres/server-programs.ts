import { access, constants } from 'node:fs/promises';
import path from 'node:path';

import { childEnvironment, runProgram, type Environment } from '../processes/index.js';
import { installClient } from './client-install.js';
import { clientFolders } from './client-programs.js';
import { chooseClient, parseClientVersion, type ClientVersion } from './client-version.js';

/** PostgreSQL's server programs in one folder. */
export interface ServerPrograms extends ClientVersion {
  readonly initdb: string;
  readonly postgres: string;
}

export interface ServerSearch {
  readonly env: Environment;
  readonly signal?: AbortSignal | undefined;
  readonly onNote: (line: string) => void;
}

/**
 * Finds server programs of a major version, else of the nearest newer one; installs them where there are none.
 *
 * @throws ExplainedError with the command that installs them, when they could not be.
 */
export async function findServer(major: number, search: ServerSearch): Promise<ServerPrograms> {
  const there = chooseClient(await serversHere(search), major);
  if (there !== undefined) return there;
  await installClient({ ...search, major, part: 'server' });
  const now = chooseClient(await serversHere(search), major);
  if (now !== undefined) return now;
  throw new Error(`PostgreSQL ${major} was installed, and its server programs are not where they should be`);
}

async function serversHere({ env, signal }: ServerSearch): Promise<ServerPrograms[]> {
  const found = await Promise.all((await clientFolders(env)).map((folder) => serverIn(folder, env, signal)));
  return found.filter((server) => server !== undefined);
}

async function serverIn(
  folder: string,
  env: Environment,
  signal: AbortSignal | undefined,
): Promise<ServerPrograms | undefined> {
  const [initdb, postgres] = ['initdb', 'postgres'].map((name) => path.join(folder, name));
  if (initdb === undefined || postgres === undefined) return undefined;
  try {
    await Promise.all([initdb, postgres].map((file) => access(file, constants.X_OK)));
    const { code, stdout } = await runProgram({
      file: postgres,
      args: ['--version'],
      env: childEnvironment(env),
      signal,
    });
    const version = code === 0 ? parseClientVersion(stdout) : undefined;
    return version === undefined ? undefined : { ...version, initdb, postgres };
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}
