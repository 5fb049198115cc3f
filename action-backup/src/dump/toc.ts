import { text } from 'node:stream/consumers';

import type { ClientPrograms } from '@neon-fleet/shared/postgres';
import { childEnvironment, startProgram, type Environment, type RunningProgram } from '@neon-fleet/shared/processes';

import type { SequenceState } from './row-counter.js';
import { readSequences } from './toc-sequences.js';

/**
 * Reads the table of contents of a custom dump, which stands at its beginning, while the dump goes by on its way to the
 * store: which tables have rows in it, and what its sequences
 * are set to, is known to pg_dump alone, whatever patterns it was given.
 */
export class TocReader {
  /** The OIDs of the tables whose rows are in the dump; rejected when the list cannot be read. */
  readonly tables: Promise<number[]>;
  /** What the sequences in the dump are set to, by their quoted names; rejected when that cannot be read. */
  readonly sequences: Promise<ReadonlyMap<string, SequenceState>>;
  readonly #program: RunningProgram;
  /** What went by until the list was read: the table of contents is in it. */
  #beginning: Buffer[] = [];
  #done = false;

  constructor(client: Pick<ClientPrograms, 'pgRestore'>, env: Environment, signal: AbortSignal) {
    this.#program = startProgram({ file: client.pgRestore, args: ['--list'], env: childEnvironment(env), signal });
    const list = this.#read();
    this.tables = list.then(tablesOf);
    this.sequences = list.then((entries) => {
      const beginning = this.#beginning;
      this.#beginning = [];
      return readSequences(client, env, { list: entries, beginning }, signal);
    });
    for (const promise of [this.tables, this.sequences]) promise.catch(() => undefined);
  }

  add(chunk: Buffer): void {
    if (this.#done) return;
    this.#beginning.push(chunk);
    this.#program.stdin.write(chunk);
  }

  /** The dump is over. */
  end(): void {
    this.#done = true;
    this.#program.stdin.end();
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }

  async #read(): Promise<string> {
    const [list, exit] = await Promise.all([text(this.#program.stdout), this.#program.exited]);
    this.#done = true;
    if (exit.code !== 0) throw new Error(`pg_restore --list could not read the dump: ${exit.stderr.slice(0, 300)}`);
    return list;
  }
}

/** Lines such as `3350; 0 16390 TABLE DATA public bulk owner`; the names may hold anything, the OID does not. */
export function tablesOf(list: string): number[] {
  return [...list.matchAll(/^\d+; \d+ (\d+) TABLE DATA /gm)].map(([, oid]) => Number(oid));
}
