import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  SKIP_REASONS,
  UNCHANGED_REASONS,
  verdictOf,
  weigh,
  type Outcome,
  type Verdict,
  type Weight,
} from '../../../src/fleet/index.js';
import { anyOutcome, failed, outcome, skipped } from '../../support/builders.js';

const NONE_ALLOWED = new Set<never>();

describe('the table of outcomes', () => {
  test.each<[string, Outcome, Weight]>([
    ['succeeded', outcome(), 'green'],
    ...UNCHANGED_REASONS.map((reason): [string, Outcome, Weight] => [
      `unchanged: ${reason}`,
      outcome({ status: 'unchanged', reason, detail: '' }),
      'green',
    ]),
    ['failed', failed('boom'), 'red'],
    ['rolled-back', outcome({ status: 'rolled-back', detail: '', error: { message: 'boom' } }), 'red'],
    ...SKIP_REASONS.map((reason): [string, Outcome, Weight] => [`skipped: ${reason}`, skipped(reason), 'incomplete']),
  ])('%s', (_, one, weight) => {
    expect(weigh(one, NONE_ALLOWED)).toBe(weight);
  });

  test.each(SKIP_REASONS)('skipped: %s is green when it is allowed, and only it', (reason) => {
    expect(weigh(skipped(reason), new Set([reason]))).toBe('green');
    const others = new Set(SKIP_REASONS.filter((other) => other !== reason));
    expect(weigh(skipped(reason), others)).toBe('incomplete');
  });

  test('a failure is red whatever is allowed', () => {
    expect(weigh(failed('boom'), new Set(SKIP_REASONS))).toBe('red');
  });
});

describe('the verdict', () => {
  test.each<[string, Outcome[], Verdict]>([
    ['all done', [outcome(), outcome()], 'succeeded'],
    ['one failure', [outcome(), failed('boom')], 'failed'],
    ['one left out', [outcome(), skipped('drift')], 'incomplete'],
    ['a failure weighs more than what was left out', [skipped('drift'), failed('boom'), skipped('gone')], 'failed'],
    ['nobody', [], 'succeeded'],
  ])('%s', (_, outcomes, verdict) => {
    expect(verdictOf(outcomes)).toBe(verdict);
  });

  test('is the heaviest weight of all', () => {
    fc.assert(
      fc.property(fc.array(anyOutcome), fc.uniqueArray(fc.constantFrom(...SKIP_REASONS)), (outcomes, allowed) => {
        const allow = new Set(allowed);
        const weights = outcomes.map((one) => weigh(one, allow));
        const verdict = verdictOf(outcomes, allow);
        expect(verdict === 'succeeded').toBe(weights.every((weight) => weight === 'green'));
        expect(verdict === 'failed').toBe(weights.includes('red'));
      }),
    );
  });
});
