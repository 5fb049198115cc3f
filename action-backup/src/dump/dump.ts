import { ExplainedError } from '@neon-fleet/shared/errors';
import { libpqEnvironment, type ClientPrograms, type ConnectionTarget } from '@neon-fleet/shared/postgres';
import {
  childEnvironment,
  exitWords,
  startProgram,
  type Environment,
  type ProgramExit,
} from '@neon-fleet/shared/processes';

import { dumpArguments, type DumpShape } from './dump-options.js';
import type { TocReader } from './toc.js';
import type { DumpWatch } from './trailer.js';

export interface DumpOptions {
  readonly client: Pick<ClientPrograms, 'pgDump' | 'major'>;
  readonly shape: DumpShape;
  /** The exported snapshot to read; undefined: one of its own. */
  readonly snapshot: string | undefined;
  /** Reads the table of contents of a custom dump as it goes by. */
  readonly toc?: TocReader | undefined;
  readonly target: ConnectionTarget;
  readonly rootCertificates: string;
  readonly env: Environment;
  /** How long pg_dump may wait for a table that somebody holds. */
  readonly lockWaitMs: number;
}

/**
 * A dump of one database as a stream, which ends only when the dump is whole: after pg_dump has exited with 0 and, for a
 * plain one, its last lines were PostgreSQL's own trailer. In every other case it throws, and pg_dump is gone when it has.
 *
 * @param watch is told of what goes by.
 * @throws ExplainedError, or the reason of the signal.
 */
export async function* dump(options: DumpOptions, watch: DumpWatch, signal: AbortSignal): AsyncGenerator<Buffer> {
  signal.throwIfAborted();
  const { client, target, rootCertificates, env, shape, snapshot, lockWaitMs, toc } = options;
  const applicationName = 'neon-fleet backup';
  const program = startProgram({
    file: client.pgDump,
    args: dumpArguments(shape, { lockWaitMs, snapshot, clientMajor: client.major }),
    env: childEnvironment(env, libpqEnvironment(target, { rootCertificates, applicationName })),
    signal,
  });
  program.stdin.end();
  try {
    try {
      for await (const chunk of program.stdout as AsyncIterable<Buffer>) {
        watch.add(chunk);
        toc?.add(chunk);
        yield chunk;
      }
    } catch (thrown) {
      // A pipe that breaks says less than the exit of the program at its other end.
      const exit = await endOf(program, signal);
      if (exit.code === 0) throw thrown;
    }
    const exit = await endOf(program, signal);
    if (exit.code !== 0) throw dumpFailed(exit);
    if (shape.format === 'plain' && !watch.isWhole()) throw dumpCutShort(watch);
  } finally {
    await program.stop();
  }
}

async function endOf(program: { exited: Promise<ProgramExit> }, signal: AbortSignal): Promise<ProgramExit> {
  const exit = await program.exited;
  signal.throwIfAborted();
  return exit;
}

function dumpFailed(exit: ProgramExit): ExplainedError {
  const said = complaintOf(exit.stderr);
  const hint = hintFor(said, exit);
  return new ExplainedError({
    message: `pg_dump ${exitWords(exit)}${said === '' ? '' : `: ${said}`}; nothing was stored`,
    ...(hint === undefined ? {} : { hint }),
  });
}

function dumpCutShort({ bytes }: DumpWatch): ExplainedError {
  return new ExplainedError({
    message: `pg_dump said that it was done, but its dump of ${bytes} bytes does not end as a whole one does; nothing was stored`,
    hint: 'Is pg_dump on this runner a wrapper that adds or swallows output?',
  });
}

const LONGEST_COMPLAINT = 600;

/** The part of pg_dump's error output that says what went wrong: its errors, without warnings and without DETAIL. */
export function complaintOf(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const errors = lines.filter(
    (line) => /^\S*pg_dump: (error|fatal)?:? ?/.test(line) && !/: (warning|detail|hint):/.test(line),
  );
  const chosen =
    errors.length > 0 ? errors : lines.filter((line) => line !== '' && !/^(DETAIL|HINT|CONTEXT):/.test(line));
  return chosen
    .slice(0, 4)
    .map((line) => line.replace(/^\S*pg_dump: (error: )?/, ''))
    .join('; ')
    .slice(0, LONGEST_COMPLAINT);
}

function hintFor(said: string, { signal }: ProgramExit): string | undefined {
  if (signal === 'SIGKILL') return 'Something killed it: often the machine ran out of memory. Lower the concurrency.';
  if (/lock timeout|LOCK TABLE/i.test(said) && /timeout/i.test(said)) {
    return 'Somebody holds a lock on a table, a migration for example. Run again at a quieter time.';
  }
  if (/permission denied/i.test(said)) return 'The role may not read all tables. Set the input role to their owner.';
  if (/server version|aborting because of server version mismatch/i.test(said)) {
    return 'pg_dump is older than the server. Install the client of its version.';
  }
  if (/certificate|SSL/i.test(said)) {
    return 'The server could not prove who it is. For a certificate authority of your own set PGSSLROOTCERT to its file.';
  }
  return undefined;
}
