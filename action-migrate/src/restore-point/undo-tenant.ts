import { isBackAt, keepsLock, lockedResult, standingOf, underLock } from '@neon-fleet/shared/drizzle';
import { ExplainedError } from '@neon-fleet/shared/errors';
import {
  leftSomething,
  type Outcome,
  type Tenant,
  type TenantResult,
  type WorkContext,
} from '@neon-fleet/shared/fleet';
import { findDatabase } from '@neon-fleet/shared/neon';
import { hostOf, parseConnectionUri } from '@neon-fleet/shared/postgres';

import { goBack, pointWords, requireReachable } from './go-back.js';
import { appliedBy, decideUndo, type RolledOut } from './undo-decision.js';
import { notBack, onAnotherBranch, withoutWayBack, wentBack, wouldGoBack } from './undo-words.js';
import type { Rollout } from '../rollout.js';

/** A tenant that a rollout changed, and what it did there. */
export interface Undoable extends Tenant, RolledOut {}

/**
 * Those of a rollout's tenants on which it left something behind: there is nothing to undo for the others. Also who was put
 * back after a failure may have something left, of an attempt before that.
 */
export function undoableTenants(outcomes: readonly Outcome[], tenantOf: (outcome: Outcome) => Tenant): Undoable[] {
  return outcomes.flatMap((outcome) => {
    const { migration, startedAt } = outcome;
    return leftSomething(migration) ? [{ ...tenantOf(outcome), migration, workedOnAt: startedAt }] : [];
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
 * Puts one tenant back to where it was before a rollout. Looks first, and keeps the tenant's lock until the restore itself
 * ends the session that has it: what another run did in between would be gone. Looks again before it says that it is back.
 */
export async function undoTenant(
  rollout: Rollout,
  tenant: Undoable,
  { lockWaitMs, runName, dryRun }: UndoOptions,
  { signal, note }: WorkContext,
): Promise<TenantResult> {
  const { migration, projectId } = tenant;
  const { restorePoint: point } = migration;
  if (point === undefined) return withoutWayBack(migration);
  const { neon, engine, authorities } = rollout;
  const { folder, table } = await engine.schemaOf(tenant);
  const { uri } = await findDatabase(neon, tenant);
  if (point.kind === 'lsn' && point.host !== hostOf(uri)) return onAnotherBranch(point.host);
  const target = parseConnectionUri(uri);
  const lock = { table, applicationName: 'neon-fleet undo', lockWaitMs, authorities, signal, note };

  const done = await underLock<TenantResult | { readonly keptAs: string }>(
    target,
    // To look, it is enough that the schema stands still.
    { ...lock, mode: dryRun ? 'shared' : 'exclusive' },
    async ({ connection, state }) => {
      const standing = standingOf(folder, state);
      const decision = decideUndo(tenant, standing, await neon.listBranches(projectId), { runName, point });
      if (decision.kind === 'leave') return decision.result;
      requireReachable(point, new Date());
      if (dryRun) return wouldGoBack(migration, point);
      note(`At ${migration.to ?? 'no migration'}; going back to ${pointWords(point)}`);
      if (!(await keepsLock(connection))) throw lockLost();
      return goBack(neon, point, { projectId, occasion: decision.occasion, signal });
    },
  );
  if (done === undefined) return lockedResult();
  if ('status' in done) return done;
  // A restore gives the branch's endpoints new computes: the URI stays, the sessions do not.
  const after = await underLock(target, lock, ({ state }) => standingOf(folder, state));
  const was = { from: migration.from, applied: appliedBy(migration) };
  if (after === undefined || !isBackAt(after, was)) return notBack(migration, after, done.keptAs);
  return wentBack(migration, point, done.keptAs);
}

function lockLost(): ExplainedError {
  return new ExplainedError({
    message: 'the connection that held its lock broke before anything was done',
    hint: 'Run undo again.',
  });
}
