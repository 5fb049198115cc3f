import { scrubSecrets } from '@neon-fleet/shared/errors';

import type { Difference } from './compare.js';

const LISTED = 5;
const RENDERED = 20;
const LONGEST_DEFINITION = 600;

/** The differences in one line: how many of each, and the first of them by name. */
export function differenceWords(differences: readonly Difference[]): string {
  const counts = (['missing', 'extra', 'different'] as const)
    .map((is) => ({ is, count: differences.filter((difference) => difference.is === is).length }))
    .filter(({ count }) => count > 0)
    .map(({ is, count }) => `${count} ${is}`);
  const named = differences.slice(0, LISTED).map(({ is, kind, name }) => `${is} ${kind} ${name}`);
  const more = differences.length - named.length;
  return `${counts.join(', ')} (${named.join('; ')}${more > 0 ? `; and ${more} more` : ''})`;
}

/** The differences as text of several lines, both definitions each, like a diff: `-` what the migrations make, `+` what is there. */
export function renderDifferences(differences: readonly Difference[]): string {
  const shown = differences
    .slice(0, RENDERED)
    .map((difference) =>
      [
        `${difference.is} ${difference.kind} ${difference.name}`,
        ...('expected' in difference ? marked('-', difference.expected) : []),
        ...('actual' in difference ? marked('+', difference.actual) : []),
      ].join('\n'),
    );
  const more = differences.length - shown.length;
  return scrubSecrets([...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('\n'));
}

function marked(mark: string, definition: string): string[] {
  if (definition === '') return [];
  // Scrubbed before it is cut: half a secret has no shape to be recognised by.
  const whole = scrubSecrets(definition.trim());
  const text = whole.length > LONGEST_DEFINITION ? `${whole.slice(0, LONGEST_DEFINITION)}…` : whole;
  return text.split('\n').map((line) => `  ${mark} ${line}`);
}
