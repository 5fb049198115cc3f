import {
  driftResult,
  inspectDatabase,
  plannedRecord,
  type Assessment,
  type Migration,
  type SchemaState,
} from '@neon-fleet/shared/drizzle';
import type { Tenant, TenantResult, WorkContext } from '@neon-fleet/shared/fleet';
import { findDatabase } from '@neon-fleet/shared/neon';

import type { WantedSchema } from '../engine.js';
import type { Rollout } from '../rollout.js';

/** What a look at one tenant showed; the tenant was not touched. */
export interface Look {
  readonly assessment: Assessment;
  readonly state: SchemaState;
  /** What it was held against. */
  readonly wanted: WantedSchema;
  /** Such as `17.2`. */
  readonly serverVersion: string;
}

/** Looks at a tenant without changing anything. Wakes its compute. */
export async function lookAt(rollout: Rollout, tenant: Tenant, { signal }: Pick<WorkContext, 'signal'>): Promise<Look> {
  const { neon, engine, authorities } = rollout;
  const wanted = await engine.schemaOf(tenant);
  const { uri } = await findDatabase(neon, tenant);
  const { folder, table, target } = wanted;
  const seen = await inspectDatabase(uri, { folder, table, to: target, authorities, signal });
  return { ...seen, wanted };
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
      return { ...driftResult(assessment.why), migration };
  }
}

/** The migrations that would be applied, in order. */
export function pendingIn(assessment: Assessment): readonly Migration[] {
  switch (assessment.kind) {
    case 'up-to-date':
      return [];
    case 'pending':
      return assessment.pending;
    case 'drift':
      return assessment.pendingWithOutOfOrder;
  }
}
