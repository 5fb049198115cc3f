import { describe, expect, test } from '@jest/globals';

import { longestGapMs } from '../../../src/policy/cron.js';
import { unkeepable } from '../../../src/policy/look-every.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('the longest time between two comings of crons', () => {
  test.each<[string[], number | undefined]>([
    [['17 3 * * *'], DAY],
    [['*/15 * * * *'], 15 * MINUTE],
    [['5/20 * * * *'], 20 * MINUTE],
    [['0 9-17 * * *'], 16 * HOUR],
    [['0 6 * * 1-5'], 3 * DAY],
    [['0 6 * * mon-fri', '0 6 * * SAT,7'], DAY],
    [['0 0 1 * *'], 31 * DAY],
    [['0 0 13 * 5'], 7 * DAY],
    [['0 0 29 2 *'], (4 * 365 + 1) * DAY],
    [['0 3 * * *', '0 15 * * *'], 12 * HOUR],
    [['not a cron', '0 3 * * *'], DAY],
    [['60 * * * *'], undefined],
    [['0 0 31 2 *'], undefined],
    [[], undefined],
  ])('%j', (crons, gap) => {
    expect(longestGapMs(crons)).toBe(gap);
  });
});

describe('a policy', () => {
  const look = { ms: DAY, from: 'the crons of the workflow' } as const;

  test('that is as long as the time between two looks, with some slack, can be kept', () => {
    expect(
      unkeepable(
        [
          { name: 'a', everyMs: DAY },
          { name: 'b', everyMs: undefined },
        ],
        look,
      ),
    ).toBeUndefined();
    expect(unkeepable([{ name: 'a', everyMs: DAY - 20 * MINUTE }], look)).toBeUndefined();
  });

  test('that is shorter is named with all the others', () => {
    const problem = unkeepable(
      [
        { name: 'a', everyMs: 6 * HOUR },
        { name: 'b', everyMs: 2 * DAY },
        { name: 'c', everyMs: HOUR },
      ],
      look,
    );
    expect(problem?.message).toMatch(/every 1d \(the crons of the workflow\).*"a" \(every 6h\), "c" \(every 1h\)$/);
  });
});
