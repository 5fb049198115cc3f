import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';

import * as core from '@actions/core';
import {
  logTenant,
  printable,
  printableLine,
  publishRun,
  setSecretOutput,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import { workThroughTenants, type Tenant } from '@neon-fleet/shared/fleet';
import { parseConnectionUri, placeOf } from '@neon-fleet/shared/postgres';
import { S3Error } from '@neon-fleet/shared/s3';
import pMap from 'p-map';

import type { Part, RestoreManyValues } from '../inputs.js';
import { openMigrations } from '../restore/migrate-restored.js';
import { oneAtATime } from '../restore/one-at-a-time.js';
import { restoreInto } from '../restore/restore-into.js';
import { openRestoreSurroundings } from '../restore/surroundings.js';
import { fillTargets } from '../restore/target-template.js';
import { archive } from '../storage/archive.js';
import { chooseBackup, type FindOptions } from '../storage/find-backup.js';
import { readInventory, selectStored, tenantOfStored, type NamedDatabase } from '../storage/inventory.js';
import { normalisePrefix } from '../storage/keys.js';
import type { Manifest } from '../storage/manifest.js';
import { openStorage } from '../storage/storage.js';
import { BREAKER } from './session.js';

const READS_AT_A_TIME = 16;

/** A tenant to restore, with where it goes to. */
interface Candidate extends Tenant {
  /** The backup, or why there is none: that is this tenant's failure, and nobody else's. */
  readonly backup: Manifest | { readonly missing: unknown };
  /** A secret. */
  readonly targetUrl: string;
}

/** `command: restore` of many tenants, each into a database of its own. It talks to S3 and to the targets only. */
export async function restoreMany(values: RestoreManyValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const onNote = (line: string) => core.info(printable(line));
  const store = openStorage(values, process.env);
  await using surroundings = await openRestoreSurroundings(process.env, signal, onNote);
  const migrate = await openMigrations(values, values.migrateTo, surroundings.authorities);
  const tenants = partOf(await chooseAll(store, values, signal), values.part);
  for (const { targetUrl } of tenants) {
    const { password } = parseConnectionUri(targetUrl);
    if (password !== '') context.mask(password);
  }

  /** Of the roles that were made, by server: that is whom they belong to. */
  const passwords = new Map<string, Record<string, string>>();
  const restored: object[] = [];
  // Roles belong to the server: two restores that look at the same time would both make those that they share.
  const rolesOfServer = oneAtATime();
  const outcomes = await workThroughTenants({
    tenants,
    concurrency: values.concurrency,
    retries: values.retries,
    breaker: BREAKER,
    signal,
    onOutcome: logTenant,
    onHalt: ({ why }) => core.warning(printableLine(`No other tenant is started: ${why}`)),
    work: async ({ projectId, database, backup, targetUrl }, work) => {
      if ('missing' in backup) throw backup.missing;
      const target = parseConnectionUri(targetUrl);
      const server = `${target.host}:${target.port}`;
      const result = await restoreInto(
        {
          ...values,
          targetUrl,
          jobs: values.jobs ?? Math.max(1, Math.floor(availableParallelism() / values.concurrency)),
          createMissing: true,
          mark: true,
          onPassword: context.mask,
          onRole: (role, password) => passwords.set(server, { ...passwords.get(server), [role]: password }),
          makeRoles: (make) => rolesOfServer(server, make),
        },
        backup,
        store,
        surroundings,
        work.signal,
      );
      if (result.status === 'succeeded' || result.status === 'unchanged')
        restored.push({ projectId, database, key: backup.key, place: placeOf(target) });
      return migrate(targetUrl, result, work);
    },
  });
  core.setOutput('restored-by', 'dump');
  core.setOutput('restored', JSON.stringify(restored));
  if (passwords.size > 0) setSecretOutput('role-passwords', JSON.stringify(Object.fromEntries(passwords)));
  const report = await publishRun({
    action: 'backup',
    command: 'restore',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
  });
  await archive(values, report);
}

/** Everybody whom the globs choose, also those of other parts: all targets are held against one another. */
async function chooseAll(
  store: ReturnType<typeof openStorage>,
  values: RestoreManyValues,
  signal: AbortSignal,
): Promise<Candidate[]> {
  const onNote = (line: string) => core.warning(printable(line));
  const options = { prefix: normalisePrefix(values.s3Prefix), signal, onNote };
  const chosen = selectStored(await readInventory(store, options), values, {
    bucket: store.bucket,
    prefix: options.prefix,
  });
  const backups = await pMap(chosen, (stored) => backupOf(store, stored, values, options), {
    concurrency: READS_AT_A_TIME,
  });
  const found = chosen.map((stored, index) => ({ tenant: tenantOfStored(stored), backup: backups[index] }));
  const targets = fillTargets(
    values.targetUrl,
    found.map(({ tenant, backup }) => ({
      ...tenant,
      source: backup === undefined || 'missing' in backup ? undefined : backup.source,
    })),
  );
  return found.flatMap(({ tenant, backup }, index) => {
    const targetUrl = targets[index];
    return backup === undefined || targetUrl === undefined ? [] : [{ ...tenant, backup, targetUrl }];
  });
}

async function backupOf(
  store: ReturnType<typeof openStorage>,
  { newest, backups }: NamedDatabase,
  { at, maxGap }: Pick<RestoreManyValues, 'at' | 'maxGap'>,
  options: FindOptions,
): Promise<Candidate['backup']> {
  if (at === undefined && newest !== undefined) return newest;
  try {
    return await chooseBackup(store, backups, at === undefined ? undefined : { moment: at, maxGapMs: maxGap }, options);
  } catch (thrown) {
    if (thrown instanceof S3Error || options.signal.aborted) throw thrown;
    return { missing: thrown };
  }
}

/**
 * Those of one part. Which part a tenant is in is decided by its id alone, so that the jobs of a matrix agree about it, and
 * nobody is left out when another tenant comes or goes between two of them.
 */
export function partOf<T extends Pick<Tenant, 'projectId' | 'database'>>(
  tenants: readonly T[],
  part: Part | undefined,
): readonly T[] {
  if (part === undefined) return tenants;
  return tenants.filter(({ projectId, database }) => {
    const digest = createHash('sha256').update(`${projectId}/${database}`).digest();
    return digest.readUInt32BE() % part.of === part.number - 1;
  });
}
