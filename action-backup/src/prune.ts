import { explain } from '@neon-fleet/shared/errors';
import type { DeleteRefusal, ObjectStore } from '@neon-fleet/shared/s3';

import { databasePrefix } from './keys.js';
import { chooseDeletable, type RetentionPolicy, type RetentionScope } from './retention.js';

export interface Pruned {
  readonly deleted: readonly string[];
  /** What could not be deleted or looked at, in words. */
  readonly problems: readonly string[];
}

/**
 * Deletes the backups of one database that the policy no longer keeps. To be called only after a new one is good.
 *
 * The manifests go first: what remains when this is killed in between is an object without manifest, which is no backup,
 * and never a manifest that promises an object that is gone. A refusal is told, and no failure of the backup.
 */
export async function prune(
  store: Pick<ObjectStore, 'list' | 'delete'>,
  scope: RetentionScope,
  policy: RetentionPolicy,
  now: Date,
  signal: AbortSignal,
): Promise<Pruned> {
  try {
    const keys: string[] = [];
    for await (const page of store.list(databasePrefix(scope.prefix, scope.projectId, scope.database), { signal })) {
      keys.push(...page.map(({ key }) => key));
    }
    const chosen = chooseDeletable(keys, scope, policy, now);
    if (chosen.length === 0) return { deleted: [], problems: [] };
    const manifests = await store.delete(
      chosen.map(({ manifestKey }) => manifestKey),
      signal,
    );
    const kept = new Set(manifests.map(({ key }) => key));
    const uncommitted = chosen.filter(({ manifestKey }) => !kept.has(manifestKey)).map(({ key }) => key);
    const objects = uncommitted.length === 0 ? [] : await store.delete(uncommitted, signal);
    const refused = new Set(objects.map(({ key }) => key));
    return {
      deleted: uncommitted.filter((key) => !refused.has(key)),
      problems: [...manifests, ...objects].map(refusalWords),
    };
  } catch (thrown) {
    return { deleted: [], problems: [explain(thrown).message] };
  }
}

function refusalWords({ key, why }: DeleteRefusal): string {
  return `${key} was not deleted: ${why}`;
}
