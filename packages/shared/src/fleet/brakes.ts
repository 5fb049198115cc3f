import { namesOf } from './names.js';
import type { Outcome } from './outcome.js';

/** What ends the starting of tenants before all of them were started. */
export interface Halt {
  /** What those that are not started are skipped for. */
  readonly reason: 'budget' | 'neon-unavailable' | 'canary-failed';
  readonly why: string;
}

/** The failures of a whole fleet, counted where all of its shards can see them. */
export interface FleetFailures {
  /** What all shards together may have. */
  readonly maxFailures: number;
  /**
   * Says how many this shard has had so far, and gives how many all shards have had. Undefined, or a rejection: there is
   * nobody to ask any more, and nobody does.
   */
  exchange(own: number): Promise<number | undefined>;
}

export interface BrakesOptions {
  /** With more failures than this nobody else is started; with `fleet` it counts only once that cannot be asked. */
  readonly budget?: { readonly maxFailures: number; readonly fleet?: FleetFailures };
  /** After so many infrastructure failures in a row nobody else is started. */
  readonly breaker?: { readonly openAfter: number };
  /** Set when it is known before that nobody may be started. */
  readonly halted?: Halt;
}

/** Watches outcomes as they become known. */
export interface Brakes {
  /** Takes the next outcome; gives the halt when it is this outcome that brings it about. */
  take(outcome: Outcome): Halt | undefined;
  /**
   * Takes what all shards have had together, or undefined when that is not known any more and never will be; gives the
   * halt when this brings it about.
   */
  learn(failuresOfAll: number | undefined): Halt | undefined;
  /** Whether what all shards have had together counts: there is somebody to ask, who has always answered. */
  readonly countsFleet: boolean;
  /** What has counted against the budget so far. */
  readonly failures: number;
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
  let fleet = budget?.fleet;
  let failuresOfAll = 0;

  const overBudget = (): Halt | undefined => {
    if (budget === undefined) return undefined;
    if (fleet === undefined) {
      const { maxFailures } = budget;
      if (failures <= maxFailures) return undefined;
      return { reason: 'budget', why: `${failures} failed, which is more than the ${maxFailures} allowed here` };
    }
    const all = Math.max(failures, failuresOfAll);
    if (all <= fleet.maxFailures) return undefined;
    const why = `${all} failed in all shards together, which is more than the ${fleet.maxFailures} allowed`;
    return { reason: 'budget', why };
  };

  const cause = (outcome: Outcome): Halt | undefined => {
    if (outcome.status === 'failed' && outcome.stopsRollout === true) {
      return { reason: 'canary-failed', why: `${namesOf([outcome])} stopped the rollout` };
    }
    const exceeded = overBudget();
    if (exceeded !== undefined) return exceeded;
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
    learn(all) {
      if (all === undefined) fleet = undefined;
      else failuresOfAll = all;
      if (halt !== undefined) return undefined;
      halt = overBudget();
      return halt;
    },
    get countsFleet() {
      return fleet !== undefined;
    },
    get failures() {
      return failures;
    },
    get halt() {
      return halt;
    },
  };
}
