import { checked, openObject, type Manifest } from '@neon-fleet/shared/backups';
import { ExplainedError } from '@neon-fleet/shared/errors';
import { connect, type ClientFinder } from '@neon-fleet/shared/postgres';
import type { Environment } from '@neon-fleet/shared/processes';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { compareContents } from './compare.js';
import { clientFor, loadAny, versionOf } from '../restore/load-any.js';
import { createRolesSql } from '../roles/role-sql.js';
import type { ScratchServer } from './scratch-server.js';

export interface VerifySurroundings {
  readonly store: Pick<ObjectStore, 'head' | 'getRange'>;
  readonly clients: ClientFinder;
  readonly env: Environment;
  /** The job's own server, of this major version at least; started when it is first asked for. */
  readonly server: (major: number) => Promise<ScratchServer>;
  readonly signal: AbortSignal;
}

/** What a drill proved. */
export interface Proof {
  readonly detail: string;
  readonly server?: string;
}

/** Streams a backup against its manifest. @throws ExplainedError when it is not what was stored. */
export async function verifyChecksum(
  { store, signal }: Pick<VerifySurroundings, 'store' | 'signal'>,
  manifest: Manifest,
): Promise<Proof> {
  let bytes = 0;
  for await (const chunk of checked(await openObject(store, manifest, signal), manifest)) bytes += chunk.length;
  return { detail: `${bytes} bytes with the checksum that was recorded` };
}

/**
 * Restores a backup into a database of the job's own, compares it with what was recorded, and removes it.
 *
 * @throws ExplainedError when it does not restore, or is not the same.
 */
export async function verifyRestore(surroundings: VerifySurroundings, manifest: Manifest): Promise<Proof> {
  const { store, clients, env, signal } = surroundings;
  const object = await openObject(store, manifest, signal);
  const client = await clientFor(manifest, clients);
  const recordedMajor = versionOf(manifest.postgres.server).major;
  const server = await surroundings.server(recordedMajor);
  const database = await server.createDatabase();
  const target = server.target(database);
  try {
    const connection = await connect(target, { signal, applicationName: 'neon-fleet drill' });
    try {
      await checkExtensions(connection, manifest);
      const { contents } = manifest;
      await loadAny({
        client,
        target,
        targetMajor: server.major,
        rootCertificates: 'system',
        env,
        manifest,
        object,
        connection,
        before: contents === undefined ? '' : createRolesSql(contents.roles.map((role) => ({ ...role, login: false }))),
        signal,
      });
      const restored = `restored into PostgreSQL ${server.major}`;
      if (contents === undefined) {
        return {
          detail: `${restored}; an older version wrote its manifest, with nothing to compare`,
          server: `${server.major}`,
        };
      }
      const { equal, different } = await compareContents(connection, contents, server.major === recordedMajor);
      if (different.length > 0) throw notTheSame(manifest, different);
      return { detail: `${restored}; as recorded: ${equal.join(', ')}`, server: `${server.major}` };
    } finally {
      await connection.close();
    }
  } finally {
    await server.dropDatabase(database);
  }
}

async function checkExtensions(
  connection: Awaited<ReturnType<typeof connect>>,
  { contents, name }: Manifest,
): Promise<void> {
  const rows = await connection.query('SELECT name FROM pg_available_extensions');
  const available = new Set(rows.map((row) => String(row['name'])));
  const missing = (contents?.extensions ?? [])
    .map((extension) => extension.name)
    .filter((each) => !available.has(each));
  if (missing.length === 0) return;
  throw new CannotTry({
    message: `the backup of ${name} cannot be tried here: this machine's PostgreSQL does not have ${missing.join(', ')}`,
    hint: 'Install the packages of these extensions before this step, or set verify: checksum.',
  });
}

/** The drill could not be held: says nothing about the backup. */
export class CannotTry extends ExplainedError {}

const MOST_SHOWN = 5;

function notTheSame({ key }: Manifest, different: readonly string[]): ExplainedError {
  const more = different.length > MOST_SHOWN ? ` and ${different.length - MOST_SHOWN} more` : '';
  return new ExplainedError({
    message: `${key} restores, but not as it was dumped: ${different.slice(0, MOST_SHOWN).join('; ')}${more}`,
    hint: 'Keep older backups until this is understood. Was the dump made with another version of pg_dump or of the action?',
  });
}
