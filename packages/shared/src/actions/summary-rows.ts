import escapeHtml from 'escape-html';

import type { Outcome } from '../fleet/index.js';
import { durationWords, STATUS_SIGNS, statusWords, storyOf } from './words.js';

/** How much of each text a row shows, in characters. */
interface RowDetail {
  readonly name: number;
  readonly id: number;
  readonly story: number;
}

const FULL: RowDetail = { name: 1_500, id: 1_500, story: 1_500 };

/** From everything to just enough to say who; with the last one 5,000 failures fit into a summary. */
const DETAILS: readonly RowDetail[] = [
  FULL,
  { name: 300, id: 100, story: 400 },
  { name: 150, id: 64, story: 120 },
  { name: 60, id: 40, story: 40 },
  { name: 40, id: 32, story: 0 },
  { name: 20, id: 24, story: 0 },
  { name: 8, id: 24, story: 0 },
];

const HALF_A_CHARACTER = /[\uD800-\uDBFF]$/;

/**
 * Renders as many rows as fit, from the first on. Failures come first in a report, and all of them are named before any
 * of them is told at length: when they do not fit as they are, all are shortened alike, and what room that leaves goes to
 * the first ones.
 */
export function fittingRows(outcomes: readonly Outcome[], budgetBytes: number): string[] {
  const after = outcomes.findIndex((outcome) => !isFailure(outcome));
  const failures = after === -1 ? outcomes : outcomes.slice(0, after);
  const rows = fittingFailures(failures, budgetBytes);
  if (rows.length < failures.length) return rows;

  let usedBytes = rows.reduce((sum, row) => sum + sizeOf(row), 0);
  for (const outcome of outcomes.slice(failures.length)) {
    const row = renderRow(outcome, FULL);
    usedBytes += sizeOf(row);
    if (usedBytes > budgetBytes) break;
    rows.push(row);
  }
  return rows;
}

function fittingFailures(failures: readonly Outcome[], budgetBytes: number): string[] {
  let shortest: string[] = [];
  for (const detail of DETAILS) {
    shortest = prefixWithin(failures, detail, budgetBytes);
    if (shortest.length === failures.length) break;
  }
  let spareBytes = budgetBytes - shortest.reduce((sum, row) => sum + sizeOf(row), 0);
  return shortest.map((short, index) => {
    const outcome = failures[index];
    if (outcome === undefined || spareBytes <= 0) return short;
    const longer = DETAILS.map((detail) => renderRow(outcome, detail)).find(
      (row) => sizeOf(row) - sizeOf(short) <= spareBytes,
    );
    if (longer === undefined || sizeOf(longer) <= sizeOf(short)) return short;
    spareBytes -= sizeOf(longer) - sizeOf(short);
    return longer;
  });
}

function prefixWithin(outcomes: readonly Outcome[], detail: RowDetail, budgetBytes: number): string[] {
  const rows: string[] = [];
  let usedBytes = 0;
  for (const outcome of outcomes) {
    const row = renderRow(outcome, detail);
    usedBytes += sizeOf(row);
    if (usedBytes > budgetBytes) break;
    rows.push(row);
  }
  return rows;
}

export function isFailure({ status }: Outcome): boolean {
  return status === 'failed' || status === 'rolled-back';
}

function renderRow(outcome: Outcome, detail: RowDetail): string {
  const where = `<code>${cell(outcome.projectId, detail.id)}</code> ${cell(outcome.database, detail.name)}`;
  const story = detail.story === 0 ? [] : storyOf(outcome).map((line) => cell(line, detail.story));
  // Three columns, not more: a phone shows no more beside each other.
  return [
    `<tr><td><b>${cell(outcome.name, detail.name)}</b><br><sub>${where}</sub></td>`,
    `<td>${STATUS_SIGNS[outcome.status]}&nbsp;${cell(statusWords(outcome), FULL.name)}<br><sub>${durationWords(outcome.durationMs)}</sub></td>`,
    `<td>${story.join('<br>')}</td></tr>`,
  ].join('');
}

/** Text in one cell: escaped, on one line (a blank line would end the HTML block), and of bounded length. */
export function cell(text: string, longest: number = FULL.name): string {
  // Most of a message of megabytes is cut away before its spaces are looked at.
  const line = shortened(text, 20 * longest + 100)
    .replace(/\s+/g, ' ')
    .trim();
  return escapeHtml(line.length > longest ? `${shortened(line, longest)}…` : line);
}

function shortened(text: string, longest: number): string {
  return text.length > longest ? text.slice(0, longest).replace(HALF_A_CHARACTER, '') : text;
}

function sizeOf(row: string): number {
  return byteLength(row) + 1; // with its line break
}

export function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}
