import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { decideDue } from '../../../src/tenant/due.js';

const NOW = new Date('2026-11-24T12:00:00.000Z');
const HOUR_MS = 3_600_000;
const hoursAgo = (hours: number) => new Date(NOW.getTime() - hours * HOUR_MS);
const RULES = { everyMs: 24 * HOUR_MS, skipUnchanged: true, maxSkipMs: 7 * 24 * HOUR_MS };

describe('decideDue', () => {
  test.each([
    ['there is no backup at all', undefined, hoursAgo(1), hoursAgo(2), 'due'],
    ['the newest is young', hoursAgo(20), undefined, undefined, 'not-due'],
    ['the newest is nearly old enough, since crons are not punctual', hoursAgo(23.6), undefined, hoursAgo(1), 'due'],
    ['nobody came after our session', hoursAgo(30), hoursAgo(29), hoursAgo(29), 'idle-since-last-backup'],
    ['somebody came after our session', hoursAgo(30), hoursAgo(29), hoursAgo(28), 'due'],
    ['somebody was there during our session', hoursAgo(30), undefined, hoursAgo(29), 'due'],
    ['Neon does not say when it was active', hoursAgo(30), hoursAgo(29), undefined, 'due'],
    ['it was left out for long enough', hoursAgo(7 * 24), hoursAgo(7 * 24), hoursAgo(7 * 24), 'due'],
    ['the newest is of the future, so that a clock is wrong', hoursAgo(-2), undefined, undefined, 'due'],
  ] as const)('when %s', (_, newestAt, quietUntil, lastActiveAt, decision) => {
    expect(decideDue(RULES, { newestAt, quietUntil, lastActiveAt }, NOW)).toBe(decision);
  });

  test('never leaves out what was used after what is known to be in a backup, nor for longer than allowed', () => {
    const moment = fc.option(fc.integer({ min: -10, max: 400 }).map(hoursAgo), { nil: undefined });
    fc.assert(
      fc.property(
        moment,
        moment,
        moment,
        fc.integer({ min: 1, max: 300 }),
        (newestAt, quietUntil, lastActiveAt, max) => {
          const rules = { everyMs: undefined, skipUnchanged: true, maxSkipMs: max * HOUR_MS };
          if (decideDue(rules, { newestAt, quietUntil, lastActiveAt }, NOW) !== 'idle-since-last-backup') return;
          expect(lastActiveAt?.getTime()).toBeLessThanOrEqual(quietUntil?.getTime() ?? -1);
          expect(NOW.getTime() - (newestAt?.getTime() ?? 0)).toBeLessThan(max * HOUR_MS);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});
