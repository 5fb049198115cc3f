import { commentSettings, publishMerged, type ActionContext } from '@neon-fleet/shared/actions';
import { readPlan, readRecords } from '@neon-fleet/shared/fleet';

import type { ReportInputs } from '../inputs.js';
import { wayBack } from '../restore-point/way-back.js';

/** Puts together what the shards of a plan reported; after a wave it decides whether the next one may start. */
export async function report(values: ReportInputs, context: ActionContext): Promise<void> {
  const plan = await readPlan(values.plan);
  await publishMerged({
    plan,
    records: await readRecords(values.reports, plan),
    allowSkipped: values.allowSkipped,
    runCancelled: values.runCancelled,
    throughWave: values.throughWave,
    soakMs: values.soak,
    signal: context.stop.signal,
    comment: commentSettings(values, context),
    appendix: ({ outcomes }) => wayBack(outcomes),
  });
}
