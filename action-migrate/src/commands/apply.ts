import { applyShard, attemptOf, countInCatalog, tellRun, type ActionContext } from '@neon-fleet/shared/actions';
import { readPlan, readRecords, requireAgreement, shardOf, type FleetReport } from '@neon-fleet/shared/fleet';

import type { ApplyInputs } from '../inputs.js';
import { BREAKER, openRollout, settingsOf, workOf } from '../rollout.js';
import { wayBack } from '../restore-point/way-back.js';

/** Works through one shard of a plan. */
export async function apply(values: ApplyInputs, context: ActionContext): Promise<void> {
  const plan = await readPlan(values.plan);
  const { wave, tenants } = shardOf(plan, values.shard);
  const besides = plan.waves.find((one) => one.wave === wave)?.shards.length ?? 1;
  const rollout = await openRollout(values, context, Math.min(values.maxParallel, besides));
  requireAgreement(plan, 'migrate', settingsOf(rollout, values));
  const { catalogUrl } = values;
  const budget = {
    planId: plan.id,
    maxFailures: plan.maxFailures,
    shard: values.shard,
    attempt: attemptOf(process.env),
  };
  let report: FleetReport;
  {
    await using fleet = catalogUrl === undefined ? undefined : countInCatalog(catalogUrl, budget, context.stop.signal);
    report = await applyShard({
      plan,
      shard: values.shard,
      previousRecords: values.reports === undefined ? [] : await readRecords(values.reports, plan),
      startedAt: context.startedAt,
      concurrency: values.concurrency,
      breaker: BREAKER,
      fleet,
      signal: context.stop.signal,
      work: workOf(rollout, values, planNameOf(plan.id)),
      allowSkipped: values.allowSkipped,
      appendix: ({ outcomes }) => wayBack(outcomes),
    });
  }
  await tellRun(report, { catalogUrl, tenants, signal: context.stop.signal });
}

/** Names what belongs to a plan, the same in all shards and attempts. */
function planNameOf(planId: string): string {
  return `plan-${planId.slice(0, 13)}`;
}
