import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { countOutcomes, fleetReportSchema, inOrderOfAttention, type FleetReport } from '../../../src/fleet/index.js';
import { anyOutcome, failed, outcome, report, skipped } from '../../support/builders.js';

describe('a report', () => {
  test('read back from its file is the same report', () => {
    fc.assert(
      fc.property(fc.array(anyOutcome, { maxLength: 8 }), fc.option(fc.webUrl(), { nil: undefined }), (all, runUrl) => {
        const made = report(all, { runUrl });
        const read: unknown = JSON.parse(JSON.stringify(made));
        expect(fleetReportSchema.parse(read)).toStrictEqual(made);
      }),
    );
  });

  test('says how long the run took, and never less than nothing', () => {
    expect(report([]).durationMs).toBe(90_000);
    expect(report([], { endedAt: new Date('2020-01-01') }).durationMs).toBe(0);
  });

  test('applies what is allowed to be skipped', () => {
    expect(report([skipped('drift')]).verdict).toBe('incomplete');
    expect(report([skipped('drift')], { allowSkipped: new Set(['drift']) }).verdict).toBe('succeeded');
  });

  const good = report([outcome(), failed('boom')]);
  test.each<[string, object]>([
    ['another version', { schemaVersion: 2 }],
    ['an action that does not exist', { action: 'delete' }],
    ['a verdict that does not exist', { verdict: 'green' }],
    ['a negative count', { counts: { ...good.counts, failed: -1 } }],
    ['an outcome of an unknown status', { outcomes: [{ ...outcome(), status: 'fine' }] }],
    ['a failure without its error', { outcomes: [{ ...outcome(), status: 'failed' }] }],
    ['a skip with a reason that does not exist', { outcomes: [{ ...skipped('drift'), reason: 'mood' }] }],
    ['a time that is none', { startedAt: 'yesterday' }],
  ])('with %s is not read', (_, change) => {
    expect(fleetReportSchema.safeParse({ ...good, ...change }).success).toBe(false);
  });
});

describe('counts', () => {
  test('put what was rolled back under failed', () => {
    const rolledBack = outcome({ status: 'rolled-back', detail: '', error: { message: 'boom' } });
    expect(countOutcomes([rolledBack, failed('x'), skipped('gone'), outcome()])).toStrictEqual({
      total: 4,
      succeeded: 1,
      unchanged: 0,
      failed: 2,
      skipped: 1,
    });
  });

  test('add up to the total', () => {
    fc.assert(
      fc.property(fc.array(anyOutcome), (outcomes) => {
        const { total, succeeded, unchanged, failed: failures, skipped: skips } = countOutcomes(outcomes);
        expect(total).toBe(outcomes.length);
        expect(succeeded + unchanged + failures + skips).toBe(total);
      }),
    );
  });
});

describe('the order of attention', () => {
  test('is failures, what was left out, the rest; each by name', () => {
    const outcomes: FleetReport['outcomes'] = [
      outcome({ status: 'unchanged', reason: 'not-due', detail: '' }, { name: 'a' }),
      outcome(undefined, { name: 'b' }),
      skipped('drift', { name: 'd' }),
      skipped('gone', { name: 'c' }),
      outcome({ status: 'rolled-back', detail: '', error: { message: '' } }, { name: 'a' }),
      failed('x', { name: 'f', projectId: 'p-2' }),
      failed('x', { name: 'f', projectId: 'p-1' }),
      failed('x', { name: 'E' }),
    ];
    expect(
      inOrderOfAttention(outcomes).map(({ status, name, projectId }) => `${status} ${name} ${projectId.slice(0, 3)}`),
    ).toStrictEqual([
      'failed E mis',
      'failed f p-1',
      'failed f p-2',
      'rolled-back a mis',
      'skipped c mis',
      'skipped d mis',
      'succeeded b mis',
      'unchanged a mis',
    ]);
  });

  test('does not depend on who finished first', () => {
    const shuffled = fc
      .uniqueArray(anyOutcome, { selector: ({ name, projectId }) => `${name}/${projectId}`, maxLength: 10 })
      .chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })));
    fc.assert(
      fc.property(shuffled, ([one, other]) => {
        expect(inOrderOfAttention(other)).toStrictEqual(inOrderOfAttention(one));
      }),
    );
  });

  test('leaves the list that it was given as it was', () => {
    const given = [outcome(), failed('x')];
    inOrderOfAttention(given);
    expect(given.map(({ status }) => status)).toStrictEqual(['succeeded', 'failed']);
  });
});
