import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { assignWaves, makeShards, parseWaves, type WaveSpec } from '../../../src/fleet/index.js';
import { tenant, tenants } from '../../support/builders.js';

const count = (number: number): WaveSpec => ({ kind: 'count', count: number });
const percent = (number: number): WaveSpec => ({ kind: 'percent', percent: number });
const names = (...patterns: string[]): WaveSpec => ({ kind: 'names', patterns });

describe('a list of waves', () => {
  test.each<[string, WaveSpec[]]>([
    ['1, 1%, 10%, 100%', [count(1), percent(1), percent(10), percent(100)]],
    ['1\n10 %\n\n100%', [count(1), percent(10), percent(100)]],
    ['', [percent(100)]],
    ['5', [count(5), percent(100)]],
    ['0.5%', [percent(0.5), percent(100)]],
    ['10%, 500', [percent(10), count(500), percent(100)]],
    ['ACME Corp, 10%', [names('ACME Corp'), percent(10), percent(100)]],
    ['canary-*, ACME Corp, 100%', [names('canary-*', 'ACME Corp'), percent(100)]],
    ['canary-*\nACME Corp, Payroll\n1', [names('canary-*'), names('ACME Corp', 'Payroll'), count(1), percent(100)]],
    ['*, !big-*', [names('*', '!big-*'), percent(100)]],
  ])('%j', (text, expected) => {
    expect(parseWaves(text)).toStrictEqual(expected);
  });

  test.each<[string, string]>([
    ['10%, 1%', '"1%" is not more than 10% in front of it'],
    ['10%, 10%', '"10%" is not more than 10%'],
    ['5, 3', '"3" is not more than 5'],
    ['0', '"0" is nobody'],
    ['0%', '"0%" is nobody'],
    ['101%', '"101%" is more than everybody'],
    ['1.5', '"1.5" is no number of tenants'],
    ['100%, 5', '"5" stands behind 100%'],
    ['1, canary-*', '"canary-*" stands behind a number'],
    ['!big-*, 10%', '"!big-*" selects nobody'],
  ])('%j is refused, with what is accepted', (text, message) => {
    expect(() => parseWaves(text)).toThrow(`waves: ${message}`);
    expect(() => parseWaves(text)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('1, 1%, 10%, 100%') }),
    );
  });
});

describe('waves of a fleet', () => {
  const sizes = (fleet: number, text: string) =>
    assignWaves(tenants(fleet), parseWaves(text)).map(({ name, tenants: members }) => `${name}: ${members.length}`);

  test.each<[number, string, string[]]>([
    [5_000, '1, 1%, 10%, 100%', ['1: 1', '1%: 49', '10%: 450', '100%: 4500']],
    [70, '10%', ['10%: 7', '100%: 63']],
    [7, '1, 1%, 10%, 100%', ['1: 1', '100%: 6']],
    [1, '1, 1%, 10%, 100%', ['1: 1']],
    [3, '50', ['50: 3']],
    [0, '1, 100%', []],
    [15, 'tenant-1*, tenant-2, 50%', ['tenant-1*, tenant-2: 7', '50%: 1', '100%: 7']],
    [15, 'tenant-1\ntenant-1*', ['tenant-1: 1', 'tenant-1*: 5', '100%: 9']],
  ])('of %i: %j', (fleet, text, expected) => {
    expect(sizes(fleet, text)).toStrictEqual(expected);
  });

  test('miss a canary that a typing mistake removes', () => {
    expect(() => assignWaves(tenants(3), parseWaves('canry-*, 100%'))).toThrow(
      'waves: no selected tenant matches "canry-*"; nothing was done',
    );
  });

  const specs = fc
    .record({
      first: fc.constantFrom('', 'tenant-1*, ', 'tenant-0\n', 'tenant-0, tenant-2\ntenant-1*\n'),
      counts: fc.uniqueArray(fc.integer({ min: 1, max: 50 }), { maxLength: 3 }),
      percents: fc.uniqueArray(fc.integer({ min: 1, max: 100 }), { maxLength: 3 }),
    })
    .map(({ first, counts, percents }) => {
      const ascending = (numbers: number[]) => numbers.toSorted((a, b) => a - b);
      return parseWaves(first + [...ascending(counts), ...ascending(percents).map((part) => `${part}%`)].join(', '));
    });
  const fleet = fc.integer({ min: 20, max: 400 });

  test('have every tenant exactly once, none is empty, and they are numbered', () => {
    fc.assert(
      fc.property(fleet, specs, (size, waves) => {
        const assigned = assignWaves(tenants(size), waves);
        const ids = assigned.flatMap(({ tenants: members }) => members.map(({ projectId }) => projectId));
        expect(ids.toSorted()).toStrictEqual(
          tenants(size)
            .map(({ projectId }) => projectId)
            .toSorted(),
        );
        expect(assigned.every(({ tenants: members }) => members.length > 0)).toBe(true);
        expect(assigned.map(({ wave }) => wave)).toStrictEqual(assigned.map((_, index) => index + 1));
      }),
    );
  });

  test('do not depend on the order in which the tenants were listed', () => {
    const shuffled = fleet.chain((size) => fc.shuffledSubarray(tenants(size), { minLength: size, maxLength: size }));
    fc.assert(
      fc.property(shuffled, specs, (listed, waves) => {
        expect(assignWaves(listed, waves)).toStrictEqual(assignWaves(tenants(listed.length), waves));
      }),
      { numRuns: 30 },
    );
  });
});

describe('shards', () => {
  const waveSizes = fc.array(fc.nat(2_000), { maxLength: 8 });
  const wavesOf = (sizes: readonly number[]) => {
    let next = 0;
    return sizes.map((size, index) => ({
      wave: index + 1,
      name: `${index}`,
      tenants: Array.from({ length: size }, () => next++),
    }));
  };
  const limits = fc.record({
    maxShards: fc.integer({ min: 8, max: 256 }),
    tenantsPerShard: fc.integer({ min: 1, max: 1_000 }),
  });

  test('hold everybody once and in order, never of two waves, never too many of them', () => {
    fc.assert(
      fc.property(waveSizes, limits, (sizes, options) => {
        const waves = wavesOf(sizes);
        const shards = makeShards(waves, options);
        expect(shards.length).toBeLessThanOrEqual(options.maxShards);
        expect(shards.map(({ shard }) => shard)).toStrictEqual(shards.map((_, index) => index + 1));
        for (const { wave, tenants: members } of waves) {
          const own = shards.filter((shard) => shard.wave === wave);
          expect(own.flatMap((shard) => shard.tenants)).toStrictEqual(members);
          const lengths = own.map((shard) => shard.tenants.length);
          if (lengths.length > 0) {
            expect(Math.min(...lengths)).toBeGreaterThan(0);
            expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
          }
        }
        const wished = sizes.reduce((sum, size) => sum + Math.ceil(size / options.tenantsPerShard), 0);
        const largest = Math.max(0, ...shards.map((shard) => shard.tenants.length));
        if (wished <= options.maxShards) expect(largest).toBeLessThanOrEqual(options.tenantsPerShard);
      }),
    );
  });

  test('are no more than a matrix takes, whatever is asked', () => {
    const [all] = assignWaves(tenants(1_000), parseWaves(''));
    if (all === undefined) throw new Error('no wave');
    expect(makeShards([all], { maxShards: 10_000, tenantsPerShard: 1 })).toHaveLength(250);
  });

  test('cannot be fewer than waves', () => {
    expect(() => makeShards(wavesOf([1, 1, 1]), { maxShards: 2, tenantsPerShard: 5 })).toThrow(
      'max-shards: 3 waves do not fit into 2 shards',
    );
  });
});

test('two databases of one project are two tenants', () => {
  const both = [tenant({ database: 'a' }), tenant({ database: 'b' })];
  expect(assignWaves(both, parseWaves('1')).map(({ tenants: members }) => members.length)).toStrictEqual([1, 1]);
});
