import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { planParts } from '@neon-fleet/shared/s3';

import { memoryBound } from '../../../src/commands/memory.js';

const MIB = 1024 * 1024;
const TIB = 1024 * 1024 * MIB;

describe('the memory for uploads', () => {
  test('is part size × parts held × tenants at the same time', () => {
    const small = Array.from({ length: 100 }, () => ({ storageBytes: 50 * MIB }));
    expect(memoryBound(small, { concurrency: 4, s3MaxParts: 10_000 }).bytes).toBe(8 * MIB * 4 * 4);
    expect(memoryBound(small.slice(0, 2), { concurrency: 4, s3MaxParts: 10_000 }).bytes).toBe(8 * MIB * 4 * 2);
    expect(memoryBound([{}], { concurrency: 4, s3MaxParts: undefined }).bytes).toBe(8 * MIB * 4);
    expect(memoryBound([], { concurrency: 4, s3MaxParts: undefined }).bytes).toBe(0);
  });

  test('counts the largest that may meet, wherever they stand', () => {
    const tenants = [{ storageBytes: 1 }, { storageBytes: 5 * TIB }, {}, { storageBytes: 5 * TIB }];
    const { partSizeBytes, partsInFlight } = planParts(5 * TIB);
    const { bytes, words } = memoryBound(tenants, { concurrency: 2, s3MaxParts: 10_000 });
    expect(bytes).toBe(2 * partSizeBytes * (partsInFlight + 1));
    expect(words).toContain('2 tenants at the same time');
  });

  test('is never less than what any tenants that are worked on together hold', () => {
    const sizes = fc.array(fc.double({ min: 0, max: 6 * TIB, noNaN: true }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 8 }), fc.nat(), (all, concurrency, from) => {
        const bound = memoryBound(
          all.map((storageBytes) => ({ storageBytes })),
          { concurrency, s3MaxParts: 10_000 },
        );
        const together = Array.from(
          { length: Math.min(concurrency, all.length) },
          (_, at) => all[(from + at) % all.length] ?? 0,
        );
        const held = together
          .map((size) => planParts(size))
          .reduce((sum, plan) => sum + plan.partSizeBytes * (plan.partsInFlight + 1), 0);
        return bound.bytes >= held;
      }),
    );
  });
});
