import { publishMerged, tellRun, type ActionContext } from '@neon-fleet/shared/actions';
import { readPlan, readRecords } from '@neon-fleet/shared/fleet';

import type { ReportInputs } from '../inputs.js';
import { wayBack } from '../restore-point/way-back.js';

/** Puts together what the shards of a plan reported; after a wave it decides whether the next one may start. */
export async function report(values: ReportInputs, context: ActionContext): Promise<void> {
  const plan = await readPlan(values.plan);
  const merged = await publishMerged({
    plan,
    records: await readRecords(values.reports, plan),
    allowSkipped: values.allowSkipped,
    runCancelled: values.runCancelled,
    throughWave: values.throughWave,
    soakMs: values.soak,
    signal: context.stop.signal,
    appendix: ({ outcomes }) => wayBack(outcomes),
  });
  // A gate is not the end: what it knows is told by the report after the last wave.
  if (values.throughWave !== undefined) return;
  const tenants = plan.shards.flatMap((shard) => shard.tenants);
  await tellRun(merged, { catalogUrl: values.catalogUrl, tenants, signal: context.stop.signal });
}
