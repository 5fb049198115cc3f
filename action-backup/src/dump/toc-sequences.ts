import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import type { ClientPrograms } from '@neon-fleet/shared/postgres';
import { childEnvironment, startProgram, type Environment } from '@neon-fleet/shared/processes';

import { RowCounter, type SequenceState } from './row-counter.js';

/** The entries of a table of contents that say what sequences are set to. */
export function sequenceEntries(list: string): string[] {
  return list.split('\n').filter((line) => /^\d+; \d+ \d+ SEQUENCE SET /.test(line));
}

/**
 * Reads what the sequences of a custom dump are set to out of its table of contents, where pg_dump has written it: a look
 * at the database would be at another moment, since sequences have no part in a snapshot.
 *
 * @param beginning the dump from its start to where its table of contents is over, at least.
 * @throws Error when pg_restore cannot read it.
 */
export async function readSequences(
  client: Pick<ClientPrograms, 'pgRestore'>,
  env: Environment,
  { list, beginning }: { readonly list: string; readonly beginning: readonly Buffer[] },
  signal: AbortSignal,
): Promise<ReadonlyMap<string, SequenceState>> {
  const entries = sequenceEntries(list);
  if (entries.length === 0) return new Map();
  const folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-toc-'));
  const file = path.join(folder, 'list');
  try {
    await writeFile(file, `${entries.join('\n')}\n`);
    const args = ['--file=-', `--use-list=${file}`];
    const program = startProgram({ file: client.pgRestore, args, env: childEnvironment(env), signal });
    try {
      Readable.from(beginning).pipe(program.stdin);
      const [sql, exit] = await Promise.all([buffer(program.stdout), program.exited]);
      if (exit.code !== 0) throw new Error(`pg_restore could not read the sequences: ${exit.stderr.slice(0, 300)}`);
      const reader = new RowCounter();
      reader.add(sql);
      return reader.sequences;
    } finally {
      await program.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
