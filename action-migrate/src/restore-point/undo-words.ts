import { standingWords, type Standing } from '@neon-fleet/shared/drizzle';
import type { MigrationRecord, RestorePoint, TenantResult } from '@neon-fleet/shared/fleet';
import type { Branch } from '@neon-fleet/shared/neon';

import { pointWords } from './go-back.js';

/** The tenant is where it was before the rollout. */
export function wentBack({ from }: MigrationRecord, point: RestorePoint, keptAs: string): TenantResult {
  const detail = `back at ${from ?? 'no migration'}; what was written from ${point.takenAt} until now is only in the branch ${keptAs}`;
  return { status: 'succeeded', detail, migration: recordAt(from) };
}

/** Where the tenant is now, with nothing in it that could be undone. */
function recordAt(version: string | undefined): MigrationRecord {
  return { ...(version === undefined ? {} : { to: version }), applied: [] };
}

export function wouldGoBack({ from }: MigrationRecord, point: RestorePoint): TenantResult {
  const detail = `would go back to ${from ?? 'no migration'} (${pointWords(point)}); what was written since ${point.takenAt} would leave the database and be kept in a branch`;
  return { status: 'unchanged', reason: 'up-to-date', detail };
}

export function alreadyThere({ from }: MigrationRecord, version: string | undefined): TenantResult {
  const detail =
    version === from
      ? `at ${from ?? 'no migration'} already`
      : `it has nothing of this rollout: it is at ${version ?? 'no migration'}`;
  return { status: 'unchanged', reason: 'up-to-date', detail, migration: recordAt(version) };
}

export function alreadyBack({ from }: MigrationRecord, { name, createdAt }: Branch): TenantResult {
  const when = createdAt === undefined ? '' : ` at ${createdAt}`;
  const detail = `at ${from ?? 'no migration'}; it was put back${when}, and what it held before is in the branch ${name}`;
  return { status: 'unchanged', reason: 'up-to-date', detail, migration: recordAt(from) };
}

export function atItAgain({ name }: Branch): TenantResult {
  return failed(
    `it was put back once (branch ${name}), and the rollout was at it again since; whether that left something behind cannot be told`,
    'Look at the tenant. If it is to go back further, restore its branch by hand: the restore point is in the report.',
  );
}

export function onAnotherBranch(host: string): TenantResult {
  return failed(
    `the rollout was at ${host}, and these inputs lead to another branch or compute`,
    'Give undo the same branch, database and role as the rollout had.',
  );
}

export function notUnderstood(why: string): TenantResult {
  return failed(
    `what it has and what the folder has differ, so that going back could undo more than this rollout: ${why}`,
    'Run undo with a checkout that has all migrations of this tenant: the commit of its newest rollout.',
  );
}

export function withoutWayBack({ applied }: MigrationRecord): TenantResult {
  const what = applied.length === 0 ? 'the rollout changed it' : `${applied.join(', ')} was applied`;
  return failed(
    `no restore point was noted when ${what}`,
    'Restore a backup from before the rollout, or write a migration that takes the change back.',
  );
}

export function movedOn({ to }: MigrationRecord, version: string | undefined): TenantResult {
  return failed(
    `it is at ${version ?? 'no migration'}, and not at ${to ?? 'no migration'} any more, where the rollout left it: going back would undo more than this rollout`,
    'Undo the newer rollout first, or restore this tenant by hand.',
  );
}

/** @param after undefined: another run had the lock all the time. */
export function notBack({ from }: MigrationRecord, after: Standing | undefined, keptAs: string): TenantResult {
  const seen =
    after === undefined
      ? 'whether that worked could not be looked at, since another run holds its lock'
      : `${standingWords(after)}, and not ${from === undefined ? 'without any migration' : `at ${from}`} as before the rollout`;
  return failed(
    `it was put back, but ${seen}`,
    `Did another run migrate it again at once? What it held before is in the branch ${keptAs}. Look at both before anything else is done.`,
  );
}

function failed(message: string, hint: string): TenantResult {
  return { status: 'failed', detail: message, error: { message, hint } };
}
