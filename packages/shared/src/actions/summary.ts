import escapeHtml from 'escape-html';

import type { FleetReport, Outcome } from '../fleet/index.js';
import { durationWords, STATUS_SIGNS, statusWords, storyOf, VERDICT_SIGNS } from './words.js';

export interface SummaryOptions {
  /** Size that the summary keeps to, in bytes of UTF-8. A runner drops a summary of more than 1 MiB whole. */
  readonly maxBytes?: number;
  /** Rows that are shown at once; the rest is folded, failures never. */
  readonly openRows?: number;
}

const MAX_BYTES = 900 * 1024;
const OPEN_ROWS = 50;
const LONGEST_CELL = 1_500;
const HALF_A_CHARACTER = /[\uD800-\uDBFF]$/;

/**
 * The job summary of a run: the verdict, the totals, then a row for each tenant, failures first.
 *
 * Written as HTML with everything escaped, since Markdown has no way to hold a hostile name in a table cell.
 */
export function renderSummary(report: FleetReport, options: SummaryOptions = {}): string {
  const { maxBytes = MAX_BYTES, openRows = OPEN_ROWS } = options;
  const head = `${heading(report)}\n\n${totals(report)}\n`;
  if (report.outcomes.length === 0) return `${head}\n`;

  const needAttention = report.outcomes.filter(needsAttention).length;
  const split = Math.max(needAttention, Math.min(openRows, report.outcomes.length));
  const budget = maxBytes - byteLength(head) - 1_024; // room for the frame around the rows
  const rows = fittingRows(report.outcomes, budget);
  const open = rows.slice(0, split);
  const folded = rows.slice(split);
  const left = report.outcomes.length - rows.length;

  return [
    head,
    table(open),
    ...(folded.length === 0
      ? []
      : [`<details><summary>${folded.length} more that need no attention</summary>\n`, table(folded), '</details>\n']),
    ...(left === 0 ? [] : [`<p>${left} more did not fit here; all of them are in the report.</p>\n`]),
  ].join('\n');
}

function heading({ action, command, verdict, counts }: FleetReport): string {
  const what = command === 'run' ? action : `${action}: ${command}`;
  return `## ${VERDICT_SIGNS[verdict]} ${what} ${verdict}, ${counts.total} ${counts.total === 1 ? 'tenant' : 'tenants'}`;
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

function needsAttention({ status }: Outcome): boolean {
  return status === 'failed' || status === 'rolled-back' || status === 'skipped';
}

function table(rows: readonly string[]): string {
  const head = '<tr><th align="left">Tenant</th><th align="left">Status</th><th align="left">What happened</th></tr>';
  return `<table>\n${head}\n${rows.join('\n')}\n</table>\n`;
}

function fittingRows(outcomes: readonly Outcome[], budgetBytes: number): string[] {
  const rows: string[] = [];
  let usedBytes = 0;
  for (const outcome of outcomes) {
    const rendered = row(outcome);
    usedBytes += byteLength(rendered) + 1;
    if (usedBytes > budgetBytes) break;
    rows.push(rendered);
  }
  return rows;
}

function row(outcome: Outcome): string {
  const where = `<code>${cell(outcome.projectId)}</code> ${cell(outcome.database)}`;
  // Three columns, not more: a phone shows no more beside each other.
  return [
    `<tr><td><b>${cell(outcome.name)}</b><br><sub>${where}</sub></td>`,
    `<td>${STATUS_SIGNS[outcome.status]}&nbsp;${cell(statusWords(outcome))}<br><sub>${durationWords(outcome.durationMs)}</sub></td>`,
    `<td>${storyOf(outcome).map(cell).join('<br>')}</td></tr>`,
  ].join('');
}

/** Text in one cell: escaped, on one line (a blank line would end the HTML block), and of bounded length. */
function cell(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return escapeHtml(
    line.length > LONGEST_CELL ? `${line.slice(0, LONGEST_CELL).replace(HALF_A_CHARACTER, '')}…` : line,
  );
}

function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}
