import escapeHtml from 'escape-html';

import type { FleetReport, Outcome } from '../fleet/index.js';
import { cell, isFailure } from './summary-rows.js';
import { durationWords, STATUS_SIGNS, statusWords, storyOf, VERDICT_SIGNS } from './words.js';

export interface CommentTextOptions {
  /** Hidden first line, by which the comment is found again. */
  readonly marker: string;
  /** What tells this fleet from others, where it was given. */
  readonly key?: string | undefined;
}

/** What a comment keeps to, in UTF-16 units; GitHub takes 65,536 characters. */
export const COMMENT_LENGTH = 60_000;

const MOST_ROWS = 20;
const LONGEST_NAME = 100;
const LONGEST_STORY = 300;

/** The comment of a run: the verdict, the totals, who needs attention (failures first, a few of them), where to look. */
export function renderComment(report: FleetReport, { marker, key }: CommentTextOptions): string {
  const { verdict, action, counts } = report;
  const fleet = key === undefined ? '' : ` ${foreign(key, LONGEST_NAME)}`;
  const head = [
    marker,
    // As HTML, in which nothing is taken for Markdown, like the table below.
    `<h3>${VERDICT_SIGNS[verdict]} ${action}${fleet} ${verdict}, ${counts.total} ${counts.total === 1 ? 'tenant' : 'tenants'}</h3>`,
    '',
    '| done | unchanged | failed | skipped | time |',
    '| --- | --- | --- | --- | --- |',
    `| ${counts.succeeded} | ${counts.unchanged} | ${counts.failed} | ${counts.skipped} | ${durationWords(report.durationMs)} |`,
    '',
  ];
  const foot = [...skipsLine(report.outcomes), linkTo(report.runUrl), ''];
  const room = COMMENT_LENGTH - [...head, ...foot].join('\n').length;
  return [...head, ...attentionTable(report.outcomes, room), ...foot].join('\n');
}

function attentionTable(outcomes: readonly Outcome[], room: number): string[] {
  // In a report they come first, the failures in front.
  const members = outcomes.filter((outcome) => isFailure(outcome) || outcome.status === 'skipped');
  if (members.length === 0) return [];
  const rows: string[] = [];
  let left = room - 500; // for the frame and the line below
  for (const outcome of members.slice(0, MOST_ROWS)) {
    const text = row(outcome);
    left -= text.length + 1;
    if (left < 0) break;
    rows.push(text);
  }
  const more = members.length - rows.length;
  const head = '<tr><th align="left">Tenant</th><th align="left">Status</th><th align="left">What happened</th></tr>';
  return [
    '<table>',
    head,
    ...rows,
    '</table>',
    '',
    ...(more === 0 ? [] : [`and ${more} more that need attention, in the report of the run.`, '']),
  ];
}

function row(outcome: Outcome): string {
  const story = storyOf(outcome).map((line) => foreign(line, LONGEST_STORY));
  return [
    `<tr><td>${foreign(outcome.name, LONGEST_NAME)}</td>`,
    `<td>${STATUS_SIGNS[outcome.status]}&nbsp;${statusWords(outcome)}</td>`,
    `<td>${story.join('<br>')}</td></tr>`,
  ].join('');
}

function skipsLine(outcomes: readonly Outcome[]): string[] {
  const counts = new Map<string, number>();
  for (const outcome of outcomes) {
    if (outcome.status === 'skipped') counts.set(outcome.reason, (counts.get(outcome.reason) ?? 0) + 1);
  }
  if (counts.size === 0) return [];
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`);
  return [`${STATUS_SIGNS.skipped} skipped: ${parts.join(', ')}`, ''];
}

function linkTo(runUrl: string | undefined): string {
  const isAddress = runUrl !== undefined && /^https?:\/\//.test(runUrl) && URL.canParse(runUrl);
  return isAddress
    ? `<a href="${escapeHtml(runUrl)}">The run, with the full report</a>`
    : 'The full report is with the run.';
}

/** What reverses or hides what stands beside it. */
const DECEIVING = /[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/**
 * Text from outside, in a comment: escaped, on one line, of bounded length, and as code, in which GitHub makes nothing of
 * mentions, numbers of issues, links and Markdown. A mention is broken up besides, should the text be quoted elsewhere.
 */
function foreign(text: string, longest: number): string {
  return `<code>${cell(text.replace(DECEIVING, ''), longest).replaceAll('@', '@\u200b')}</code>`;
}
