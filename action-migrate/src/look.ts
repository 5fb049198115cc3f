import { inspectDatabase, plannedRecord, type Assessment } from '@neon-fleet/shared/drizzle';
import type { Tenant, TenantResult, WorkContext } from '@neon-fleet/shared/fleet';
import { findDatabase } from '@neon-fleet/shared/neon';

import type { Rollout } from './rollout.js';

/** What a look at one tenant showed; the tenant was not touched. */
export interface Look {
  readonly assessment: Assessment;
  /** Such as `17.2`. */
  readonly serverVersion: string;
}

/** Looks at a tenant without changing anything. Wakes its compute. */
export async function lookAt(rollout: Rollout, tenant: Tenant, { signal }: Pick<WorkContext, 'signal'>): Promise<Look> {
  const { neon, folder, table, target, authorities } = rollout;
  const { uri } = await findDatabase(neon, tenant);
  return inspectDatabase(uri, { folder, table, to: target, authorities, signal });
}

/** What migrating would make of a tenant as it is now; undefined when there is work for it. */
export function foreseenResult(
  assessment: Assessment,
  { onDrift, to }: { readonly onDrift: 'skip' | 'fail' | 'apply'; readonly to: string },
): TenantResult | undefined {
  const migration = plannedRecord(assessment);
  switch (assessment.kind) {
    case 'up-to-date': {
      // A table of 0.x that drizzle 1.0 would complete is work too.
      if (assessment.upgrade !== undefined) return undefined;
      const beyond = assessment.beyond ? `, which is beyond ${to}; nothing is taken back` : '';
      return { status: 'unchanged', reason: 'up-to-date', detail: `at ${assessment.version}${beyond}`, migration };
    }
    case 'pending':
      return undefined;
    case 'drift':
      if (onDrift === 'fail' || (onDrift === 'apply' && assessment.onlyOutOfOrder)) return undefined;
      return { status: 'skipped', reason: 'drift', detail: assessment.why, migration };
  }
}

/** The migrations that would be applied, by name and in order. */
export function pendingTags(assessment: Assessment): readonly string[] {
  return plannedRecord(assessment).pending ?? [];
}
