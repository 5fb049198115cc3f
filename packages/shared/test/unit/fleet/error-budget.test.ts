import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { maxFailuresOf, parseMaxFailures, shareBudget } from '../../../src/fleet/index.js';

describe('max-failures', () => {
  test.each<[string, ReturnType<typeof parseMaxFailures>]>([
    ['5', { kind: 'count', count: 5 }],
    ['0', { kind: 'count', count: 0 }],
    ['1%', { kind: 'percent', percent: 1 }],
    [' 2.5 % ', { kind: 'percent', percent: 2.5 }],
    ['0%', { kind: 'percent', percent: 0 }],
    ['100%', { kind: 'percent', percent: 100 }],
  ])('%j', (text, expected) => {
    expect(parseMaxFailures(text)).toStrictEqual(expected);
  });

  test.each(['', 'all', '-1', '1.5', '101%', '1e3', '%', '5 tenants', '5%%'])('%j is refused by name', (text) => {
    expect(() => parseMaxFailures(text)).toThrow(`max-failures: ${JSON.stringify(text)} is not a number of tenants`);
  });

  test.each<[string, number, number]>([
    ['5', 2, 5],
    ['1%', 5_000, 50],
    ['1%', 199, 1],
    ['1%', 10, 1],
    ['0%', 5_000, 0],
    ['0', 5_000, 0],
    ['10%', 70, 7],
    ['100%', 3, 3],
  ])('%s of %i tenants are %i', (text, total, expected) => {
    expect(maxFailuresOf(parseMaxFailures(text), total)).toBe(expected);
  });
});

describe('shares', () => {
  const sizes = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 256 });

  test('add up to the budget, whatever the sizes', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000_000), sizes, (budget, shardSizes) => {
        const shares = shareBudget(budget, shardSizes);
        expect(shares).toHaveLength(shardSizes.length);
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(budget);
      }),
    );
  });

  test('are within one of what is proportional, and larger shards never have less', () => {
    fc.assert(
      fc.property(fc.nat(10_000), sizes, (budget, shardSizes) => {
        const total = shardSizes.reduce((sum, size) => sum + size, 0);
        fc.pre(total > 0);
        const shares = shareBudget(budget, shardSizes);
        for (const [index, share] of shares.entries()) {
          expect(Math.abs(share - (budget * (shardSizes[index] ?? 0)) / total)).toBeLessThan(1);
        }
        const pairs = shardSizes.map((size, index) => ({ size, share: shares[index] ?? 0 }));
        pairs.sort((a, b) => a.size - b.size || a.share - b.share);
        for (const [index, pair] of pairs.entries()) {
          const next = pairs[index + 1];
          if (next !== undefined && next.size > pair.size) expect(next.share).toBeGreaterThanOrEqual(pair.share);
        }
      }),
    );
  });

  test('of no shard are none', () => {
    expect(shareBudget(5, [])).toStrictEqual([]);
  });
});
