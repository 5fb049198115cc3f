import { assess, readSchemaState } from '@neon-fleet/shared/drizzle';
import type {
  MigrationRecord,
  Outcome,
  RestorePoint,
  Tenant,
  TenantResult,
  WorkContext,
} from '@neon-fleet/shared/fleet';
import { findDatabase } from '@neon-fleet/shared/neon';
import { connect, hostOf, parseConnectionUri, takeLock } from '@neon-fleet/shared/postgres';

import type { WantedSchema } from '../engine.js';
import { pendingIn } from '../look/look-at-tenant.js';
import { goBack, pointWords, requireReachable } from './go-back.js';
import type { Rollout } from '../rollout.js';

/** A tenant that a rollout changed, and what it did there. */
export interface Undoable extends Tenant {
  readonly migration: MigrationRecord;
}

/** Those of a rollout's tenants on which it left something behind: there is nothing to undo for the others. */
export function undoableTenants(outcomes: readonly Outcome[], tenantOf: (outcome: Outcome) => Tenant): Undoable[] {
  return outcomes.flatMap((outcome) => {
    const { migration } = outcome;
    if (migration === undefined || migration.applied.length === 0 || outcome.status === 'rolled-back') return [];
    return [{ ...tenantOf(outcome), migration }];
  });
}

export interface UndoOptions {
  readonly lockWaitMs: number;
  /** Names the rollout that is undone. */
  readonly runName: string;
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean;
}

/**
 * Puts one tenant back to where it was before a rollout. Looks first: a tenant that is there already is left alone, and so
 * is one that something else has been applied to since, which going back would take away as well.
 */
export async function undoTenant(
  rollout: Rollout,
  tenant: Undoable,
  options: UndoOptions,
  { signal, note }: WorkContext,
): Promise<TenantResult> {
  const { migration, projectId } = tenant;
  const { restorePoint } = migration;
  if (restorePoint === undefined) return withoutWayBack(migration);
  const { neon, engine, authorities } = rollout;
  const wanted = await engine.schemaOf(tenant);
  const { uri } = await findDatabase(neon, tenant);
  if (restorePoint.kind === 'lsn' && restorePoint.host !== hostOf(uri)) return onAnotherBranch(restorePoint.host);
  const look = () => lookUnderLock(uri, wanted, { authorities, lockWaitMs: options.lockWaitMs, signal });
  const before = await look();
  if (before.kind === 'locked') return locked();
  if (before.kind === 'drift') return notUnderstood(before.why);
  const there = migration.applied.filter((tag) => before.applied.has(tag));
  if (there.length === 0) return alreadyThere(migration);
  if (there.length < migration.applied.length)
    return notUnderstood(`of what the rollout applied, it has ${there.join(', ')} only`);
  if (!isWhereTheRolloutLeftIt(migration, before.version)) return movedOn(migration, before.version);
  requireReachable(restorePoint, new Date());
  if (options.dryRun) return wouldGoBack(migration, restorePoint);

  note(`At ${migration.to ?? 'no migration'}; going back to ${pointWords(restorePoint)}`);
  const lostFrom = restorePoint.takenAt;
  const occasion = `undo-${options.runName}-${nameOf(restorePoint)}`;
  const { keptAs } = await goBack(neon, restorePoint, { projectId, occasion, signal });
  // A restore gives the branch's endpoints new computes: the URI stays, the sessions do not.
  const after = await look();
  if (after.kind !== 'seen' || migration.applied.some((tag) => after.applied.has(tag))) {
    return notBack(migration, after, keptAs);
  }
  const detail = `back at ${migration.from ?? 'no migration'}; what was written from ${lostFrom} until now is only in the branch ${keptAs}`;
  return { status: 'succeeded', detail, migration: leftAt(migration) };
}

/** The version that is left behind when the rollout is taken back. */
function leftAt({ from, to }: MigrationRecord): MigrationRecord {
  return { ...(to === undefined ? {} : { from: to }), ...(from === undefined ? {} : { to: from }), applied: [] };
}

/** What a look at a tenant showed. */
type Look =
  | { readonly kind: 'locked' }
  /** The folder does not explain what is recorded: what going back would take away is not known. */
  | { readonly kind: 'drift'; readonly why: string }
  | { readonly kind: 'seen'; readonly version: string | undefined; readonly applied: ReadonlySet<string> };

/** Which migrations the database has, read while no run of neon-fleet works on it. */
async function lookUnderLock(
  uri: string,
  { folder, table }: WantedSchema,
  { authorities, lockWaitMs, signal }: Pick<Rollout, 'authorities'> & { lockWaitMs: number; signal: AbortSignal },
): Promise<Look> {
  const connection = await connect(parseConnectionUri(uri), {
    signal,
    authorities,
    applicationName: 'neon-fleet undo',
  });
  try {
    if (!(await takeLock(connection, { mode: 'exclusive', waitMs: lockWaitMs, signal }))) return { kind: 'locked' };
    const assessment = assess(folder, await readSchemaState(connection, table));
    if (assessment.kind === 'drift' && !assessment.onlyOutOfOrder) return { kind: 'drift', why: assessment.why };
    const missing = new Set(pendingIn(assessment).map(({ tag }) => tag));
    const applied = folder.migrations.map(({ tag }) => tag).filter((tag) => !missing.has(tag));
    return { kind: 'seen', version: applied.at(-1), applied: new Set(applied) };
  } finally {
    await connection.close();
  }
}

/**
 * Whether nothing newer than the rollout's own migrations is there. The newest one may be older than the rollout, where
 * that applied one that had been merged out of order.
 */
function isWhereTheRolloutLeftIt({ applied, from }: MigrationRecord, version: string | undefined): boolean {
  return version === from || (version !== undefined && applied.includes(version));
}

/** Tells one restore point of a tenant from another in the name of a branch. */
function nameOf(point: RestorePoint): string {
  return point.kind === 'branch' ? point.restoreBranchId : point.lsn.replace('/', '-');
}

function onAnotherBranch(host: string): TenantResult {
  const error = {
    message: `the rollout was at ${host}, and these inputs lead to another branch or compute`,
    hint: 'Give undo the same branch, database and role as the rollout had.',
  };
  return { status: 'failed', detail: error.message, error };
}

function notUnderstood(why: string): TenantResult {
  const error = {
    message: `what it has and what the folder has differ, so that going back could undo more than this rollout: ${why}`,
    hint: 'Run undo with a checkout that has all migrations of this tenant: the commit of its newest rollout.',
  };
  return { status: 'failed', detail: error.message, error };
}

function withoutWayBack({ applied }: MigrationRecord): TenantResult {
  const error = {
    message: `no restore point was noted when ${applied.join(', ')} was applied`,
    hint: 'Restore a backup from before the rollout, or write a migration that takes the change back.',
  };
  return { status: 'failed', detail: error.message, error };
}

function locked(): TenantResult {
  return { status: 'skipped', reason: 'locked', detail: 'another run of neon-fleet holds the lock of this database' };
}

function alreadyThere(migration: MigrationRecord): TenantResult {
  const detail = `at ${migration.from ?? 'no migration'} already`;
  return { status: 'unchanged', reason: 'up-to-date', detail, migration: leftAt(migration) };
}

function movedOn({ to }: MigrationRecord, version: string | undefined): TenantResult {
  const error = {
    message: `it is at ${version ?? 'no migration'}, and not at ${to ?? 'no migration'} any more, where the rollout left it: going back would undo more than this rollout`,
    hint: 'Undo the newer rollout first, or restore this tenant by hand.',
  };
  return { status: 'failed', detail: error.message, error };
}

function wouldGoBack({ from }: MigrationRecord, point: RestorePoint): TenantResult {
  const detail = `would go back to ${from ?? 'no migration'} (${pointWords(point)}); what was written since ${point.takenAt} would leave the database and be kept in a branch`;
  return { status: 'unchanged', reason: 'up-to-date', detail };
}

function notBack({ from }: MigrationRecord, after: Look, keptAs: string): TenantResult {
  const seen =
    after.kind === 'locked'
      ? 'whether that worked could not be looked at, since another run holds its lock'
      : after.kind === 'drift'
        ? after.why
        : `it is at ${after.version ?? 'no migration'} and not at ${from ?? 'no migration'}`;
  const error = {
    message: `it was put back, but ${seen}`,
    hint: `What it held before is in the branch ${keptAs}. Look at both before anything else is done.`,
  };
  return { status: 'failed', detail: error.message, error };
}
