import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import * as core from '@actions/core';

import { makeReport, type FleetReport, type Outcome, type SkipReason, type TenantDone } from '../fleet/index.js';
import { redact } from './masking.js';
import { printable, printableLine } from './printable.js';
import { renderSummary } from './summary.js';
import { durationWords, messageOf, STATUS_SIGNS, statusWords, storyOf } from './words.js';

/** Writes one tenant's part of the log, as a group that can be folded: how far the run is, who, and what happened. */
export function logTenant({ outcome, progress, notes }: TenantDone): void {
  const title = `${progress.done}/${progress.total} ${STATUS_SIGNS[outcome.status]} ${outcome.name} (${outcome.projectId}) ${statusWords(outcome)}, ${durationWords(outcome.durationMs)}`;
  core.startGroup(printableLine(title));
  for (const line of [...notes, ...storyOf(outcome)]) core.info(printable(line));
  core.endGroup();
}

/** Where a run is published from. */
export interface RunEnvironment {
  readonly RUNNER_TEMP?: string | undefined;
  readonly GITHUB_SERVER_URL?: string | undefined;
  readonly GITHUB_REPOSITORY?: string | undefined;
  readonly GITHUB_RUN_ID?: string | undefined;
}

export interface FinishedRun {
  readonly action: FleetReport['action'];
  readonly command: string;
  readonly startedAt: Date;
  readonly outcomes: readonly Outcome[];
  readonly allowSkipped?: readonly SkipReason[] | undefined;
  /** More for the job summary, below the table; Markdown or HTML with everything from outside escaped. */
  readonly appendix?: string;
}

/**
 * Publishes a run wherever somebody may look for it: report file, outputs, job summary, annotations, and the exit code,
 * which is 1 unless the verdict is `succeeded`.
 */
export async function publishRun(run: FinishedRun, env: RunEnvironment = process.env): Promise<FleetReport> {
  const report = makeReport({
    action: run.action,
    command: run.command,
    startedAt: run.startedAt,
    endedAt: new Date(),
    outcomes: run.outcomes.map(withoutSecrets),
    allowSkipped: new Set(run.allowSkipped),
    runUrl: runUrl(env),
  });
  const file = await writeReport(report, env);
  const message = messageOf(report);

  core.setOutput('verdict', report.verdict);
  core.setOutput('succeeded', report.counts.succeeded);
  core.setOutput('unchanged', report.counts.unchanged);
  core.setOutput('failed', report.counts.failed);
  core.setOutput('skipped', report.counts.skipped);
  core.setOutput('report', file);
  core.setOutput('message', message);

  await writeSummary(renderSummary(report) + (run.appendix ?? ''));
  annotate(report);
  if (report.verdict === 'succeeded') core.info(printableLine(message));
  else core.setFailed(printableLine(message));
  return report;
}

/** Only a failure repeats words from outside; what went well is told in our own. */
function withoutSecrets(outcome: Outcome): Outcome {
  if (!('error' in outcome)) return outcome;
  const { error } = outcome;
  return {
    ...outcome,
    detail: redact(outcome.detail),
    error: {
      ...error,
      message: redact(error.message),
      ...(error.hint === undefined ? {} : { hint: redact(error.hint) }),
    },
  };
}

function runUrl(env: RunEnvironment): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id } = env;
  return server && repository && id ? `${server}/${repository}/actions/runs/${id}` : undefined;
}

async function writeReport(report: FleetReport, env: RunEnvironment): Promise<string> {
  const folder = path.join(env.RUNNER_TEMP ?? tmpdir(), 'neon-fleet');
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `${report.action}-${randomUUID()}.json`);
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  return file;
}

async function writeSummary(text: string): Promise<void> {
  // Outside a runner there is no summary file; the log has everything as well.
  if (process.env['GITHUB_STEP_SUMMARY'] === undefined) return;
  await core.summary.addRaw(text, true).write();
}

/** A runner keeps 10 errors and 10 warnings of a step; the last error is the verdict's own. */
const ANNOTATIONS_OF_A_KIND = 9;

function annotate({ action, outcomes }: FleetReport): void {
  const failures = outcomes.filter(({ status }) => status === 'failed' || status === 'rolled-back');
  const skips = outcomes.filter(({ status }) => status === 'skipped');
  for (const [members, write] of [
    [failures, core.error],
    [skips, core.warning],
  ] as const) {
    for (const outcome of members.slice(0, ANNOTATIONS_OF_A_KIND)) {
      write(`${outcome.name} (${outcome.projectId}): ${storyOf(outcome).join('\n')}`, {
        title: `${action}: ${outcome.name} ${statusWords(outcome)}`,
      });
    }
  }
}
