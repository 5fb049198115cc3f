import type { Standing } from '@neon-fleet/shared/drizzle';
import type { MigrationRecord, RestorePoint, TenantResult } from '@neon-fleet/shared/fleet';
import type { Branch } from '@neon-fleet/shared/neon';

import { AFTER_FAILURE, keptName } from './go-back.js';
import { alreadyBack, alreadyThere, atItAgain, movedOn, notUnderstood } from './undo-words.js';

/** What the report of a rollout says about one tenant. */
export interface RolledOut {
  readonly migration: MigrationRecord;
  /** When the rollout's last attempt on it began; ISO time. */
  readonly workedOnAt: string;
}

/** What to do with one tenant. */
export type UndoDecision =
  | { readonly kind: 'leave'; readonly result: TenantResult }
  /** `occasion` is the same for everybody who goes back for the same reason, so that it is done once. */
  | { readonly kind: 'go-back'; readonly occasion: string };

/** Everything that a rollout applied, as far as that is known. */
export function appliedBy({ applied, unsettled = [] }: MigrationRecord): readonly string[] {
  return [...applied, ...unsettled];
}

/**
 * Decides by what is there, seen under the lock. A tenant that is back already is left alone, and so is one that something
 * else has been applied to since, which going back would take away as well.
 *
 * @param branches of the project: a restore leaves one that keeps what it has replaced.
 */
export function decideUndo(
  rollout: RolledOut,
  standing: Standing,
  branches: readonly Branch[],
  { runName, point }: { readonly runName: string; readonly point: RestorePoint },
): UndoDecision {
  const leave = (result: TenantResult): UndoDecision => ({ kind: 'leave', result });
  const { migration, workedOnAt } = rollout;
  if (standing.kind === 'drift') return leave(notUnderstood(standing.why));
  const { version, applied: has } = standing;
  const own = appliedBy(migration);
  const there = own.filter((tag) => has.has(tag));
  // Of a file that was done in part drizzle's table says nothing: then only an earlier restore tells.
  const inPart = migration.applied.length === 0 && migration.changed === true;
  if (there.length === 0 && !inPart) return leave(alreadyThere(migration, version));
  if (migration.applied.some((tag) => !has.has(tag))) {
    return leave(notUnderstood(`of what the rollout applied, it has ${there.join(', ')} only`));
  }
  // The newest one may be older than the rollout, where that applied one that had been merged out of order.
  if (version !== migration.from && (version === undefined || !own.includes(version))) {
    return leave(movedOn(migration, version));
  }
  const occasion = `undo-${runName}-${nameOf(point)}`;
  const since = (branch: Branch) => isNotOlder(branch, Date.parse(workedOnAt));
  const [latest] = earlierRestores(branches, occasion);
  if (!inPart || there.length > 0) {
    if (latest === undefined || since(latest.branch))
      return { kind: 'go-back', occasion: latest?.occasion ?? occasion };
    // It was put back, and then the rollout was at it once more.
    return { kind: 'go-back', occasion: `${occasion}${AGAIN}${latest.times + 1}` };
  }
  const putBack = branches.filter(({ name }) => name.startsWith(keptName(AFTER_FAILURE))).find(since);
  const back = latest !== undefined && since(latest.branch) ? latest.branch : putBack;
  if (back !== undefined) return leave(alreadyBack(migration, back));
  return latest === undefined ? { kind: 'go-back', occasion } : leave(atItAgain(latest.branch));
}

/** Neon's times may be in whole seconds. A time that is not known says nothing, so that nothing is done twice for it. */
function isNotOlder({ createdAt }: Branch, thanMs: number): boolean {
  if (createdAt === undefined) return true;
  return Date.parse(createdAt) + (createdAt.includes('.') ? 0 : 999) >= thanMs;
}

const AGAIN = '-again-';

interface EarlierRestore {
  readonly occasion: string;
  readonly branch: Branch;
  /** 1 for the first. */
  readonly times: number;
}

/** What earlier undos of the same rollout have left, the latest first. */
function earlierRestores(branches: readonly Branch[], occasion: string): EarlierRestore[] {
  const first = keptName(occasion);
  return branches
    .flatMap((branch): EarlierRestore[] => {
      if (branch.name === first) return [{ occasion, branch, times: 1 }];
      if (!branch.name.startsWith(first + AGAIN)) return [];
      const times = Number(branch.name.slice(first.length + AGAIN.length));
      return [{ occasion: `${occasion}${AGAIN}${times}`, branch, times }];
    })
    .toSorted((a, b) => b.times - a.times);
}

/** Tells one restore point of a tenant from another in the name of a branch. */
function nameOf(point: RestorePoint): string {
  return point.kind === 'branch' ? point.restoreBranchId : point.lsn.replace('/', '-');
}
