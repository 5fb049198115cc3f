import escapeHtml from 'escape-html';

import { distribution, hasFailed, type FleetStatus, type StatusRow } from './rows.js';

const MOST_ROWS = 50;
const DAY_MS = 86_400_000;

/** The status for the job summary: numbers first, then those that need somebody. */
export function renderStatus({ rows, version, takenAt, gaps }: FleetStatus): string {
  const now = Date.parse(takenAt);
  const groups: readonly (readonly [string, readonly StatusRow[], (row: StatusRow) => string])[] = [
    ['whose last migration failed', rows.filter(hasFailed), ({ outcome }) => outcome ?? ''],
    [`behind ${version ?? ''}`, rows.filter(({ isBehind }) => isBehind), (row) => row.version ?? 'nothing applied'],
    ['that are not in Neon', rows.filter(({ isMissing }) => isMissing), () => ''],
    [
      'without a backup of the last two days',
      rows.filter(({ backupAt }) => backupAt === undefined || now - Date.parse(backupAt) > 2 * DAY_MS),
      ({ backupAt }) => (backupAt === undefined ? 'no backup is known' : ageText(now - Date.parse(backupAt))),
    ],
  ];
  return [
    `\n### The fleet, ${rows.length} ${rows.length === 1 ? 'tenant' : 'tenants'}\n`,
    numbers('Schema version', distribution(rows.map((row) => row.version))),
    numbers('Region', distribution(rows.map(({ region }) => region))),
    ...groups.flatMap(([words, members, say]) => (members.length === 0 ? [] : [list(words, members, say)])),
    ...gaps.map((gap) => `<p>${escapeHtml(gap)}</p>\n`),
  ].join('\n');
}

function numbers(title: string, counts: readonly (readonly [string, number])[]): string {
  const shown = counts
    .slice(0, 20)
    .map(([value, count]) => `<tr><td>${cell(value)}</td><td align="right">${count}</td></tr>`);
  return `<table>\n<tr><th align="left">${title}</th><th>Tenants</th></tr>\n${shown.join('\n')}\n</table>\n`;
}

function list(words: string, members: readonly StatusRow[], say: (row: StatusRow) => string): string {
  const shown = members
    .slice(0, MOST_ROWS)
    .map((row) => `<li>${cell(row.name)} <code>${cell(row.projectId)}</code> ${cell(say(row))}</li>`);
  const more = members.length > MOST_ROWS ? `<li>and ${members.length - MOST_ROWS} more</li>` : '';
  return `<details><summary>${members.length} ${cell(words)}</summary>\n<ul>${shown.join('')}${more}</ul>\n</details>\n`;
}

/** How long ago, in one number. */
export function ageText(ms: number): string {
  if (ms < 2 * 3_600_000) return `${Math.max(0, Math.round(ms / 60_000))} min ago`;
  return ms < 2 * DAY_MS ? `${Math.round(ms / 3_600_000)} h ago` : `${Math.round(ms / DAY_MS)} d ago`;
}

function cell(text: string): string {
  return escapeHtml(
    text
      .replace(/\s+/g, ' ')
      .trim()
      .slice(0, 300)
      .replace(/[\uD800-\uDBFF]$/, ''),
  );
}
