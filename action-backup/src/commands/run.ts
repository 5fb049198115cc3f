import * as core from '@actions/core';
import {
  commentSettings,
  logTenant,
  printableLine,
  publishRun,
  tellIdleExclusions,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import { discoverTenants, workThroughTenants, type Outcome, type Tenant } from '@neon-fleet/shared/fleet';

import { archive } from '../storage/archive.js';
import { backUpTenant } from '../tenant/back-up-tenant.js';
import { EVERY_DATABASE, expandDatabases } from './every-database.js';
import type { RunValues } from '../inputs.js';
import { BREAKER, openSession, tellBackups, type Session } from './session.js';

/** `command: run`: backs up every selected tenant. */
export async function run(values: RunValues, context: ActionContext): Promise<void> {
  await using session = await openSession(values, context);
  const { tenants, settled, told } = await discover(session, values);
  const worked = await workThroughTenants({
    tenants,
    concurrency: values.concurrency,
    retries: values.retries,
    breaker: BREAKER,
    signal: context.stop.signal,
    onOutcome: logTenant,
    onHalt: ({ why }) => core.warning(printableLine(`No other tenant is started: ${why}`)),
    work: (tenant, work) => backUpTenant(session.surroundings, tenant, work),
  });
  tellBackups(session);
  const report = await publishRun({
    action: 'backup',
    command: 'run',
    startedAt: context.startedAt,
    outcomes: [...worked, ...settled],
    allowSkipped: values.allowSkipped,
    comment: commentSettings(values, context),
    appendix: told,
  });
  await archive(values, report);
}

/** Chooses who takes part, and which of their databases. */
export async function discover(
  { neon }: Pick<Session, 'neon'>,
  values: Pick<RunValues, 'tenants' | 'database' | 'role' | 'branch' | 'concurrency'>,
): Promise<{ readonly tenants: readonly Tenant[]; readonly settled: readonly Outcome[]; readonly told: string }> {
  // GitHub's own runners are on the public internet; others may have a way of their own.
  const mayBePrivate = process.env['RUNNER_ENVIRONMENT'] !== 'github-hosted';
  const found = discoverTenants(await neon.listProjects(), values.tenants, values, new Date(), { mayBePrivate });
  const told = tellIdleExclusions(found);
  if (values.database !== EVERY_DATABASE) return { ...found, told };
  const { tenants, failed } = await expandDatabases(neon, found.tenants, values.concurrency);
  return { tenants, settled: [...found.settled, ...failed], told };
}
