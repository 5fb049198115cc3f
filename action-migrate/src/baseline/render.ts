import { printable, printableLine } from '@neon-fleet/shared/actions';

import type { Difference } from './compare.js';
import { renderDifferences } from './words.js';

/** A tenant that could not be adopted. */
export interface UnequalTenant {
  readonly name: string;
  readonly differences: readonly Difference[];
}

/** Leaves the summary of a step (1 MiB) room for everything else. */
const LONGEST_BYTES = 200 * 1024;

/** What stands in the way of adopting tenants, as Markdown for the summary: a fold for each, as many as there is room for. */
export function renderBaseline(tenants: readonly UnequalTenant[]): string {
  const unequal = tenants.filter(({ differences }) => differences.length > 0);
  if (unequal.length === 0) return '';
  const folds: string[] = [];
  let bytes = 0;
  for (const tenant of unequal) {
    const fold = foldOf(tenant);
    bytes += Buffer.byteLength(fold);
    if (bytes > LONGEST_BYTES) break;
    folds.push(fold);
  }
  const more = unequal.length - folds.length;
  return [
    '### Not what the migrations make',
    'What the migrations make is marked `-`, what is in the database `+`. The order of columns, owners and privileges are not compared.',
    ...folds,
    ...(more > 0 ? [`… and ${more} more; see the report.`] : []),
  ].join('\n\n');
}

function foldOf({ name, differences }: UnequalTenant): string {
  const text = printable(renderDifferences(differences));
  const longestRun = Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  // A fence that is longer than any run of backticks in the text cannot be closed by it.
  const fence = '`'.repeat(Math.max(3, longestRun + 1));
  return `<details><summary>${escapeHtml(printableLine(name))}</summary>\n\n${fence}diff\n${text}\n${fence}\n\n</details>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
