import { checked, openObject, type Contents, type Manifest } from '@neon-fleet/shared/backups';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { NeonApiError, StillCreatingError } from '@neon-fleet/shared/neon';
import {
  connect,
  isConnectionLoss,
  PostgresError,
  type ClientFinder,
  type Connection,
} from '@neon-fleet/shared/postgres';
import type { Environment } from '@neon-fleet/shared/processes';
import { S3Error, type ObjectStore } from '@neon-fleet/shared/s3';

import { compareContents } from './compare.js';
import { clientFor, loadAny, versionOf } from '../restore/load-any.js';
import { createRolesSql } from '../roles/role-sql.js';
import type { DrillPlace, PlaceForDrill } from './drill-place.js';

export interface VerifySurroundings {
  readonly store: Pick<ObjectStore, 'head' | 'getRange'>;
  readonly clients: ClientFinder;
  readonly env: Environment;
  /** Gives an empty database for the drill of a backup; asked for when it is needed. */
  readonly place: PlaceForDrill;
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
 * Restores a backup into a database that is made for it, compares it with what was recorded, and removes it.
 *
 * @throws ExplainedError when it does not restore, or is not the same.
 */
export async function verifyRestore(surroundings: VerifySurroundings, manifest: Manifest): Promise<Proof> {
  const { store, clients, env, signal } = surroundings;
  const object = await openObject(store, manifest, signal);
  const client = await clientFor(manifest, clients);
  const recordedMajor = versionOf(manifest.postgres.server).major;
  const place = await surroundings.place(manifest, recordedMajor).catch((thrown: unknown) => {
    signal.throwIfAborted();
    throw noPlace(thrown);
  });
  try {
    return await drillIn(place, recordedMajor);
  } finally {
    await place.release();
  }

  async function drillIn({ target, major, words, authorities, rootCertificatesFor }: DrillPlace, recorded: number) {
    const connection = await connect(target, { signal, authorities, applicationName: 'neon-fleet drill' });
    try {
      await checkExtensions(connection, manifest, words);
      const { contents } = manifest;
      await loadAny({
        client,
        target,
        targetMajor: major,
        rootCertificates: rootCertificatesFor(client.major),
        env,
        manifest,
        object,
        connection,
        before: contents === undefined ? '' : await missingRolesSql(connection, contents),
        signal,
      });
      const restored = `restored into ${words}`;
      if (contents === undefined) {
        return {
          detail: `${restored}; an older version wrote its manifest, with nothing to compare`,
          server: `${major}`,
        };
      }
      const { equal, different } = await compareContents(connection, contents, major === recorded);
      if (different.length > 0) throw notTheSame(manifest, different);
      return { detail: `${restored}; as recorded: ${equal.join(', ')}`, server: `${major}` };
    } finally {
      await connection.close();
    }
  }
}

/** The roles that policies name, without a password and without login: nobody is to come in. */
async function missingRolesSql(connection: Pick<Connection, 'query'>, { roles }: Contents): Promise<string> {
  const rows = await connection.query('SELECT rolname FROM pg_roles');
  const there = new Set(rows.map((row) => String(row['rolname'])));
  return createRolesSql(roles.filter(({ name }) => !there.has(name)).map((role) => ({ ...role, login: false })));
}

/** What stands in the way of a place is none of the backup's doing; what the engine knows a reason of its own for stays. */
function noPlace(thrown: unknown): unknown {
  const isKnown = thrown instanceof NeonApiError || thrown instanceof StillCreatingError || thrown instanceof CannotTry;
  return isKnown ? thrown : new CannotTry(explain(thrown), { cause: thrown });
}

/** No room, no connection left, the connection lost, the server ended. */
const ABOUT_THE_SERVER = /^SQLSTATE (53|57P|08)/;

/** Whether what ended a drill says something about the backup, and not only about where it was held or stored. */
export function isAboutTheBackup(thrown: unknown): boolean {
  if (thrown instanceof S3Error || thrown instanceof NeonApiError || thrown instanceof CannotTry) return false;
  if (thrown instanceof StillCreatingError) return false;
  if (thrown instanceof PostgresError && (thrown.whileConnecting || isConnectionLoss(thrown))) return false;
  return !ABOUT_THE_SERVER.test(explain(thrown).code ?? '');
}

async function checkExtensions(
  connection: Pick<Connection, 'query'>,
  { contents, name }: Manifest,
  where: string,
): Promise<void> {
  const rows = await connection.query('SELECT name FROM pg_available_extensions');
  const available = new Set(rows.map((row) => String(row['name'])));
  const missing = (contents?.extensions ?? [])
    .map((extension) => extension.name)
    .filter((each) => !available.has(each));
  if (missing.length === 0) return;
  throw new CannotTry({
    message: `the backup of ${name} cannot be tried here: ${where} does not have ${missing.join(', ')}`,
    hint: 'Install the packages of these extensions before this step, or set verify-in: branch, or verify: checksum.',
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
