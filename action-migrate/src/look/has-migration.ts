import { assess, plannedRecord, type Assessment } from '@neon-fleet/shared/drizzle';
import type { Tenant, TenantResult, WorkContext } from '@neon-fleet/shared/fleet';

import type { Rollout } from '../rollout.js';
import { lookAt, pendingIn, type Look } from './look-at-tenant.js';

/** The code of a tenant that is behind. */
export const LAGGING = 'lagging';

/**
 * Whether a tenant has the migration that the rollout goes to, and all before it: `unchanged` when it has, whatever comes
 * after it, also what this checkout does not know; `failed` with the code {@link LAGGING} when it has not; `skipped: drift`
 * when database and folder contradict each other in another way.
 */
export async function hasMigration(
  rollout: Rollout,
  tenant: Tenant,
  { signal }: Pick<WorkContext, 'signal'>,
): Promise<TenantResult> {
  const look = await lookAt(rollout, tenant, { signal });
  // Of two branches each has migrations that the other one lacks. Only those up to the wanted one matter.
  return judge(isBeside(look) ? { ...look, assessment: assessUpToTarget(look) } : look);
}

/** Takes what comes after the wanted migration for unknown: what the folder says of it does not matter then. */
function assessUpToTarget({ state, wanted: { folder, target } }: Look): Assessment {
  const end = folder.migrations.findIndex(({ tag }) => tag === target) + 1;
  return assess({ ...folder, migrations: folder.migrations.slice(0, end) }, state, { to: target });
}

function isBeside({ assessment }: Look): boolean {
  return (
    assessment.kind === 'drift' && assessment.findings.every(({ kind }) => kind === 'unknown') && !isAhead(assessment)
  );
}

function judge({ assessment, wanted: { target } }: Look): TenantResult {
  const migration = plannedRecord(assessment);
  const isThere = (detail: string): TenantResult => ({
    status: 'unchanged',
    reason: 'up-to-date',
    detail,
    migration,
  });
  const isBehind = (message: string): TenantResult => ({
    status: 'failed',
    detail: message,
    migration,
    error: { message, code: LAGGING },
  });
  switch (assessment.kind) {
    case 'up-to-date':
      return isThere(`at ${assessment.version}${assessment.beyond ? `, which is beyond ${target}` : ''}`);
    case 'pending': {
      const lacked = pendingIn(assessment).map(({ tag }) => tag);
      return isBehind(`it is at ${assessment.from ?? 'no migration'}, and lacks ${lacked.join(', ')}`);
    }
    case 'drift': {
      const { findings, from, why } = assessment;
      if (isAhead(assessment)) return isThere(`has ${target}, and further migrations that this checkout does not have`);
      const lacked = findings.flatMap((finding) => (finding.kind === 'out-of-order' ? finding.tags : []));
      if (lacked.length > 0) return isBehind(`it lacks ${lacked.join(', ')}, and contradicts the folder: ${why}`);
      if (findings.every(({ kind }) => kind === 'unknown') && from !== target) {
        return isBehind(`it lacks ${target}, and has migrations that this checkout does not have`);
      }
      return { status: 'skipped', reason: 'drift', detail: why, migration };
    }
  }
}

/** Everything that was looked for is there, and what there is besides is newer. */
function isAhead({ findings }: Look['assessment'] & { kind: 'drift' }): boolean {
  return findings.every((finding) => finding.kind === 'unknown' && finding.ahead);
}
