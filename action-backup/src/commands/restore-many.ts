import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';

import * as core from '@actions/core';
import {
  logTenant,
  printable,
  printableLine,
  publishRun,
  setSecretOutput,
  Stores,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import type { Manifest } from '@neon-fleet/shared/backups';
import { workThroughTenants, type Tenant } from '@neon-fleet/shared/fleet';
import { parseConnectionUri, placeOf } from '@neon-fleet/shared/postgres';
import { S3Error, type ObjectStore } from '@neon-fleet/shared/s3';
import pMap from 'p-map';

import type { Part, RestoreManyValues } from '../inputs.js';
import { openMigrations } from '../restore/migrate-restored.js';
import { oneAtATime } from '../restore/one-at-a-time.js';
import { restoreInto } from '../restore/restore-into.js';
import { openRestoreSurroundings } from '../restore/surroundings.js';
import { fillTargets } from '../restore/target-template.js';
import { archive } from '../storage/archive.js';
import { chooseBackup, type FindOptions } from '../storage/find-backup.js';
import { tenantOfStored } from '../storage/inventory.js';
import { choosePlaced, type PlacedDatabase } from '../storage/placed.js';
import { fleetOf } from './discover.js';
import { BREAKER } from './session.js';

const READS_AT_A_TIME = 16;

/** A tenant to restore, with where it goes to. */
interface Candidate extends Tenant {
  /** The backup, or why there is none: that is this tenant's failure, and nobody else's. */
  readonly found: Manifest | { readonly missing: unknown };
  readonly store: ObjectStore;
  /** A secret. */
  readonly targetUrl: string;
}

/** `command: restore` of many tenants, each into a database of its own. It talks to S3 and to the targets only. */
export async function restoreMany(values: RestoreManyValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const onNote = (line: string) => core.info(printable(line));
  await using surroundings = await openRestoreSurroundings(process.env, signal, onNote);
  const migrate = await openMigrations(values, values.migrateTo, surroundings.authorities);
  const tenants = partOf(await chooseAll(values, signal), values.part);
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
    work: async ({ projectId, database, found, store, targetUrl }, work) => {
      if ('missing' in found) throw found.missing;
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
        found,
        store,
        surroundings,
        work.signal,
      );
      if (result.status === 'succeeded' || result.status === 'unchanged')
        restored.push({ projectId, database, key: found.key, place: placeOf(target) });
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
async function chooseAll(values: RestoreManyValues, signal: AbortSignal): Promise<Candidate[]> {
  const onNote = (line: string) => core.warning(printable(line));
  const looking = { signal, onNote };
  const fleet = await fleetOf(values);
  const chosen = await choosePlaced(new Stores(values, process.env), values, fleet, looking);
  const candidates = await pMap(
    chosen,
    async (stored) => {
      const found = await backupOf(stored, values, looking);
      const source = 'missing' in found ? undefined : found.source;
      return { ...tenantOfStored(stored), store: stored.store, found, source };
    },
    { concurrency: READS_AT_A_TIME },
  );
  return fillTargets(values.targetUrl, candidates);
}

async function backupOf(
  { newest, backups, store, place }: PlacedDatabase,
  { at, maxGap }: Pick<RestoreManyValues, 'at' | 'maxGap'>,
  looking: Pick<FindOptions, 'signal' | 'onNote'>,
): Promise<Candidate['found']> {
  if (at === undefined && newest !== undefined) return newest;
  try {
    return await chooseBackup(store, backups, at === undefined ? undefined : { moment: at, maxGapMs: maxGap }, {
      ...looking,
      prefix: place.prefix,
    });
  } catch (thrown) {
    if (thrown instanceof S3Error || looking.signal.aborted) throw thrown;
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
