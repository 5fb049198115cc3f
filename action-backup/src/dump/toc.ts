import { text } from 'node:stream/consumers';

import type { ClientPrograms } from '@neon-fleet/shared/postgres';
import { childEnvironment, startProgram, type Environment, type RunningProgram } from '@neon-fleet/shared/processes';

/**
 * Reads the table of contents of a custom dump, which stands at its beginning, while the dump goes by on its way to the
 * store: which tables have rows in it is known to pg_dump alone, whatever patterns it was given.
 */
export class TocReader {
  /** The OIDs of the tables whose rows are in the dump; rejected when the list cannot be read. */
  readonly tables: Promise<number[]>;
  readonly #program: RunningProgram;
  #done = false;

  constructor(client: Pick<ClientPrograms, 'pgRestore'>, env: Environment, signal: AbortSignal) {
    this.#program = startProgram({ file: client.pgRestore, args: ['--list'], env: childEnvironment(env), signal });
    this.tables = this.#read();
    this.tables.catch(() => undefined);
  }

  add(chunk: Buffer): void {
    if (!this.#done) this.#program.stdin.write(chunk);
  }

  /** The dump is over. */
  end(): void {
    this.#done = true;
    this.#program.stdin.end();
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }

  async #read(): Promise<number[]> {
    const [list, exit] = await Promise.all([text(this.#program.stdout), this.#program.exited]);
    this.#done = true;
    if (exit.code !== 0) throw new Error(`pg_restore --list could not read the dump: ${exit.stderr.slice(0, 300)}`);
    return tablesOf(list);
  }
}

/** Lines such as `3350; 0 16390 TABLE DATA public bulk owner`; the names may hold anything, the OID does not. */
export function tablesOf(list: string): number[] {
  return [...list.matchAll(/^\d+; \d+ (\d+) TABLE DATA /gm)].map(([, oid]) => Number(oid));
}
