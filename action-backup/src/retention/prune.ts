import { databasePrefix } from '@neon-fleet/shared/backups';
import { explain } from '@neon-fleet/shared/errors';
import { placeOf, type DeleteRefusal, type ObjectStore, type OpenUpload } from '@neon-fleet/shared/s3';

import { chooseOrphans, type OrphanRules, type Orphans } from '../storage/orphans.js';
import { decideRetention, type RetentionDecision, type RetentionPolicy, type RetentionScope } from './retention.js';

export interface Pruned {
  readonly deleted: readonly string[];
  /** Garbage that was removed: the keys of objects. */
  readonly cleared: readonly string[];
  /** Unfinished uploads that were removed, in words. */
  readonly aborted: readonly string[];
  /** What could not be deleted or looked at, in words. */
  readonly problems: readonly string[];
}

/** What to delete, besides whose. */
export interface PruneRules {
  /** Undefined: no backup is deleted. */
  readonly retention: RetentionPolicy | undefined;
  /** Undefined: nothing that was never finished is deleted. */
  readonly orphans: OrphanRules | undefined;
}

/** What the rules make of one database's part of the bucket. */
export interface PrunePlan {
  readonly decisions: readonly RetentionDecision[];
  readonly orphans: Orphans;
}

type Store = Pick<ObjectStore, 'bucket' | 'list' | 'delete' | 'listUploads' | 'abortUpload'>;

const NO_ORPHANS: Orphans = { objects: [], uploads: [] };

/**
 * Deletes the backups of one database that the policy no longer keeps, and what was never finished. To be called only
 * after a new one is good. A refusal is told, and no failure of the backup.
 */
export async function prune(
  store: Store,
  scope: RetentionScope,
  rules: PruneRules,
  now: Date,
  signal: AbortSignal,
): Promise<Pruned> {
  if (rules.retention === undefined && rules.orphans === undefined)
    return { deleted: [], cleared: [], aborted: [], problems: [] };
  try {
    const below = databasePrefix(scope.prefix, scope.projectId, scope.database);
    const keys: string[] = [];
    for await (const page of store.list(below, { signal })) keys.push(...page.map(({ key }) => key));
    const uploads = rules.orphans === undefined ? [] : ((await store.listUploads(below, signal)) ?? []);
    return await carryOut(store, planPrune(keys, uploads, scope, rules, now), signal);
  } catch (thrown) {
    return { deleted: [], cleared: [], aborted: [], problems: [explain(thrown).message] };
  }
}

/** Decides what goes and what stays. Pure. */
export function planPrune(
  keys: readonly string[],
  uploads: readonly OpenUpload[],
  scope: RetentionScope,
  { retention, orphans }: PruneRules,
  now: Date,
): PrunePlan {
  return {
    decisions: retention === undefined ? [] : decideRetention(keys, scope, retention, now),
    orphans: orphans === undefined ? NO_ORPHANS : chooseOrphans(keys, uploads, scope, orphans, now),
  };
}

/**
 * The manifests go first: what remains when this is killed in between is an object without manifest, which is no backup,
 * and never a manifest that promises an object that is gone.
 *
 * @throws S3Error, or the reason of the signal.
 */
export async function carryOut(store: Store, { decisions, orphans }: PrunePlan, signal: AbortSignal): Promise<Pruned> {
  const chosen = decisions.filter(({ keep }) => !keep);
  const refusals: DeleteRefusal[] = [];
  const deleteAll = async (keys: readonly string[]): Promise<ReadonlySet<string>> => {
    const refused = keys.length === 0 ? [] : await store.delete(keys, signal);
    refusals.push(...refused);
    const kept = new Set(refused.map(({ key }) => key));
    return new Set(keys.filter((key) => !kept.has(key)));
  };
  const manifests = await deleteAll(chosen.map(({ manifestKey }) => manifestKey));
  const uncommitted = chosen.filter(({ manifestKey }) => manifests.has(manifestKey));
  const gone = await deleteAll(uncommitted.flatMap(({ key, companions }) => [key, ...companions]));
  const cleared = await deleteAll(orphans.objects);
  const aborted: string[] = [];
  for (const upload of orphans.uploads) {
    await store.abortUpload(upload, signal);
    aborted.push(`the unfinished upload of ${placeOf(store.bucket, upload.key)}`);
  }
  return {
    deleted: uncommitted.map(({ key }) => key).filter((key) => gone.has(key)),
    cleared: [...cleared],
    aborted,
    problems: refusals.map(({ key, why }) => `${key} was not deleted: ${why}`),
  };
}
