import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

import { checked, type Manifest } from '@neon-fleet/shared/backups';
import { ExplainedError, systemCode } from '@neon-fleet/shared/errors';
import {
  libpqEnvironment,
  withoutValues,
  type ClientPrograms,
  type ConnectionTarget,
} from '@neon-fleet/shared/postgres';
import { childEnvironment, exitWords, runProgram, type Environment } from '@neon-fleet/shared/processes';

import { DISK_FULL_HINT } from './psql-error.js';
export interface CustomLoadOptions {
  readonly client: Pick<ClientPrograms, 'pgRestore'>;
  readonly target: ConnectionTarget;
  readonly rootCertificates: string;
  readonly env: Environment;
  readonly manifest: Manifest;
  /** The stored object. */
  readonly object: AsyncIterable<Buffer>;
  /** How many connections load at the same time; default: one for each core. */
  readonly jobs?: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Loads a custom dump, several tables at a time.
 *
 * It goes through a file: pg_restore has to seek in it to do that, and so nothing at all is loaded before the checksum was
 * found to be right. Several connections cannot share a transaction: a restore that fails leaves a part behind.
 *
 * @throws ExplainedError, or the reason of the signal.
 */
export async function loadCustom(options: CustomLoadOptions): Promise<void> {
  const { client, target, rootCertificates, env, manifest, signal } = options;
  const folder = await mkdtemp(path.join(env['RUNNER_TEMP'] ?? tmpdir(), 'neon-fleet-restore-'));
  const file = path.join(folder, 'backup.dump');
  try {
    await pipeline(checked(options.object, manifest), createWriteStream(file, { mode: 0o600 }), { signal }).catch(
      (thrown: unknown) => {
        signal.throwIfAborted();
        throw systemCode(thrown) === 'ENOSPC' ? noSpace(manifest, folder) : thrown;
      },
    );
    const applicationName = 'neon-fleet restore';
    const exit = await runProgram({
      file: client.pgRestore,
      args: [
        ...['--exit-on-error', '--no-owner', '--no-privileges', '--no-password'],
        `--jobs=${options.jobs ?? availableParallelism()}`,
        `--dbname=${plainName(target.database)}`,
        file,
      ],
      env: childEnvironment(env, libpqEnvironment(target, { rootCertificates, applicationName })),
      signal,
    });
    if (exit.code !== 0) throw notLoaded(exit);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** pg_restore would take a name with `=` or `://` in it for a connection string. */
function plainName(database: string): string {
  if (!/[=:/\s'\\]/.test(database)) return database;
  return `dbname='${database.replace(/['\\]/g, (sign) => `\\${sign}`)}'`;
}

/** pg_restore tells no SQLSTATE. These are the words of the system, and of Neon for a project that is too large. */
const DISK_FULL_WORDS = /No space left on device|Disk quota exceeded|project size limit/i;

function notLoaded(exit: Awaited<ReturnType<typeof runProgram>>): ExplainedError {
  const lines = exit.stderr.split('\n');
  const said = lines.find((line) => line.startsWith('pg_restore: error: '))?.replace(/^pg_restore: error: /, '');
  // What the server quotes of rows stands after DETAIL and CONTEXT, on lines of their own; class 22 quotes the value.
  const words = said === undefined ? undefined : withoutValues('22000', said);
  const isFull = words !== undefined && DISK_FULL_WORDS.test(words);
  return new ExplainedError({
    ...(isFull ? { code: 'SQLSTATE 53100' } : {}),
    message: `pg_restore ${exitWords(exit)}${words === undefined ? '' : `: ${words.slice(0, 400)}`}; the target may hold a part of the backup`,
    hint: `${isFull ? `${DISK_FULL_HINT} ` : ''}Restore into a new, empty database. Only plain dumps are loaded as one transaction.`,
  });
}

function noSpace({ key }: Manifest, folder: string): ExplainedError {
  return new ExplainedError({
    message: `there is no room for ${key} in ${path.dirname(folder)}; the target was left as it was`,
    code: 'ENOSPC',
    hint: 'Use a runner with a larger disk. A plain dump is restored without touching the disk.',
  });
}
