import * as core from '@actions/core';
import {
  type ActionContext,
  logTenant,
  openNeonFor,
  printable,
  publishRun,
  setSecretOutput,
  Stores,
} from '@neon-fleet/shared/actions';
import { type Manifest, openObject } from '@neon-fleet/shared/backups';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { workThroughTenants, type Tenant, type TenantResult } from '@neon-fleet/shared/fleet';
import {
  connect,
  openClientFinder,
  parseConnectionUri,
  placeOf,
  PostgresError,
  prepareLibpqTrust,
  takeLock,
  trustedAuthorities,
  type ConnectionTarget,
  type ConnectOptions,
} from '@neon-fleet/shared/postgres';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { archive } from '../storage/archive.js';
import { findAnywhere } from '../storage/find-anywhere.js';
import type { WantedBackup } from '../storage/find-backup.js';
import type { RestoreValues } from '../inputs.js';
import { clientFor, loadAny, versionOf } from '../restore/load-any.js';
import { makeTarget } from '../restore/new-project.js';
import { planRoles } from '../roles/plan-roles.js';
import { fleetOf } from './discover.js';
import { ownContents } from '../restore/target-contents.js';
import { sizeWords } from '../words/sizes.js';

/** `command: restore`: loads one backup into a database. It talks to S3 and to the target, and to nobody else. */
export async function restore(values: RestoreValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const wanted = wantedOf(values);
  const looking = { signal, onNote: (line: string) => core.warning(printable(line)) };
  const stores = new Stores(values, process.env);
  const { manifest, store } = await findAnywhere(stores, values, await fleetOf(values), wanted, looking);
  core.info(printable(`Restoring ${manifest.key}, made ${manifest.finishedAt} of ${manifest.name}`));

  const passwords: Record<string, string> = {};
  const onPassword = (role: string, password: string) => {
    context.mask(password);
    passwords[role] = password;
  };
  const outcomes = await workThroughTenants({
    tenants: [tenantOf(manifest)],
    concurrency: 1,
    signal,
    onOutcome: logTenant,
    work: async () => {
      const targetUrl = await targetOf(values, manifest, context);
      return restoreInto({ ...values, targetUrl, onPassword }, manifest, store, signal);
    },
  });
  const made = Object.entries(passwords);
  if (made.length > 0) setSecretOutput('role-passwords', JSON.stringify(passwords));
  if (outcomes.every(({ status }) => status === 'succeeded')) core.setOutput('restored-from', manifest.key);
  const report = await publishRun({
    action: 'backup',
    command: 'restore',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
  });
  await archive(values, report);
}

function wantedOf({ backup, at, maxGap, tenant = '', database }: RestoreValues): WantedBackup {
  if (at !== undefined) return { tenant, database, at: { moment: at, maxGapMs: maxGap } };
  return backup === undefined || backup === 'latest' ? { tenant, database } : { key: backup };
}

/** Where to restore to: as the inputs say, or a project that is made for it. */
async function targetOf(values: RestoreValues, manifest: Manifest, context: ActionContext): Promise<string> {
  const { target, targetUrl = '', neonApiKey = '' } = values;
  if (target === 'url') return targetUrl;
  const neon = openNeonFor({ ...values, neonApiKey }, context);
  const made = await makeTarget(neon, manifest, context.stop.signal);
  core.setOutput('project-id', made.projectId);
  core.info(printable(`Made the project ${made.name} (${made.projectId})`));
  return made.uri;
}

/** What of the inputs says where and how to restore. */
export interface RestoreSettings extends Pick<RestoreValues, 'allowNonEmpty' | 'lockWait'> {
  /** A secret. */
  readonly targetUrl: string;
  /** Whether roles, memberships and grants are brought back. */
  readonly restoreRoles?: boolean;
  /** How many connections load a custom dump; default: one for each core. */
  readonly jobs?: number | undefined;
  /** Told of the password of every role that is made, before anything else can see it. */
  readonly onPassword?: (role: string, password: string) => void;
}

/**
 * Loads a backup into the database of `targetUrl`.
 *
 * @throws ExplainedError, and the target is as it was; the one exception is a custom dump that fails half way.
 */
export async function restoreInto(
  settings: RestoreSettings,
  manifest: Manifest,
  store: Pick<ObjectStore, 'head' | 'getRange'>,
  signal: AbortSignal,
): Promise<TenantResult> {
  const { env } = process;
  const { allowNonEmpty, lockWait } = settings;
  const target = parseConnectionUri(settings.targetUrl);
  if (isSource(manifest, target)) throw isTheSource(manifest, placeOf(target));
  const object = await openObject(store, manifest, signal);
  const client = await clientFor(
    manifest,
    openClientFinder({ env, signal, onNote: (line) => core.info(printable(line)) }),
  );
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
    const roles = settings.restoreRoles === true ? await planRoles(connection, manifest, target.database) : undefined;
    for (const { name, password } of roles?.created ?? []) {
      if (password !== undefined) settings.onPassword?.(name, password);
    }
    await loadAny({
      client,
      target,
      targetMajor,
      rootCertificates: trust.rootCertificatesFor(client.major),
      env,
      manifest,
      object,
      connection,
      ...(roles === undefined ? {} : { before: roles.before, after: roles.after }),
      jobs: settings.jobs,
      signal,
    });
    const made = roles === undefined || roles.created.length === 0 ? '' : `, ${roles.created.length} roles made`;
    return {
      status: 'succeeded',
      detail: `${manifest.key} of ${manifest.finishedAt} is in ${placeOf(target)}, ${sizeWords(manifest.dumpBytes)}${made}`,
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

/** Whether the target is the very database that the backup was made of; its pooler leads there as well. */
export function isSource({ source }: Pick<Manifest, 'source'>, target: Parameters<typeof placeOf>[0]): boolean {
  const host = target.host.replace(/^(ep-[a-z0-9-]+)-pooler\./, '$1.');
  return source !== undefined && source === placeOf({ ...target, host });
}

function isTheSource({ key }: Manifest, place: string): ExplainedError {
  return new ExplainedError({
    message: `${place} is the database that ${key} was made of: a backup is never restored over its source; it was left as it was`,
    hint: 'Restore into a new project or branch, compare, and switch over.',
  });
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

/** Whom the report is about: the tenant that the backup is of, as its manifest has it. */
function tenantOf({ projectId, name, database, role }: Manifest): Tenant {
  return { key: name, projectId, name, database, role, assumed: { database: false, role: false }, labels: {} };
}
