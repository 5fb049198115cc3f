import * as core from '@actions/core';
import {
  logTenant,
  printableLine,
  publishRun,
  tellIdleExclusions,
  tellRun,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import { assignWaves, maxFailuresOf, rollOut } from '@neon-fleet/shared/fleet';

import type { SelectingInputs } from '../inputs.js';
import { BREAKER, discover, openRollout, runNameOf, workOf } from '../rollout.js';
import { wayBack } from '../restore-point/way-back.js';

/** Rolls the migrations out to every selected tenant in one job, wave after wave. */
export async function run(values: SelectingInputs, context: ActionContext): Promise<void> {
  const rollout = await openRollout(values, context);
  const discovery = await discover(rollout, values, context);
  const { tenants, settled } = discovery;
  const told = tellIdleExclusions(discovery);
  const waves = assignWaves(
    tenants,
    values.waves,
    settled.map(({ name, projectId }) => ({ key: name, name, projectId })),
  );
  const worked = await rollOut({
    waves,
    soakMs: values.soak ?? 0,
    maxFailures: maxFailuresOf(values.maxFailures, tenants.length),
    concurrency: values.concurrency,
    breaker: BREAKER,
    signal: context.stop.signal,
    work: workOf(rollout, values, runNameOf(process.env, context.startedAt)),
    onOutcome: logTenant,
    onHalt: ({ why }) => core.warning(printableLine(`No other tenant is started: ${why}`)),
    onWave: ({ wave, name, tenants: members }) => {
      if (waves.length === 1) return;
      core.info(printableLine(`Wave ${wave} of ${waves.length} (${name}): ${members.length} tenants`));
    },
    onDecision: ({ go, why }) => {
      if (!go) core.warning(printableLine(`No other wave is started: ${why}`));
    },
  });
  const outcomes = [...worked, ...settled];
  const report = await publishRun({
    action: 'migrate',
    command: 'run',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
    appendix: told + wayBack(outcomes),
  });
  await tellRun(report, { catalogUrl: values.catalogUrl, tenants, signal: context.stop.signal });
}
