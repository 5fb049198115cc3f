import * as core from '@actions/core';

import type { TenantDone } from '../fleet/index.js';
import { printable, printableLine } from './printable.js';
import { durationWords, STATUS_SIGNS, statusWords, storyOf } from './words.js';

/** Writes one tenant's part of the log, as a group that can be folded: how far the run is, who, and what happened. */
export function logTenant({ outcome, progress, notes }: TenantDone): void {
  const title = `${progress.done}/${progress.total} ${STATUS_SIGNS[outcome.status]} ${outcome.name} (${outcome.projectId}) ${statusWords(outcome)}, ${durationWords(outcome.durationMs)}`;
  core.startGroup(printableLine(title));
  for (const line of [...notes, ...storyOf(outcome)]) core.info(printable(line));
  core.endGroup();
}
