import * as core from '@actions/core';
import { logTenant, publishRun, tellIdleExclusions, type ActionContext } from '@neon-fleet/shared/actions';
import { workThroughTenants, type TenantResult } from '@neon-fleet/shared/fleet';

import type { AssertInputs } from '../inputs.js';
import { foreseenResult, lookAt, pendingIn } from '../look/look-at-tenant.js';
import { BREAKER, discover, openRollout } from '../rollout.js';

/** The code of a tenant that is behind. */
const LAGGING = 'lagging';

/** Tells whether every selected tenant has a migration: the gate before an application is deployed that needs it. */
export async function assertAtLeast(values: AssertInputs, context: ActionContext): Promise<void> {
  const rollout = await openRollout({ ...values, to: values.atLeast }, context);
  const discovery = await discover(rollout, values, context);
  const { tenants, settled } = discovery;
  const told = tellIdleExclusions(discovery);
  const { signal } = context.stop;
  const looked = await workThroughTenants({
    tenants,
    concurrency: values.concurrency,
    signal,
    breaker: BREAKER,
    onOutcome: logTenant,
    work: async (tenant): Promise<TenantResult> => {
      const { assessment, wanted } = await lookAt(rollout, tenant, { signal });
      const foreseen = foreseenResult(assessment, { onDrift: 'skip', to: wanted.target });
      if (foreseen !== undefined) return foreseen;
      if (assessment.kind === 'up-to-date') {
        // Only drizzle 1.0's table would be completed; the migration itself is there.
        return { status: 'unchanged', reason: 'up-to-date', detail: `at ${assessment.version}` };
      }
      const { from } = assessment;
      const error = {
        message: `it is at ${from ?? 'no migration'}, and lacks ${pendingIn(assessment)
          .map(({ tag }) => tag)
          .join(', ')}`,
        code: LAGGING,
      };
      return { status: 'failed', detail: error.message, error };
    },
  });
  const lagging = looked.filter((outcome) => outcome.status === 'failed' && outcome.error.code === LAGGING);
  core.setOutput('lagging', lagging.length);
  await publishRun({
    action: 'migrate',
    command: 'assert',
    startedAt: context.startedAt,
    outcomes: [...looked, ...settled],
    allowSkipped: values.allowSkipped,
    appendix: told,
  });
}
