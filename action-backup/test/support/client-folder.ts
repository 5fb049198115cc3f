import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { openClientFinder, type ClientFinder, type ClientPrograms } from '@neon-fleet/shared/postgres';

/**
 * A folder of client programs that are shell scripts around the real ones: they say of themselves that they are of some
 * version, and pg_dump does what a test wants.
 */
export class ClientFolder implements AsyncDisposable {
  private constructor(readonly folder: string) {}

  /** @param pgDump what pg_dump does; `real "$@"` in it is the real one */
  static async make(version: string, real: ClientPrograms, pgDump = 'real "$@"'): Promise<ClientFolder> {
    const folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-clients-'));
    const script = (name: string, file: string, does: string) =>
      `#!/bin/sh\nif [ "$1" = --version ]; then echo "${name} (PostgreSQL) ${version}"; exit 0; fi\nreal() { '${file}' "$@"; }\n${does}\n`;
    const programs = { pg_dump: real.pgDump, pg_restore: real.pgRestore, psql: real.psql };
    for (const [name, file] of Object.entries(programs)) {
      await writeFile(path.join(folder, name), script(name, file, name === 'pg_dump' ? pgDump : 'real "$@"'));
      await chmod(path.join(folder, name), 0o755);
    }
    return new ClientFolder(folder);
  }

  /** Finds these programs and no others. */
  finder(): ClientFinder {
    return openClientFinder({ env: process.env, folders: () => Promise.resolve([this.folder]) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
