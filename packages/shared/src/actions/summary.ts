import escapeHtml from 'escape-html';

import type { FleetReport } from '../fleet/index.js';
import { byteLength, fittingRows, isFailure } from './summary-rows.js';
import { durationWords, STATUS_SIGNS, titleOf, VERDICT_SIGNS } from './words.js';

export interface SummaryOptions {
  /** Size that the summary keeps to, in bytes of UTF-8. A runner drops a summary of more than 1 MiB whole. */
  readonly maxBytes?: number;
  /** Rows that are shown at once; the rest is folded, failures never. */
  readonly openRows?: number;
  /** A line below the totals; Markdown or HTML with everything from outside escaped. */
  readonly note?: string;
}

/** What a summary keeps to: below the limit of a runner, with some room for what other tools add to the step's. */
export const SUMMARY_BYTES = 900 * 1024;

const OPEN_ROWS = 50;
const OPEN_SKIPS = 100;

/**
 * The job summary of a run: the verdict, the totals, then a row for each tenant, failures first.
 *
 * Written as HTML with everything escaped, since Markdown has no way to hold a hostile name in a table cell.
 */
export function renderSummary(report: FleetReport, options: SummaryOptions = {}): string {
  const { maxBytes = SUMMARY_BYTES, openRows = OPEN_ROWS, note } = options;
  const head = `${heading(report)}\n\n${totals(report)}\n${note === undefined ? '' : `\n${note}\n`}`;
  if (report.outcomes.length === 0) return `${head}\n`;
  return `${head}\n${renderOutcomes(report.outcomes, { maxBytes: maxBytes - byteLength(head), openRows })}`;
}

const LONGEST_FAILURE = 50_000;

/** The job summary of a run that has no report, since it could not begin: what the log says, below a heading. */
export function renderFailure(action: FleetReport['action'], verdict: FleetReport['verdict'], text: string): string {
  return `## ${VERDICT_SIGNS[verdict]} ${action} ${verdict}\n\n<pre>\n${escapeHtml(text.slice(0, LONGEST_FAILURE))}\n</pre>\n`;
}

/** The rows of a summary: what needs attention, a fold of the rest, and how many did not fit. */
export function renderOutcomes(
  outcomes: FleetReport['outcomes'],
  { maxBytes, openRows = OPEN_ROWS }: { readonly maxBytes: number; readonly openRows?: number },
): string {
  const failures = outcomes.filter(isFailure).length;
  const skips = outcomes.filter(({ status }) => status === 'skipped').length;
  const rows = fittingRows(outcomes, maxBytes - 1_024); // room for the frame around the rows
  const openSkips = skips > OPEN_SKIPS ? OPEN_SKIPS : skips;
  const attention = failures + openSkips;
  const open = openSkips < skips ? attention : Math.max(attention, Math.min(openRows, outcomes.length));
  const left = outcomes.length - rows.length;
  return [
    table(rows.slice(0, open)),
    ...fold(rows.slice(open, Math.max(open, failures + skips)), 'more that were skipped'),
    ...fold(rows.slice(Math.max(open, failures + skips)), 'more that need no attention'),
    ...(left === 0 ? [] : [`<p>${left} more did not fit here; all of them are in the report.</p>\n`]),
  ].join('\n');
}

function heading(report: FleetReport): string {
  const { verdict, counts } = report;
  return `## ${VERDICT_SIGNS[verdict]} ${titleOf(report)} ${verdict}, ${counts.total} ${counts.total === 1 ? 'tenant' : 'tenants'}`;
}

function totals({ counts, durationMs }: FleetReport): string {
  const parts = [
    `${STATUS_SIGNS.succeeded} ${counts.succeeded} done`,
    `${STATUS_SIGNS.unchanged} ${counts.unchanged} unchanged`,
    `${STATUS_SIGNS.failed} ${counts.failed} failed`,
    `${STATUS_SIGNS.skipped} ${counts.skipped} skipped`,
  ];
  return `${parts.join(' · ')} · ${durationWords(durationMs)}`;
}

function fold(rows: readonly string[], what: string): string[] {
  if (rows.length === 0) return [];
  return [`<details><summary>${rows.length} ${what}</summary>\n`, table(rows), '</details>\n'];
}

function table(rows: readonly string[]): string {
  const head = '<tr><th align="left">Tenant</th><th align="left">Status</th><th align="left">What happened</th></tr>';
  return `<table>\n${head}\n${rows.join('\n')}\n</table>\n`;
}
