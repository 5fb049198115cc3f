import { countsAsFailure, type Halt } from './brakes.js';
import { namesOf } from './names.js';
import type { Outcome, SkipReason } from './outcome.js';

/** A wave that has ended, reduced to what the decision about the next one depends on. */
export interface WaveTally {
  readonly name: string;
  /** What counts against the error budget. */
  readonly failures: number;
  /** Everybody who failed or was put back, infrastructure failures included. */
  readonly failed: readonly Outcome[];
  /** Those that the wave ended without: nothing is known about how they would have fared. */
  readonly notReached: readonly Outcome[];
  readonly stopper: Outcome | undefined;
  readonly unavailable: boolean;
}

/** Whether the next wave may start; if not, what its tenants are skipped for. */
export type RolloutDecision =
  | { readonly go: true; readonly failures: number; readonly why: string }
  | ({ readonly go: false; readonly failures: number } & Halt);

const NOT_REACHED: ReadonlySet<SkipReason> = new Set(['cancelled', 'deadline', 'neon-unavailable', 'budget']);

/** Reduces the outcomes of one wave. */
export function tallyWave(name: string, outcomes: readonly Outcome[]): WaveTally {
  return {
    name,
    failures: outcomes.filter(countsAsFailure).length,
    failed: outcomes.filter(({ status }) => status === 'failed' || status === 'rolled-back'),
    notReached: outcomes.filter((outcome) => outcome.status === 'skipped' && NOT_REACHED.has(outcome.reason)),
    stopper: outcomes.find((outcome) => outcome.status === 'failed' && outcome.stopsRollout === true),
    unavailable: outcomes.some((outcome) => outcome.status === 'skipped' && outcome.reason === 'neon-unavailable'),
  };
}

/**
 * Decides after each wave whether the next may start: while nobody stopped the rollout, the failures of all waves so far
 * are within the budget, and Neon is there. The first of several waves is the canary: it must be done, and nobody in it
 * may have failed for whatever reason.
 *
 * @param ended the waves so far, in order.
 * @param waves how many there are in all.
 */
export function decideNextWave(
  ended: readonly WaveTally[],
  { waves, maxFailures }: { readonly waves: number; readonly maxFailures: number },
): RolloutDecision {
  const failures = ended.reduce((sum, wave) => sum + wave.failures, 0);
  const no = (reason: Halt['reason'], why: string): RolloutDecision => ({ go: false, failures, reason, why });

  const stopped = ended.find(({ stopper }) => stopper !== undefined);
  if (stopped?.stopper !== undefined) {
    return no('canary-failed', `${namesOf([stopped.stopper])} in wave ${stopped.name} stopped the rollout`);
  }
  const [canary] = ended;
  if (waves > 1 && canary !== undefined) {
    if (canary.failed.length > 0) {
      return no('canary-failed', `in the first wave (${canary.name}) failed ${namesOf(canary.failed)}`);
    }
    if (canary.notReached.length > 0) {
      return no('canary-failed', `the first wave (${canary.name}) ended without ${namesOf(canary.notReached)}`);
    }
  }
  if (failures > maxFailures) {
    const failed = ended.flatMap((wave) => wave.failed.filter(countsAsFailure));
    const where = ended.at(-1)?.name ?? '';
    return no(
      'canary-failed',
      `up to wave ${where} ${failures} failed (${namesOf(failed)}), which is more than the ${maxFailures} allowed`,
    );
  }
  const unavailable = ended.find((wave) => wave.unavailable);
  if (unavailable !== undefined) {
    return no('neon-unavailable', `Neon or the way to it failed for many tenants in a row in wave ${unavailable.name}`);
  }
  return { go: true, failures, why: `${failures} failed so far, ${maxFailures} are allowed` };
}
