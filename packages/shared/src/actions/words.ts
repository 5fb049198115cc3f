import type { FleetReport, Outcome } from '../fleet/index.js';

/** A length of time as a person reads it: `320 ms`, `4.2 s`, `3 min 12 s`. */
export function durationWords(durationMs: number): string {
  // Each unit is chosen by the number that will be shown: 59,999 ms are a minute, not 60.0 s.
  const milliseconds = Math.round(durationMs);
  if (milliseconds < 1_000) return `${milliseconds} ms`;
  const tenths = Math.round(durationMs / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}

/** An outcome in two or three words: `skipped: drift`. */
export function statusWords(outcome: Outcome): string {
  switch (outcome.status) {
    case 'skipped':
    case 'unchanged':
      return `${outcome.status}: ${outcome.reason}`;
    case 'succeeded':
    case 'failed':
    case 'rolled-back':
      return outcome.status;
  }
}

export const STATUS_SIGNS: Readonly<Record<Outcome['status'], string>> = {
  succeeded: '✅',
  unchanged: '☑️',
  failed: '❌',
  'rolled-back': '↩️',
  skipped: '⏭️',
};

export const VERDICT_SIGNS: Readonly<Record<FleetReport['verdict'], string>> = {
  succeeded: '✅',
  failed: '❌',
  incomplete: '⚠️',
};

/**
 * What happened to a tenant, in the order in which it is read: what was done, what went wrong, what to do. Nothing is
 * said twice: the detail of a failure is often the error itself.
 */
export function storyOf(outcome: Outcome): string[] {
  const error = 'error' in outcome ? outcome.error : undefined;
  if (error === undefined) return [outcome.detail];
  const code = error.code === undefined || error.message.includes(error.code) ? '' : ` (${error.code})`;
  const hint = error.hint === undefined ? [] : [error.hint];
  // The detail of a failure is often the error with more around it.
  if (outcome.detail.includes(error.message)) return [outcome.detail + code, ...hint];
  const detail = error.message.startsWith(outcome.detail) ? [] : [outcome.detail];
  return [...detail, error.message + code, ...hint];
}

/** What a report is about: the action, and the command where it is not the usual one. */
export function titleOf({ action, command, plan }: FleetReport): string {
  if (plan?.shard !== undefined) return `${action}: shard ${plan.shard}`;
  return command === 'run' ? action : `${action}: ${command}`;
}

const NAMES_IN_A_MESSAGE = 5;

/** A run in one line: verdict, numbers, the names of what failed, where to look. */
export function messageOf(report: FleetReport): string {
  const { counts, outcomes } = report;
  const parts = [
    ...(counts.failed > 0 ? [`${counts.failed} of ${counts.total} tenants failed (${names(outcomes, 'failed')})`] : []),
    ...(counts.skipped > 0 ? [`${counts.skipped} skipped (${names(outcomes, 'skipped')})`] : []),
    ...(counts.succeeded > 0 ? [`${counts.succeeded} done`] : []),
    ...(counts.unchanged > 0 ? [`${counts.unchanged} unchanged`] : []),
  ];
  const what = parts.length === 0 ? 'no tenant was selected' : parts.join(', ');
  const url = report.runUrl === undefined ? '' : `; ${report.runUrl}`;
  const who = report.plan?.shard === undefined ? report.action : titleOf(report);
  return `${who} ${report.verdict}: ${what}${url}`;
}

function names(outcomes: readonly Outcome[], group: 'failed' | 'skipped'): string {
  const members = outcomes.filter(({ status }) => (status === 'rolled-back' ? 'failed' : status) === group);
  const shown = members.slice(0, NAMES_IN_A_MESSAGE).map(({ name }) => name.replace(/\s+/g, ' '));
  const more = members.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
