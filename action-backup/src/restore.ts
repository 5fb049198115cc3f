import * as core from '@actions/core';
import { logTenant, printable, publishRun, type ActionContext } from '@neon-fleet/shared/actions';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { workThroughTenants, type Tenant, type TenantResult } from '@neon-fleet/shared/fleet';
import {
  connect,
  knowsRestrict,
  openClientFinder,
  parseClientVersion,
  parseConnectionUri,
  placeOf,
  PostgresError,
  prepareLibpqTrust,
  takeLock,
  trustedAuthorities,
  type ClientVersion,
  type ConnectionTarget,
  type ConnectOptions,
} from '@neon-fleet/shared/postgres';
import { readObject, type ObjectStore } from '@neon-fleet/shared/s3';

import { findBackup } from './find-backup.js';
import type { RestoreValues } from './inputs.js';
import { normalisePrefix } from './keys.js';
import { damaged, linesToLeaveOut, loadBackup } from './load.js';
import type { Manifest } from './manifest.js';
import { openStorage } from './storage.js';
import { ownContents } from './target-contents.js';
import { sizeWords } from './words.js';

/** `command: restore`: loads one backup into a database. It talks to S3 and to the target, and to nobody else. */
export async function restore(values: RestoreValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const store = openStorage(values, process.env);
  const wanted =
    values.backup === 'latest' ? { tenant: values.tenant ?? '', database: values.database } : { key: values.backup };
  const manifest = await findBackup(store, wanted, {
    prefix: normalisePrefix(values.s3Prefix),
    signal,
    onNote: (line) => core.warning(printable(line)),
  });
  core.info(printable(`Restoring ${manifest.key}, made ${manifest.finishedAt} of ${manifest.name}`));

  const outcomes = await workThroughTenants({
    tenants: [tenantOf(manifest)],
    concurrency: 1,
    signal,
    onOutcome: logTenant,
    work: () => restoreInto(values, manifest, store, signal),
  });
  if (outcomes.every(({ status }) => status === 'succeeded')) core.setOutput('restored-from', manifest.key);
  await publishRun({
    action: 'backup',
    command: 'restore',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
  });
}

/** What of the inputs says where and how to restore. */
type RestoreSettings = Pick<RestoreValues, 'targetUrl' | 'allowNonEmpty' | 'lockWait'>;

/**
 * Loads a backup into the database of `targetUrl`.
 *
 * @throws ExplainedError, and the target is as it was.
 */
/** PostgreSQL's newest major version that this version of the action knows of, and its successor. */
const NEWEST_KNOWN_MAJOR = 19;

export async function restoreInto(
  { targetUrl, allowNonEmpty, lockWait }: RestoreSettings,
  manifest: Manifest,
  store: ObjectStore,
  signal: AbortSignal,
): Promise<TenantResult> {
  const { env } = process;
  const head = await store.head(manifest.key, signal);
  if (head === undefined) throw damaged(manifest, 'its dump is not in the bucket any more');
  if (head.sizeBytes !== manifest.sizeBytes) {
    throw damaged(manifest, `it has ${head.sizeBytes} bytes instead of ${manifest.sizeBytes}`);
  }
  const dumpedBy = versionOf(manifest.postgres.pgDump);
  // It decides what may be installed: a manifest does not get to ask for anything.
  if (dumpedBy.major > NEWEST_KNOWN_MAJOR)
    throw damaged(manifest, `its pg_dump ${manifest.postgres.pgDump} is not known`);
  const client = await openClientFinder({ env, signal, onNote: (line) => core.info(printable(line)) }).forServer(
    dumpedBy.major,
    knowsRestrict,
  );

  const target = parseConnectionUri(targetUrl);
  const authorities = await trustedAuthorities(env);
  const trust = await prepareLibpqTrust(env);
  const connection = await connectToTarget(target, { signal, authorities }).catch(async (thrown: unknown) => {
    await trust.dispose();
    throw thrown;
  });
  try {
    if (!(await takeLock(connection, { mode: 'exclusive', waitMs: lockWait, signal }))) {
      return { status: 'skipped', reason: 'locked', detail: 'another run works on the target; it was left as it was' };
    }
    await connection.query('SET idle_session_timeout = 0');
    const targetMajor = await checkServer(connection, manifest, target);
    const contents = allowNonEmpty ? '' : await ownContents(connection);
    if (contents !== '') throw notEmpty(placeOf(target), contents);
    await loadBackup({
      client,
      target,
      rootCertificates: trust.rootCertificatesFor(client.major),
      env,
      manifest,
      object: readObject(store, { key: manifest.key, sizeBytes: manifest.sizeBytes, etag: head.etag }, signal),
      leaveOut: linesToLeaveOut(targetMajor),
      transactionStatus: async (transaction) => {
        const [row] = await connection.query('SELECT pg_catalog.txid_status($1::bigint) AS status', [transaction]);
        return typeof row?.['status'] === 'string' ? row['status'] : undefined;
      },
      signal,
    });
    return {
      status: 'succeeded',
      detail: `${manifest.key} of ${manifest.finishedAt} is in ${placeOf(target)}, ${sizeWords(manifest.dumpBytes)} of SQL`,
    };
  } finally {
    await Promise.all([connection.close(), trust.dispose()]);
  }
}

/** What to do about a target that lets nobody in: nothing of it is looked up, it is what target-url says. */
const TARGET_HINTS: Readonly<Record<string, string>> = {
  '28P01':
    'Is the password in target-url the one of today? Fetch the URI anew in the step before, or reset the password.',
  '3D000': 'target-url names a database that is not there. Create it, empty, and run again.',
};

async function connectToTarget(
  target: ConnectionTarget,
  options: Pick<ConnectOptions, 'signal' | 'authorities'>,
): ReturnType<typeof connect> {
  try {
    return await connect(target, { ...options, applicationName: 'neon-fleet restore lock' });
  } catch (thrown) {
    if (!(thrown instanceof PostgresError) || thrown.sqlState === undefined) throw thrown;
    const hint = TARGET_HINTS[thrown.sqlState];
    if (hint === undefined) throw thrown;
    throw new PostgresError({ ...explain(thrown), hint }, thrown.sqlState, thrown.whileConnecting);
  }
}

async function checkServer(
  connection: Awaited<ReturnType<typeof connect>>,
  { postgres }: Manifest,
  target: Parameters<typeof placeOf>[0],
): Promise<number> {
  const [row] = await connection.query("SELECT current_setting('server_version') AS version");
  const version = String(row?.['version']);
  const { major } = versionOf(version);
  if (major >= versionOf(postgres.server).major) return major;
  throw new ExplainedError({
    message: `${placeOf(target)} is PostgreSQL ${version}, older than the ${postgres.server} that the backup was made of; it was left as it was`,
    hint: 'Restore into a database of the same major version or a newer one.',
  });
}

function notEmpty(place: string, contents: string): ExplainedError {
  return new ExplainedError({
    message: `${place} is not empty: it has ${contents}; it was left as it was`,
    hint: 'Restore into a new database. To restore on top of what is there, set allow-non-empty: true.',
  });
}

function versionOf(text: string): ClientVersion {
  const version = parseClientVersion(text);
  if (version === undefined)
    throw new ExplainedError({ message: `${JSON.stringify(text)} is no version of PostgreSQL` });
  return version;
}

/** Whom the report is about: the tenant that the backup is of, as its manifest has it. */
function tenantOf({ projectId, name, database, role }: Manifest): Tenant {
  return { key: name, projectId, name, database, role, assumed: { database: false, role: false }, labels: {} };
}
