import type { Outcome, OutcomeStatus, SkipReason } from './outcome.js';

/** The one word that a run ends with. */
export const VERDICTS = ['succeeded', 'failed', 'incomplete'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** How much an outcome weighs: green, not done, or gone wrong. */
export type Weight = 'green' | 'incomplete' | 'red';

/** The published table of outcomes: which status makes a run green, incomplete or red. */
export const STATUS_WEIGHTS: Readonly<Record<OutcomeStatus, Weight>> = {
  succeeded: 'green',
  unchanged: 'green',
  failed: 'red',
  'rolled-back': 'red',
  skipped: 'incomplete',
};

/** Whether what was wanted is so, by a status alone. */
export function isGreen(status: OutcomeStatus): boolean {
  return STATUS_WEIGHTS[status] === 'green';
}

/** The weight of one outcome, given the reasons for skipping that the user declared acceptable. */
export function weigh(outcome: Outcome, allowSkipped: ReadonlySet<SkipReason>): Weight {
  if (outcome.status === 'skipped' && allowSkipped.has(outcome.reason)) return 'green';
  return STATUS_WEIGHTS[outcome.status];
}

/**
 * The verdict over a whole run. Green means that the whole selected fleet is where it should be: one failure makes it
 * `failed`, else one tenant that was left out makes it `incomplete`.
 */
export function verdictOf(outcomes: readonly Outcome[], allowSkipped: ReadonlySet<SkipReason> = new Set()): Verdict {
  const weights = new Set(outcomes.map((outcome) => weigh(outcome, allowSkipped)));
  if (weights.has('red')) return 'failed';
  return weights.has('incomplete') ? 'incomplete' : 'succeeded';
}
