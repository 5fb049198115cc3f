import { randomUUID } from 'node:crypto';
import path from 'node:path';

import { makeReport, writeWhole, type FleetReport, type Outcome, type SkipReason } from '../fleet/index.js';
import { announce, outputFolder, runUrl, withoutSecrets, type RunEnvironment } from './announce.js';
import { commentOn, type CommentEnvironment, type CommentSettings } from './pull-request-comment.js';

export interface FinishedRun {
  readonly action: FleetReport['action'];
  readonly command: string;
  readonly startedAt: Date;
  readonly outcomes: readonly Outcome[];
  readonly allowSkipped?: readonly SkipReason[] | undefined;
  /** Where the result is also told. */
  readonly comment?: CommentSettings | undefined;
  /** More for the job summary, below the table; Markdown or HTML with everything from outside escaped. */
  readonly appendix?: string;
}

/**
 * Publishes a run wherever somebody may look for it: report file, outputs, job summary, annotations, and the exit code,
 * which is 1 unless the verdict is `succeeded`.
 */
export async function publishRun(
  run: FinishedRun,
  env: RunEnvironment & CommentEnvironment = process.env,
): Promise<FleetReport> {
  const report = makeReport({
    action: run.action,
    command: run.command,
    startedAt: run.startedAt,
    endedAt: new Date(),
    outcomes: run.outcomes.map(withoutSecrets),
    allowSkipped: new Set(run.allowSkipped),
    runUrl: runUrl(env),
  });
  await announce(report, await writeReport(report, env), run.appendix);
  if (run.comment !== undefined) await commentOn(report, run.comment, env);
  return report;
}

/** Writes a report where the output `report` says that it is. */
export async function writeReport(report: FleetReport, env: RunEnvironment): Promise<string> {
  const file = path.join(outputFolder(env), `${report.action}-${randomUUID()}.json`);
  await writeWhole(file, `${JSON.stringify(report, null, 2)}\n`);
  return file;
}
