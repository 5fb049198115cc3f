import path from 'node:path';
import { tmpdir } from 'node:os';

import * as core from '@actions/core';

import { explain } from '../errors/index.js';
import type { FleetReport, Outcome } from '../fleet/index.js';
import { redact } from './masking.js';
import { printableLine } from './printable.js';
import { byteLength } from './summary-rows.js';
import { renderSummary, SUMMARY_BYTES, type SummaryOptions } from './summary.js';
import { messageOf, statusWords, storyOf } from './words.js';

/** Where a run is published from. */
export interface RunEnvironment {
  readonly RUNNER_TEMP?: string | undefined;
  readonly GITHUB_SERVER_URL?: string | undefined;
  readonly GITHUB_REPOSITORY?: string | undefined;
  readonly GITHUB_RUN_ID?: string | undefined;
  readonly GITHUB_RUN_ATTEMPT?: string | undefined;
}

/** The folder that all files of a step are in. */
export function outputFolder(env: RunEnvironment): string {
  return path.join(env.RUNNER_TEMP ?? tmpdir(), 'neon-fleet');
}

export function runUrl(env: RunEnvironment): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id } = env;
  return server && repository && id ? `${server}/${repository}/actions/runs/${id}` : undefined;
}

/** Only a failure repeats words from outside; what went well is told in our own. */
export function withoutSecrets(outcome: Outcome): Outcome {
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

/** Tells the steps after this one what came of it. */
export function setReportOutputs(report: FleetReport, file: string, message: string): void {
  core.setOutput('verdict', report.verdict);
  core.setOutput('succeeded', report.counts.succeeded);
  core.setOutput('unchanged', report.counts.unchanged);
  core.setOutput('failed', report.counts.failed);
  core.setOutput('skipped', report.counts.skipped);
  core.setOutput('report', file);
  core.setOutput('message', message);
}

/** Ends a step whose verdict is its exit code: outputs, job summary, annotations, and one line in the log. */
export async function announce(report: FleetReport, file: string, appendix = ''): Promise<void> {
  const message = messageOf(report);
  setReportOutputs(report, file, message);
  await writeReportSummary(report, appendix);
  annotate(report);
  if (report.verdict === 'succeeded') core.info(printableLine(message));
  else core.setFailed(printableLine(message));
}

/** More than this below the table would leave too little room for the tenants. */
const LONGEST_APPENDIX = 400 * 1024;

export async function writeReportSummary(
  report: FleetReport,
  appendix: string,
  options: SummaryOptions = {},
): Promise<void> {
  const below = appendixWithin(appendix, LONGEST_APPENDIX);
  await writeSummary(renderSummary(report, { ...options, maxBytes: SUMMARY_BYTES - byteLength(below) }) + below);
}

/** HTML cannot be cut anywhere: what is too long is left out whole, and said to be. */
export function appendixWithin(appendix: string, maxBytes: number): string {
  return byteLength(appendix) <= maxBytes ? appendix : '\n<p>What belongs here is too long for a job summary.</p>\n';
}

/** Adds to the job summary. Where that is not possible the run is none the worse for it: the log has everything as well. */
export async function writeSummary(text: string): Promise<void> {
  // Outside a runner there is no summary file.
  if (!process.env['GITHUB_STEP_SUMMARY']) return;
  try {
    await core.summary.addRaw(text, true).write();
  } catch (thrown) {
    core.summary.emptyBuffer();
    core.warning(printableLine(`the job summary cannot be written: ${explain(thrown).message}`));
  }
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
