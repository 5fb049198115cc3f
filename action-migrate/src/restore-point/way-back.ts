import { leftSomething, type Outcome, type RestorePoint } from '@neon-fleet/shared/fleet';
import escapeHtml from 'escape-html';

import { pointWords } from './go-back.js';

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
export function wayBack(outcomes: readonly Outcome[], env: NodeJS.ProcessEnv = process.env): string {
  const changed = outcomes.flatMap((outcome): Changed[] => {
    const { migration } = outcome;
    if (!leftSomething(migration) || migration.restorePoint === undefined) return [];
    return [{ outcome, point: migration.restorePoint }];
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
    `<p>Give <code>command: undo</code> the report of this run as <code>undo-report</code>, and <code>tenants</code> for some of them only; with the workflow <code>undo.yml</code> of the examples: <code>${oneLine(undoCommand(env))}</code>. It works ${untilWords(changed)}. What customers have written since ${earliest(changed)} leaves the databases with that, and is kept in a branch of each.</p>`,
    `<p>One of them by hand: <code>neonctl branches restore BRANCH ^self@POSITION --preserve-under-name replaced --project-id PROJECT</code></p>`,
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
  const project = `<code>${oneLine(outcome.projectId)}</code>`;
  return `<b>${oneLine(outcome.name)}</b> ${project}: ${oneLine(pointWords(point))}`;
}

/** The one command that takes the whole rollout back, in GitHub's command line. */
function undoCommand({ GITHUB_RUN_ID: id = 'RUN_ID', GITHUB_REPOSITORY: repository }: NodeJS.ProcessEnv): string {
  const where = repository === undefined ? '' : ` --repo ${repository}`;
  return `gh workflow run undo.yml${where} -f run-id=${id} -f dry-run=false`;
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
