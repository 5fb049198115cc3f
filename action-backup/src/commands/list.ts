import * as core from '@actions/core';
import {
  type ActionContext,
  catalogProjectOf,
  logTenant,
  openNeonFor,
  printable,
  publishRun,
  Stores,
} from '@neon-fleet/shared/actions';
import { instantOf, readCoverage, readVerification } from '@neon-fleet/shared/backups';
import { ExplainedError } from '@neon-fleet/shared/errors';
import {
  selectMembers,
  selectTenants,
  tenantOfMember,
  workThroughTenants,
  type DesiredTenant,
  type Fleet,
  type Outcome,
  type Tenant,
  type TenantResult,
} from '@neon-fleet/shared/fleet';

import { archive } from '../storage/archive.js';
import { ageWords } from '../words/ages.js';
import type { ListValues } from '../inputs.js';
import { isOfDatabase, notesOf, selectStored, tenantOfStored } from '../storage/inventory.js';
import { readPlaces, tellStrays, whereWords, type PlacedDatabase } from '../storage/placed.js';
import { chooseTenants, fleetOf } from './discover.js';
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
  const onNote = (line: string) => core.warning(printable(line));
  const file = await fleetOf(values);
  const { databases, strays } = await readPlaces(new Stores(values, process.env), values, file, { signal, onNote });
  tellStrays(strays, onNote);
  const fleet = await whoThereIs(values, file, context);
  const rows = chooseRows(databases, fleet, values, whereWords(values, file));
  const listed: ListedTenant[] = [];
  const outcomes = await workThroughTenants({
    tenants: rows,
    concurrency: values.concurrency,
    signal,
    onOutcome: logTenant,
    work: async (row) => {
      const tenant = await describeRow(row, signal);
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

interface WhoThereIs {
  /** The tenants that Neon or the fleet file has, and that are meant; undefined when neither was asked. */
  readonly tenants: readonly Tenant[] | undefined;
  /** Ids of all projects; undefined when Neon was not asked. */
  readonly existing: ReadonlySet<string> | undefined;
  readonly settled: readonly Outcome[];
}

async function whoThereIs(values: ListValues, file: Fleet | undefined, context: ActionContext): Promise<WhoThereIs> {
  const { neonApiKey, tenants: patterns } = values;
  if (neonApiKey !== undefined) {
    const listing = await openNeonFor({ ...values, neonApiKey }, context).listProjects();
    const selection = { ...values, tenants: file === undefined ? (patterns ?? ['*']) : patterns };
    const { tenants, settled } = chooseTenants(
      listing,
      selection,
      file,
      await catalogProjectOf(values.catalogUrl, context),
    );
    // Whose project is gone has a line by the backups that are left of it.
    const others = settled.filter((outcome) => !('reason' in outcome && outcome.reason === 'gone'));
    return { tenants, existing: new Set(listing.projects.map(({ projectId }) => projectId)), settled: others };
  }
  if (file === undefined) return { tenants: undefined, existing: undefined, settled: [] };
  const { selected } = selectMembers(file.members, patterns);
  return { tenants: selected.map((member) => unseenTenant(member, values)), existing: undefined, settled: [] };
}

/** A line of the list: what is stored, and whether the project is there. */
export interface Row extends Tenant {
  readonly stored: PlacedDatabase | undefined;
  /** Undefined when nobody was asked. */
  readonly exists: boolean | undefined;
}

/** Pure: brings together what is stored and who there is. */
export function chooseRows(
  databases: readonly PlacedDatabase[],
  { tenants, existing }: Pick<WhoThereIs, 'tenants' | 'existing'>,
  values: Pick<ListValues, 'tenants' | 'database'>,
  where: string,
): Row[] {
  const patterns = values.tenants ?? ['*'];
  if (tenants === undefined) {
    const chosen = selectStored(databases, { tenants: patterns, database: values.database }, where);
    return chosen.map((stored) => ({ ...tenantOfStored(stored), stored, exists: undefined }));
  }
  const isMeant = new Map(tenants.flatMap((tenant) => [[idOf(tenant), tenant] as const]));
  const meantBy = ({ projectId, key, member }: PlacedDatabase) =>
    isMeant.get(projectId) ?? (member === undefined ? undefined : isMeant.get(key));
  const isLeft = ({ member, projectId }: PlacedDatabase) =>
    existing === undefined ? member === undefined : !existing.has(projectId);
  const others = databases.filter((stored) => meantBy(stored) === undefined && isLeft(stored));
  const gone = new Set(others.length === 0 ? [] : selectGone(others, patterns, values.database));
  const rows = databases.flatMap((stored): Row[] => {
    const tenant = meantBy(stored);
    const exists = existing?.has(stored.projectId);
    if (tenant !== undefined) {
      return [{ ...tenant, projectId: stored.projectId, database: stored.database, stored, exists }];
    }
    return gone.has(stored) ? [{ ...tenantOfStored(stored), stored, exists }] : [];
  });
  const covered = new Set(databases.map(meantBy));
  const missing = tenants.filter((tenant) => !covered.has(tenant));
  return [
    ...rows,
    ...missing.map((tenant): Row => ({
      ...tenant,
      stored: undefined,
      exists: existing === undefined ? undefined : true,
    })),
  ];
}

/** Whom the fleet file names without an id is known by its key until its first backup. */
function idOf({ projectId, key }: Tenant): string {
  return projectId === '' ? key : projectId;
}

/** A tenant of the fleet file, when Neon is not asked. */
function unseenTenant(member: DesiredTenant, values: ListValues): Tenant {
  const { name, projectId = '' } = member;
  return tenantOfMember(member, { projectId, name, regionId: '', pgVersion: 0, createdAt: '' }, values);
}

/** The same patterns, for those that nobody has any more; that one of them matches nobody is no mistake here. */
function selectGone(
  gone: readonly PlacedDatabase[],
  patterns: readonly string[],
  database: string | undefined,
): PlacedDatabase[] {
  const { selected } = selectTenants(
    gone.map((stored) => ({ key: stored.key, name: stored.name, projectId: stored.projectId, stored })),
    patterns,
  );
  return selected.map(({ stored }) => stored).filter((stored) => isOfDatabase(stored, database));
}

export async function describeRow(
  { stored, exists, projectId, name, database }: Row,
  signal: AbortSignal,
): Promise<ListedTenant> {
  const who = { projectId, name, database, ...(exists === undefined ? {} : { exists }) };
  if (stored === undefined) return { ...who, backups: 0, totalBytes: 0 };
  const { store, place } = stored;
  const { prefix } = place;
  const sizes = new Map(stored.objects.map(({ key, sizeBytes }) => [key, sizeBytes]));
  const totalBytes = stored.backups.reduce((sum, { objectKey }) => sum + (sizes.get(objectKey) ?? 0), 0);
  const [first] = stored.backups;
  const noted = (kind: 'verification' | 'coverage') => notesOf(stored, prefix, kind).at(0)?.objectKey;
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
