import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import type { Migration } from '../../../src/drizzle/index.js';
import { divide, type TransactionMode, type Unit } from '../../../src/drizzle/units.js';

function migrations(...parts: readonly (number | 'outside')[]): Migration[] {
  return parts.map((part, index) => ({
    tag: `${index}`,
    when: part === 'outside' ? index : part,
    hash: '',
    statements: [],
    noTransaction: part === 'outside',
  }));
}

/** `1+2 (3)`: 1 and 2 in one transaction, 3 outside. */
function words(units: readonly Unit[]): string {
  return units
    .map((unit) =>
      unit.kind === 'outside' ? `(${unit.migration.tag})` : unit.migrations.map(({ tag }) => tag).join('+'),
    )
    .join(' ');
}

describe('what is pending is divided', () => {
  test.each<[string, TransactionMode, Migration[], string]>([
    ['one by one', 'per-migration', migrations(1, 2, 3), '0 1 2'],
    ['not at all', 'all', migrations(1, 2, 3), '0+1+2'],
    ['around what has to run outside', 'per-migration', migrations(1, 'outside', 3), '0 (1) 2'],
    ['around it in the other mode too', 'all', migrations(1, 2, 'outside', 'outside', 5, 6), '0+1 (2) (3) 4+5'],
    ['which may be all there is', 'all', migrations('outside'), '(0)'],
    ['into nothing', 'per-migration', [], ''],
    [
      'so that what is older comes together with what is newer',
      'per-migration',
      migrations(1, 5, 3, 4, 6),
      '0 1+2+3 4',
    ],
    ['and the same for equal times', 'per-migration', migrations(1, 1, 2), '0+1 2'],
  ])('%s', (_, mode, pending, expected) => {
    expect(words(divide(pending, mode, 'v0'))).toBe(expected);
  });

  test('by name only where drizzle looks at names', () => {
    expect(words(divide(migrations(5, 3), 'per-migration', 'v1'))).toBe('0 1');
  });

  test('completely and in order, and after each transaction nothing older is left', () => {
    const some = fc.array(fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constant('outside' as const)), { maxLength: 10 });
    fc.assert(
      fc.property(some, fc.constantFrom('per-migration' as const, 'all' as const), (parts, mode) => {
        const pending = migrations(...parts);
        const units = divide(pending, mode, 'v0');
        const flat = units.flatMap((unit) => (unit.kind === 'outside' ? [unit.migration] : unit.migrations));
        expect(flat).toEqual(pending);
        for (const [index, unit] of units.entries()) {
          const next = units[index + 1];
          if (unit.kind === 'outside' || next?.kind !== 'transaction') continue;
          const newest = Math.max(...unit.migrations.map(({ when }) => when));
          expect(next.migrations.every(({ when }) => when > newest)).toBe(true);
        }
      }),
    );
  });
});
