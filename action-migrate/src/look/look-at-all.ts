import { logTenant, type ActionContext } from '@neon-fleet/shared/actions';
import type { DrizzleFormat, Migration } from '@neon-fleet/shared/drizzle';
import { workThroughTenants, type Outcome, type Tenant, type TenantResult } from '@neon-fleet/shared/fleet';

import type { MigrateInputs } from '../inputs.js';
import { foreseenResult, lookAt, pendingIn } from './look-at-tenant.js';
import { withProof } from '../proof.js';
import { BREAKER, type Rollout } from '../rollout.js';

/** What a look at every tenant showed. */
export interface Seen {
  /** Those that there is work for, or that could not be looked at: carrying the plan out decides about these. */
  readonly withWork: readonly Tenant[];
  /** Outcomes that migrating would have without any work. */
  readonly settled: readonly Outcome[];
  /** What would be applied to each of those with work, by project and database. */
  readonly pending: readonly PendingTenant[];
  /** Those that could not be looked at, and why. */
  readonly unseen: readonly Outcome[];
}

/** A tenant and the migrations that it lacks. */
export interface PendingTenant {
  readonly tenant: Tenant;
  readonly migrations: readonly Migration[];
  /** The form of the folder that they are in. */
  readonly format: DrizzleFormat;
}

/** Looks at every tenant, several at a time, and touches none. */
export async function lookAtAll(
  rollout: Rollout,
  tenants: readonly Tenant[],
  { concurrency, onDrift }: MigrateInputs,
  context: ActionContext,
): Promise<Seen> {
  const { signal } = context.stop;
  const pending: PendingTenant[] = [];
  const settled = new Set<Tenant>();
  const outcomes = await workThroughTenants({
    tenants,
    concurrency,
    signal,
    breaker: BREAKER,
    onOutcome: logTenant,
    work: async (tenant): Promise<TenantResult> => {
      const { assessment, wanted } = await lookAt(rollout, tenant, { signal });
      const foreseen = foreseenResult(assessment, { onDrift, to: wanted.target });
      if (foreseen !== undefined) {
        settled.add(tenant);
        return withProof(rollout.engine, tenant, foreseen);
      }
      const migrations = pendingIn(assessment);
      pending.push({ tenant, migrations, format: wanted.folder.format });
      const tags = migrations.map(({ tag }) => tag);
      const what =
        assessment.kind === 'drift' ? `contradicts the folder: ${assessment.why}` : `lacks ${tags.join(', ')}`;
      return { status: 'unchanged', reason: 'up-to-date', detail: `only looked at; it ${what}` };
    },
  });
  signal.throwIfAborted();
  // The engine gives one outcome for each tenant, in the same order.
  const isSettled = (index: number) => {
    const tenant = tenants[index];
    return tenant !== undefined && settled.has(tenant);
  };
  return {
    withWork: tenants.filter((tenant) => !settled.has(tenant)),
    settled: outcomes.filter((_, index) => isSettled(index)),
    pending,
    unseen: outcomes.filter(({ status }, index) => !isSettled(index) && status !== 'unchanged'),
  };
}
