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
import { connect, parseConnectionUri, takeLock } from '@neon-fleet/shared/postgres';

import type { WantedSchema } from '../engine.js';
import { goBack, pointWords } from './go-back.js';
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
  const look = () => lookUnderLock(uri, wanted, { authorities, lockWaitMs: options.lockWaitMs, signal });
  const before = await look();
  if (before === 'locked') return locked();
  if (before.version === migration.from) return alreadyThere(migration);
  if (before.version !== migration.to) return movedOn(migration, before.version);
  if (options.dryRun) return wouldGoBack(migration, restorePoint);

  note(`At ${migration.to ?? 'no migration'}; going back to ${pointWords(restorePoint)}`);
  const lostFrom = restorePoint.takenAt;
  const { keptAs } = await goBack(neon, restorePoint, { projectId, occasion: `undo-${options.runName}`, signal });
  // A restore gives the branch's endpoints new computes: the URI stays, the sessions do not.
  const after = await look();
  if (after !== 'locked' && after.version !== migration.from) return notBack(migration, after.version, keptAs);
  const detail = `back at ${migration.from ?? 'no migration'}; what was written from ${lostFrom} until now is only in the branch ${keptAs}`;
  return { status: 'succeeded', detail };
}

/** Which version the database is at, read while no run of neon-fleet works on it. */
async function lookUnderLock(
  uri: string,
  { folder, table }: WantedSchema,
  { authorities, lockWaitMs, signal }: Pick<Rollout, 'authorities'> & { lockWaitMs: number; signal: AbortSignal },
): Promise<'locked' | { version: string | undefined }> {
  const connection = await connect(parseConnectionUri(uri), {
    signal,
    authorities,
    applicationName: 'neon-fleet undo',
  });
  try {
    if (!(await takeLock(connection, { mode: 'exclusive', waitMs: lockWaitMs, signal }))) return 'locked';
    const assessment = assess(folder, await readSchemaState(connection, table));
    return { version: assessment.kind === 'up-to-date' ? assessment.version : assessment.from };
  } finally {
    await connection.close();
  }
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

function alreadyThere({ from }: MigrationRecord): TenantResult {
  return { status: 'unchanged', reason: 'up-to-date', detail: `at ${from ?? 'no migration'} already` };
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

function notBack({ from }: MigrationRecord, version: string | undefined, keptAs: string): TenantResult {
  const error = {
    message: `it was put back, but is at ${version ?? 'no migration'} and not at ${from ?? 'no migration'}`,
    hint: `What it held before is in the branch ${keptAs}. Look at both before anything else is done.`,
  };
  return { status: 'failed', detail: error.message, error };
}
