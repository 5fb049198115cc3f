import { ExplainedError } from '@neon-fleet/shared/errors';
import type { RestorePoint } from '@neon-fleet/shared/fleet';
import { BranchExistsError, unfinishedOperations, waitForOperations, type Neon } from '@neon-fleet/shared/neon';

export interface GoBackOptions {
  readonly projectId: string;
  /** Names the occasion: going back twice on the same occasion is the same as once. */
  readonly occasion: string;
  readonly signal: AbortSignal;
  readonly now?: () => Date;
}

/** What became of a branch that was put back. */
export interface WentBack {
  /** The branch in which everything that was written since is kept. */
  readonly keptAs: string;
  /** Whether an earlier attempt had done it already. */
  readonly alreadyDone: boolean;
}

/** What the occasions begin with that are failures. */
export const AFTER_FAILURE = 'after-failure-';

/** The name of the branch that keeps what was replaced on an occasion. */
export function keptName(occasion: string): string {
  return `replaced-${occasion}`;
}

type Api = Pick<Neon, 'restoreBranch' | 'branchOfHost' | 'getOperation' | 'listOperations'>;

/**
 * Puts a branch back to a restore point, which ends its connections. What was written since is not lost: it is kept as a
 * branch of its own, under a name that follows from the occasion, so that a second attempt cannot do it again.
 *
 * @throws ExplainedError when the point is out of reach; NeonApiError.
 */
export async function goBack(neon: Api, point: RestorePoint, options: GoBackOptions): Promise<WentBack> {
  const { projectId, occasion, signal, now = () => new Date() } = options;
  requireReachable(point, now());
  const branchId = point.kind === 'branch' ? point.branchId : await neon.branchOfHost(projectId, point.host);
  const keptAs = keptName(occasion);
  try {
    const { operations } = await neon.restoreBranch({
      projectId,
      branchId,
      preserveUnderName: keptAs,
      ...(point.kind === 'branch'
        ? { sourceBranchId: point.restoreBranchId }
        : { sourceBranchId: branchId, sourceLsn: point.lsn }),
    });
    await waitForOperations(neon, projectId, operations, { signal });
    return { keptAs, alreadyDone: false };
  } catch (thrown) {
    if (!(thrown instanceof BranchExistsError)) throw thrown;
    // An earlier attempt did it, or another job does it right now.
    const operations = await unfinishedOperations(neon, projectId);
    await waitForOperations(neon, projectId, operations, { signal });
    return { keptAs, alreadyDone: true };
  }
}

/** @throws ExplainedError when the project's history does not reach back so far any more. */
export function requireReachable(point: RestorePoint, now: Date): void {
  if (point.kind !== 'lsn' || point.usableUntil === undefined || Date.parse(point.usableUntil) > now.getTime()) return;
  throw new ExplainedError({
    message: `the restore point of ${point.takenAt} is out of reach: the project's history reached back to it until ${point.usableUntil}`,
    hint: 'Restore a backup from before that time instead.',
  });
}

/** A restore point in words: what is lost by going back to it, and until when that works. */
export function pointWords(point: RestorePoint): string {
  if (point.kind === 'branch') return `branch ${point.name}, as of ${point.takenAt}`;
  const until = point.usableUntil === undefined ? '' : `, reachable until ${point.usableUntil}`;
  return `${point.lsn}, as of ${point.takenAt}${until}`;
}
