import * as core from '@actions/core';

import {
  gate,
  makeReport,
  mergeRecords,
  soak,
  type FleetReport,
  type GateDecision,
  type Plan,
  type ShardRecord,
  type SkipReason,
} from '../fleet/index.js';
import {
  announce,
  runUrl,
  setReportOutputs,
  withoutSecrets,
  writeReportSummary,
  type RunEnvironment,
} from './announce.js';
import { printableLine } from './printable.js';
import { writeReport } from './publish.js';
import { cell } from './summary-rows.js';
import { durationWords } from './words.js';

export interface MergedRun {
  readonly plan: Plan;
  /** What the shards left behind, of all attempts. */
  readonly records: readonly ShardRecord[];
  readonly allowSkipped?: readonly SkipReason[] | undefined;
  readonly runCancelled?: boolean;
  /** Makes the step a gate: it decides whether the wave after this one may start. */
  readonly throughWave?: number | undefined;
  /** How long a gate waits before it lets the next wave start. */
  readonly soakMs?: number | undefined;
  readonly signal: AbortSignal;
  /** More for the job summary, below the table; Markdown or HTML with everything from outside escaped. */
  readonly appendix?: (report: FleetReport) => string;
}

const WHERE_ALL_IS =
  '\n<p>The full report, every tenant with its outcome, is in the artifacts of this workflow run.</p>\n';

/**
 * Publishes what became of a plan over all its shards and attempts. As a gate (`throughWave`) it sets the output `go` and
 * is green once that is decided; else the exit code is 1 unless the verdict is `succeeded`.
 *
 * @throws ExplainedError when the plan has no such wave; the signal's reason when it is told to stop while it waits.
 */
export async function publishMerged(run: MergedRun, env: RunEnvironment = process.env): Promise<FleetReport> {
  const { plan, records, throughWave } = run;
  const decision = throughWave === undefined ? undefined : gate(plan, records, throughWave);
  const { outcomes, ofEarlierAttempts } = mergeRecords(plan, records, {
    runCancelled: run.runCancelled === true,
    ...(throughWave === undefined ? {} : { throughWave }),
  });
  const report = makeReport({
    action: plan.action,
    command: 'report',
    startedAt: new Date(plan.createdAt),
    endedAt: new Date(),
    outcomes: outcomes.map(withoutSecrets),
    allowSkipped: new Set(run.allowSkipped),
    runUrl: runUrl(env) ?? plan.runUrl,
    plan: { id: plan.id },
  });
  const file = await writeReport(report, env);
  const appendix = WHERE_ALL_IS + earlierWords(ofEarlierAttempts) + (run.appendix?.(report) ?? '');
  if (decision === undefined) await announce(report, file, appendix);
  else await announceGate(report, file, appendix, decision, run);
  return report;
}

/** A job that was green is not run again with the failed ones, so that nobody has looked at its tenants since. */
function earlierWords(tenants: number): string {
  if (tenants === 0) return '';
  const [are, them] = tenants === 1 ? ['1 tenant is', 'it'] : [`${tenants} tenants are`, 'them'];
  return `\n<p>${are} as an earlier attempt of this run left ${them}: the jobs did not run again. If somebody went back since, only a new run shows it.</p>\n`;
}

async function announceGate(
  report: FleetReport,
  file: string,
  appendix: string,
  { go, why }: GateDecision,
  { throughWave, soakMs = 0, signal }: MergedRun,
): Promise<void> {
  const message = `wave ${throughWave ?? ''}: ${go ? 'the next wave may start' : 'no other wave is started'} (${why})`;
  if (go && soakMs > 0) {
    core.info(`waiting ${durationWords(soakMs)} before the next wave`);
    await soak(soakMs, signal);
    signal.throwIfAborted();
  }
  setReportOutputs(report, file, printableLine(message));
  core.setOutput('go', go);
  await writeReportSummary(report, appendix, { note: `${go ? '🟢' : '🛑'} ${cell(message)}` });
  if (go) core.info(printableLine(message));
  else core.warning(printableLine(message));
}
