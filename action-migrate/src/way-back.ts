import type { Outcome, RestorePoint } from '@neon-fleet/shared/fleet';
import escapeHtml from 'escape-html';

import { pointWords } from './restore-point/go-back.js';

/** So many tenants are shown with a command of their own; the report has the restore points of all. */
const SHOWN = 10;

interface Changed {
  readonly outcome: Outcome;
  readonly point: RestorePoint;
}

/**
 * The part of the job summary that says how to go back: for the whole rollout, for one tenant, until when, and what would
 * be lost. Empty where nothing was changed.
 */
export function wayBack(outcomes: readonly Outcome[]): string {
  const changed = outcomes.flatMap((outcome): Changed[] => {
    const { migration } = outcome;
    if (migration?.restorePoint === undefined || migration.applied.length === 0) return [];
    return outcome.status === 'rolled-back' ? [] : [{ outcome, point: migration.restorePoint }];
  });
  const [first] = changed;
  if (first === undefined) return '';
  // Those that need it most come first.
  const shown = changed.toSorted((a, b) => rank(a.outcome) - rank(b.outcome)).slice(0, SHOWN);
  const left = changed.length - shown.length;
  return [
    '',
    `<details><summary>How to go back: ${changed.length} ${changed.length === 1 ? 'tenant' : 'tenants'}</summary>`,
    '',
    `<p>All of them, one by one: run this action with <code>command: undo</code> and <code>undo-report:</code> set to the path of this report. It works ${untilWords(changed)}. What customers have written since ${earliest(changed)} leaves the database with that, and is kept in a branch.</p>`,
    `<p>One of them, with Neon's command line:</p>`,
    '<ul>',
    ...shown.map(({ outcome, point }) => `<li>${item(outcome, point)}</li>`),
    '</ul>',
    ...(left > 0 ? [`<p>The restore points of ${left} more are in the report.</p>`] : []),
    '</details>',
    '',
  ].join('\n');
}

function rank({ status }: Outcome): number {
  return status === 'failed' ? 0 : 1;
}

function item(outcome: Outcome, point: RestorePoint): string {
  return `<b>${oneLine(outcome.name)}</b> (${oneLine(pointWords(point))}): <code>${oneLine(command(outcome, point))}</code>`;
}

/** The id of the branch is not known here: asking for it would cost a call a tenant. Neon's command line knows its name. */
function command({ projectId }: Outcome, point: RestorePoint): string {
  const source = point.kind === 'branch' ? point.restoreBranchId : `^self@${point.lsn}`;
  const target = point.kind === 'branch' ? point.branchId : 'BRANCH';
  return `neonctl branches restore ${target} ${source} --preserve-under-name replaced --project-id ${projectId}`;
}

function untilWords(changed: readonly Changed[]): string {
  const limits = changed.flatMap(({ point }) =>
    point.kind === 'lsn' && point.usableUntil !== undefined ? [point.usableUntil] : [],
  );
  const first = limits.toSorted()[0];
  return first === undefined ? 'for as long as the projects keep their history' : `until ${first} for all of them`;
}

function earliest(changed: readonly Changed[]): string {
  return changed.map(({ point }) => point.takenAt).toSorted()[0] ?? '';
}

function oneLine(text: string): string {
  return escapeHtml(text.replace(/\s+/g, ' ').trim());
}
