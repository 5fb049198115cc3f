import * as core from '@actions/core';

import type { Discovery } from '../fleet/index.js';
import { printableLine } from './printable.js';
import { cell } from './summary-rows.js';

/**
 * Tells in the log of exclusions that took nobody out.
 *
 * @returns the same for the job summary, below the table; empty when there is none
 */
export function tellIdleExclusions({ idleExclusions }: Pick<Discovery, 'idleExclusions'>): string {
  if (idleExclusions.length === 0) return '';
  const patterns = idleExclusions.map((pattern) => JSON.stringify(pattern)).join(', ');
  const message = `tenants: no project matches ${patterns}, so that nobody was left out by it. Is it spelled right?`;
  core.warning(printableLine(message));
  return `\n<p>⚠️ ${cell(message)}</p>\n`;
}
