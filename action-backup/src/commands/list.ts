import * as core from '@actions/core';
import {
  logTenant,
  openNeonFor,
  openStorage,
  printable,
  publishRun,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import { instantOf, normalisePrefix, parseKey, readCoverage, readVerification } from '@neon-fleet/shared/backups';
import { ExplainedError } from '@neon-fleet/shared/errors';
import {
  discoverTenants,
  selectTenants,
  workThroughTenants,
  type Outcome,
  type Tenant,
  type TenantResult,
} from '@neon-fleet/shared/fleet';
import type { ProjectRef } from '@neon-fleet/shared/neon';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { archive } from '../storage/archive.js';
import { ageWords } from '../words/ages.js';
import type { ListValues } from '../inputs.js';
import { readInventory, selectStored, tenantOfStored, type NamedDatabase } from '../storage/inventory.js';
import { sizeWords } from '../words/sizes.js';

/** What `list` says of one database, for people and for machines. */
export interface ListedTenant {
  readonly projectId: string;
  readonly name: string;
  readonly database: string;
  readonly backups: number;
  readonly totalBytes: number;
  /** Key, instant and size of the newest backup; absent when there is none. */
  readonly newest?: { readonly key: string; readonly at: string; readonly sizeBytes: number };
  /** When it was last seen that nothing has changed since the newest backup. */
  readonly coveredAt?: string;
  readonly lastVerified?: { readonly key: string; readonly at: string; readonly outcome: 'passed' | 'failed' };
  /** Whether the project still exists; absent when Neon was not asked. */
  readonly exists?: boolean;
}

/**
 * `command: list`: what there is of every tenant, also of those whose project is gone. With `max-age` it is red when a
 * tenant has nothing younger: the alarm for gaps that nobody was told of. It needs S3 only; with a Neon key it also
 * misses the tenants that never had a backup.
 */
export async function listCommand(values: ListValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const prefix = normalisePrefix(values.s3Prefix);
  const store = openStorage(values, process.env);
  const onNote = (line: string) => core.warning(printable(line));
  const inventory = await readInventory(store, { prefix, signal, onNote });
  const fleet = await fleetOf(values, context);
  const rows = chooseRows(inventory, fleet, values, { bucket: store.bucket, prefix });
  const listed: ListedTenant[] = [];
  const outcomes = await workThroughTenants({
    tenants: rows,
    concurrency: values.concurrency,
    signal,
    onOutcome: logTenant,
    work: async (row) => {
      const tenant = await describeRow(store, prefix, row, signal);
      listed.push(tenant);
      return judge(tenant, values.maxAge, context.startedAt);
    },
  });
  core.setOutput('list', JSON.stringify(listed.toSorted((a, b) => (a.projectId < b.projectId ? -1 : 1))));
  const report = await publishRun({
    action: 'backup',
    command: 'list',
    startedAt: context.startedAt,
    outcomes: [...outcomes, ...fleet.settled],
    allowSkipped: values.allowSkipped,
  });
  await archive(values, report);
}

interface Fleet {
  /** The tenants that Neon has, and that are meant; undefined when it was not asked. */
  readonly tenants: readonly Tenant[] | undefined;
  readonly projects: readonly ProjectRef[];
  readonly settled: readonly Outcome[];
}

async function fleetOf(values: ListValues, context: ActionContext): Promise<Fleet> {
  const { neonApiKey } = values;
  if (neonApiKey === undefined) return { tenants: undefined, projects: [], settled: [] };
  const listing = await openNeonFor({ ...values, neonApiKey }, context).listProjects();
  const { tenants, settled } = discoverTenants(listing, values.tenants ?? ['*'], values, new Date());
  return { tenants, projects: listing.projects, settled };
}

/** A line of the list: what is stored, and whether the project is there. */
export interface Row extends Tenant {
  readonly stored: NamedDatabase | undefined;
  readonly exists: boolean | undefined;
}

/** Pure: brings together what is stored and who exists. */
export function chooseRows(
  inventory: readonly NamedDatabase[],
  { tenants, projects }: Pick<Fleet, 'tenants' | 'projects'>,
  values: Pick<ListValues, 'tenants' | 'database'>,
  place: { readonly bucket: string; readonly prefix: string },
): Row[] {
  const patterns = values.tenants ?? ['*'];
  if (tenants === undefined) {
    const chosen = selectStored(inventory, { tenants: patterns, database: values.database }, place);
    return chosen.map((stored) => ({ ...tenantOfStored(stored), stored, exists: undefined }));
  }
  const meant = new Map(tenants.map((tenant) => [tenant.projectId, tenant]));
  const existing = new Set(projects.map(({ projectId }) => projectId));
  const gone = inventory.filter(({ projectId }) => !existing.has(projectId));
  const matching = gone.length === 0 ? [] : selectGone(gone, patterns, values.database);
  const rows = inventory.flatMap((stored): Row[] => {
    const tenant = meant.get(stored.projectId);
    if (tenant !== undefined) return [{ ...tenant, database: stored.database, stored, exists: true }];
    return matching.includes(stored) ? [{ ...tenantOfStored(stored), stored, exists: false }] : [];
  });
  const covered = new Set(rows.map(({ projectId }) => projectId));
  const missing = tenants.filter(({ projectId }) => !covered.has(projectId));
  return [...rows, ...missing.map((tenant): Row => ({ ...tenant, stored: undefined, exists: true }))];
}

/** The same patterns, for those that Neon does not have any more; that one of them matches nobody is no mistake here. */
function selectGone(
  gone: readonly NamedDatabase[],
  patterns: readonly string[],
  database: string | undefined,
): NamedDatabase[] {
  const { selected } = selectTenants(
    gone.map((stored) => ({ key: stored.name, name: stored.name, projectId: stored.projectId, stored })),
    patterns,
  );
  return selected.map(({ stored }) => stored).filter((each) => database === undefined || each.database === database);
}

export async function describeRow(
  store: Pick<ObjectStore, 'get'>,
  prefix: string,
  { stored, exists, projectId, name, database }: Row,
  signal: AbortSignal,
): Promise<ListedTenant> {
  const who = { projectId, name, database, ...(exists === undefined ? {} : { exists }) };
  if (stored === undefined) return { ...who, backups: 0, totalBytes: 0 };
  const sizes = new Map(stored.objects.map(({ key, sizeBytes }) => [key, sizeBytes]));
  const totalBytes = stored.backups.reduce((sum, { objectKey }) => sum + (sizes.get(objectKey) ?? 0), 0);
  const [first] = stored.backups;
  const noted = (kind: 'verification' | 'coverage') =>
    stored.objects
      .flatMap(({ key }) => parseKey(prefix, key) ?? [])
      .filter((parsed) => parsed.kind === kind)
      .toSorted((a, b) => (a.timestamp < b.timestamp ? 1 : -1))
      .at(0)?.objectKey;
  const verified = noted('verification');
  const verification = verified === undefined ? undefined : await readVerification(store, verified, signal);
  const covered = noted('coverage');
  const coverage =
    covered === undefined || covered !== first?.objectKey ? undefined : await readCoverage(store, covered, signal);
  const at = first === undefined ? undefined : instantOf(first.timestamp);
  return {
    ...who,
    backups: stored.backups.length,
    totalBytes,
    ...(first === undefined || at === undefined
      ? {}
      : { newest: { key: first.objectKey, at: at.toISOString(), sizeBytes: sizes.get(first.objectKey) ?? 0 } }),
    ...(coverage === undefined ? {} : { coveredAt: coverage.at }),
    ...(verification === undefined
      ? {}
      : { lastVerified: { key: verification.key, at: verification.at, outcome: verification.outcome } }),
  };
}

/** Whether a tenant is covered as it should be. @throws ExplainedError when it is not. */
export function judge(tenant: ListedTenant, maxAgeMs: number | undefined, now: Date): TenantResult {
  const { newest, coveredAt, exists, lastVerified } = tenant;
  if (newest === undefined) {
    throw new ExplainedError({
      message: `there is no backup of ${tenant.name}`,
      hint: 'Was it ever part of a run, and did that run succeed? Look at s3-bucket and s3-prefix, too.',
    });
  }
  const ageOf = (instant: string) => now.getTime() - new Date(instant).getTime();
  const age = ageOf(newest.at);
  const coveredAge = coveredAt === undefined ? age : Math.min(age, ageOf(coveredAt));
  const words = [
    `newest ${ageWords(age)} old, ${sizeWords(newest.sizeBytes)}`,
    ...(coveredAge < age ? [`nothing has changed since, as seen ${ageWords(coveredAge)} ago`] : []),
    `${tenant.backups} in all, ${sizeWords(tenant.totalBytes)}`,
    lastVerified === undefined
      ? 'never verified'
      : `verification ${ageWords(ageOf(lastVerified.at))} ago ${lastVerified.outcome}`,
    ...(exists === false ? ['the project is gone'] : []),
  ].join('; ');
  // Of a project that is gone no younger backup can be made.
  if (maxAgeMs !== undefined && coveredAge > maxAgeMs && exists !== false) {
    throw new ExplainedError({
      message: `the newest backup of ${tenant.name} is ${ageWords(coveredAge)} old, older than max-age (${words})`,
      hint: 'Look at the last runs of the backup: this tenant failed, was skipped, or was not selected.',
    });
  }
  return { status: 'succeeded', detail: words };
}
