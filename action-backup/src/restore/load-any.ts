import { damaged, type Manifest } from '@neon-fleet/shared/backups';
import { ExplainedError } from '@neon-fleet/shared/errors';
import {
  knowsRestrict,
  parseClientVersion,
  type ClientFinder,
  type ClientPrograms,
  type ClientVersion,
  type Connection,
  type ConnectionTarget,
} from '@neon-fleet/shared/postgres';
import type { Environment } from '@neon-fleet/shared/processes';

import { linesToLeaveOut, loadBackup } from './load.js';
import { loadCustom } from './load-custom.js';

/** PostgreSQL's newest major version that this version of the action knows of, and its successor. */
const NEWEST_KNOWN_MAJOR = 19;

/** The client programs that can load a backup. @throws ExplainedError */
export async function clientFor(manifest: Manifest, clients: ClientFinder): Promise<ClientPrograms> {
  const dumpedBy = versionOf(manifest.postgres.pgDump);
  // It decides what may be installed: a manifest does not get to ask for anything.
  if (dumpedBy.major > NEWEST_KNOWN_MAJOR)
    throw damaged(manifest, `its pg_dump ${manifest.postgres.pgDump} is not known`);
  return clients.forServer(dumpedBy.major, knowsRestrict);
}

export interface AnyLoad {
  readonly client: ClientPrograms;
  readonly target: ConnectionTarget;
  readonly targetMajor: number;
  readonly rootCertificates: string;
  readonly env: Environment;
  readonly manifest: Manifest;
  readonly object: AsyncIterable<Buffer>;
  /** Another connection to the target, which stays open meanwhile. */
  readonly connection: Pick<Connection, 'query'>;
  /** SQL before and after a dump, part of its transaction when it has one. */
  readonly before?: string;
  readonly after?: string;
  readonly jobs?: number | undefined;
  readonly signal: AbortSignal;
}

/** Loads a backup, whichever its format. @throws ExplainedError, or the reason of the signal. */
export async function loadAny(load: AnyLoad): Promise<void> {
  if (load.manifest.format === 'plain') {
    const { connection, targetMajor, ...rest } = load;
    return loadBackup({
      ...rest,
      leaveOut: linesToLeaveOut(targetMajor),
      transactionStatus: async (transaction) => {
        const [row] = await connection.query('SELECT pg_catalog.txid_status($1::bigint) AS status', [transaction]);
        return typeof row?.['status'] === 'string' ? row['status'] : undefined;
      },
    });
  }
  if (load.before !== undefined && load.before !== '') await load.connection.query(load.before);
  await loadCustom(load);
  if (load.after !== undefined && load.after !== '') await load.connection.query(load.after);
}

export function versionOf(text: string): ClientVersion {
  const version = parseClientVersion(text);
  if (version === undefined)
    throw new ExplainedError({ message: `${JSON.stringify(text)} is no version of PostgreSQL` });
  return version;
}
