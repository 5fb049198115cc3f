import * as core from '@actions/core';
import { type ActionContext, logTenant, printableLine, publishRun } from '@neon-fleet/shared/actions';
import { workThroughTenants } from '@neon-fleet/shared/fleet';

import { tellMade } from '../catalog/tell.js';
import { archive } from '../storage/archive.js';
import { backUpTenant } from '../tenant/back-up-tenant.js';
import { discover } from './discover.js';
import type { RunValues } from '../inputs.js';
import { warnOfLateLooks } from './late-looks.js';
import { tellMemory } from './memory.js';
import { BREAKER, openSession, tellBackups } from './session.js';

/** `command: run`: backs up every selected tenant. */
export async function run(values: RunValues, context: ActionContext): Promise<void> {
  await using session = await openSession(values, context);
  const { tenants, settled, told } = await discover(session, values, context);
  await warnOfLateLooks(tenants, values);
  const memory = tellMemory(tenants, values);
  const worked = await workThroughTenants({
    tenants,
    concurrency: values.concurrency,
    retries: values.retries,
    breaker: BREAKER,
    signal: context.stop.signal,
    onOutcome: logTenant,
    onHalt: ({ why }) => core.warning(printableLine(`No other tenant is started: ${why}`)),
    work: (tenant, work) => backUpTenant(session.surroundingsOf(tenant), tenant, work),
  });
  tellBackups(session);
  const report = await publishRun({
    action: 'backup',
    command: 'run',
    startedAt: context.startedAt,
    outcomes: [...worked, ...settled],
    allowSkipped: values.allowSkipped,
    appendix: told + memory,
  });
  await archive(values, report);
  await tellMade(report, session, tenants, values, context);
}
