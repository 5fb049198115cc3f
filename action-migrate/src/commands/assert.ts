import * as core from '@actions/core';
import { logTenant, publishRun, tellIdleExclusions, type ActionContext } from '@neon-fleet/shared/actions';
import { workThroughTenants } from '@neon-fleet/shared/fleet';

import type { AssertInputs } from '../inputs.js';
import { hasMigration, LAGGING } from '../look/has-migration.js';
import { BREAKER, discover, openRollout } from '../rollout.js';

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
    work: (tenant) => hasMigration(rollout, tenant, { signal }),
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
