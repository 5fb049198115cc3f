import { namesOf } from './names.js';
import type { Outcome } from './outcome.js';

/** What ends the starting of tenants before all of them were started. */
export interface Halt {
  /** What those that are not started are skipped for. */
  readonly reason: 'budget' | 'neon-unavailable' | 'canary-failed';
  readonly why: string;
}

export interface BrakesOptions {
  /** With more failures than this nobody else is started. */
  readonly budget?: { readonly maxFailures: number };
  /** After so many infrastructure failures in a row nobody else is started. */
  readonly breaker?: { readonly openAfter: number };
  /** Set when it is known before that nobody may be started. */
  readonly halted?: Halt;
}

/** Watches outcomes as they become known. */
export interface Brakes {
  /** Takes the next outcome; gives the halt when it is this outcome that brings it about. */
  take(outcome: Outcome): Halt | undefined;
  /** Set from the moment on from which nobody else may be started; the first cause stays. */
  readonly halt: Halt | undefined;
}

/** Whether an outcome counts against the error budget: what failed or was put back, unless Neon was the cause. */
export function countsAsFailure(outcome: Outcome): boolean {
  return outcome.status === 'rolled-back' || (outcome.status === 'failed' && outcome.infrastructure !== true);
}

/** The brakes of one run: its error budget, its breaker, and the failures that stop everything. */
export function makeBrakes({ budget, breaker, halted }: BrakesOptions): Brakes {
  let halt = halted;
  let failures = 0;
  let unavailableInARow = 0;

  const cause = (outcome: Outcome): Halt | undefined => {
    if (outcome.status === 'failed' && outcome.stopsRollout === true) {
      return { reason: 'canary-failed', why: `${namesOf([outcome])} stopped the rollout` };
    }
    if (budget !== undefined && failures > budget.maxFailures) {
      return { reason: 'budget', why: `${failures} failed, which is more than the ${budget.maxFailures} allowed here` };
    }
    if (breaker !== undefined && unavailableInARow >= breaker.openAfter) {
      const why = `Neon or the way to it failed for ${unavailableInARow} tenants in a row`;
      return { reason: 'neon-unavailable', why };
    }
    return undefined;
  };

  return {
    take(outcome) {
      if (countsAsFailure(outcome)) failures += 1;
      const unavailable = outcome.status === 'failed' && outcome.infrastructure === true;
      unavailableInARow = unavailable ? unavailableInARow + 1 : 0;
      if (halt !== undefined) return undefined;
      halt = cause(outcome);
      return halt;
    },
    get halt() {
      return halt;
    },
  };
}
