import { readFile } from 'node:fs/promises';

import * as core from '@actions/core';
import {
  castDoubt,
  logTenant,
  printableLine,
  publishRun,
  tellRun,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import { ExplainedError } from '@neon-fleet/shared/errors';
import {
  assignWaves,
  fleetReportSchema,
  findIdleExclusions,
  maxFailuresOf,
  rollOut,
  selectTenants,
  tenantOf,
  type FleetReport,
  type Outcome,
  type Tenant,
} from '@neon-fleet/shared/fleet';

import type { MigrateInputs, UndoInputs } from '../inputs.js';
import { BREAKER, openRollout } from '../rollout.js';
import { undoableTenants, undoTenant } from '../restore-point/undo-tenant.js';

/** Goes back to before a rollout, tenant by tenant, with the budget and the waves of a rollout. */
export async function undo(values: UndoInputs, context: ActionContext): Promise<void> {
  const report = await readRollout(values.undoReport);
  const changed = undoableTenants(report.outcomes, (outcome) => tenantIn(outcome, values));
  const { selected, unmatched } = selectTenants(changed, values.tenants ?? ['*']);
  const everybody = report.outcomes.map((outcome) => tenantIn(outcome, values));
  const nobody = [...unmatched, ...findIdleExclusions(everybody, values.tenants ?? []).spelledOut];
  if (selected.length === 0 || nobody.length > 0) throw nothingToUndo(values.undoReport, nobody);
  const rollout = await openRollout(values, context);
  const options = {
    lockWaitMs: values.lockWait,
    runName: report.plan?.id.slice(0, 13) ?? String(Date.parse(report.startedAt)),
    dryRun: values.dryRun === true,
  };
  if (!options.dryRun) await castDoubt(values.catalogUrl, selected, context);
  const outcomes = await rollOut({
    waves: assignWaves(selected, values.waves),
    soakMs: values.soak ?? 0,
    maxFailures: maxFailuresOf(values.maxFailures, selected.length),
    concurrency: values.concurrency,
    breaker: BREAKER,
    signal: context.stop.signal,
    work: (tenant, work) => undoTenant(rollout, tenant, options, work),
    onOutcome: logTenant,
    onHalt: ({ why }) => core.warning(printableLine(`Nobody else is put back: ${why}`)),
  });
  const undone = await publishRun({
    action: 'migrate',
    command: values.dryRun === true ? 'undo (dry run)' : 'undo',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
  });
  if (options.dryRun) return;
  await tellRun(undone, { catalogUrl: values.catalogUrl, tenants: selected, signal: context.stop.signal });
}

/** Where a tenant of the report is: the same inputs as of the rollout say so. */
function tenantIn(outcome: Outcome, values: MigrateInputs): Tenant {
  return { ...tenantOf(outcome, values), database: outcome.database };
}

/** @throws ExplainedError when the file is not the report of a rollout. */
async function readRollout(file: string): Promise<FleetReport> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (thrown) {
    throw new ExplainedError(
      {
        message: `undo-report: there is no report to read at ${JSON.stringify(file)}; nothing was done`,
        hint: 'The output report of run, apply and report says where one is; another job gets it as an artifact.',
      },
      { cause: thrown },
    );
  }
  const report = fleetReportSchema.safeParse(parsed(text));
  if (report.success && report.data.action === 'migrate') return report.data;
  throw new ExplainedError({
    message: `undo-report: ${JSON.stringify(file)} is not the report of a rollout; nothing was done`,
    hint: 'Give the JSON file that migrate wrote, as it is.',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function nothingToUndo(file: string, unmatched: readonly string[]): ExplainedError {
  if (unmatched.length > 0) {
    return new ExplainedError({
      message: `tenants: nobody that this rollout changed matches ${unmatched.map((pattern) => JSON.stringify(pattern)).join(', ')}; nothing was done`,
      hint: 'A tenant that the rollout left as it was has nothing to be undone.',
    });
  }
  return new ExplainedError({
    message: `undo-report: by ${JSON.stringify(file)} the rollout changed nobody, so that there is nothing to undo`,
    hint: 'Is it the report of the right run?',
  });
}
