import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { backupTimestamp, manifestKey, objectKey, parseKey } from '../../src/keys.js';
import { chooseDeletable } from '../../src/retention.js';

const NOW = new Date('2026-11-24T12:00:00.000Z');
const DAY_MS = 86_400_000;
const SCOPE = { prefix: 'fleet/', projectId: 'misty-river-1', database: 'neondb' };

const project = fc.constantFrom('misty-river-1', 'misty-river-12', 'other-1');
const database = fc.constantFrom('neondb', 'neondb2', 'a/b', 'ü');
const timestamp = fc
  .tuple(fc.integer({ min: -2, max: 400 }), fc.integer({ min: 0, max: 999_999 }))
  .map(([days, digits]) => backupTimestamp(new Date(NOW.getTime() - days * DAY_MS), () => digits));
const id = fc.record({ projectId: project, database, timestamp });
const ours = fc
  .tuple(fc.constantFrom('fleet/', 'other/', ''), id, fc.constantFrom('both', 'object', 'manifest'))
  .map(([prefix, of, which]) => {
    const key = objectKey(prefix, of);
    return { both: [key, manifestKey(key)], object: [key], manifest: [manifestKey(key)] }[which];
  });
const strange = fc
  .tuple(fc.constantFrom('fleet/misty-river-1/neondb/', 'fleet/misty-river-1/', 'x'), fc.string())
  .map(([start, end]) => [`${start}${end}.sql.gz`, `${start}${end}.manifest.json`]);
const bucket = fc
  .array(fc.oneof({ weight: 9, arbitrary: ours }, strange), { maxLength: 60 })
  .map((keys) => [...new Set(keys.flat())]);
const keepMs = fc.integer({ min: 0, max: 500 }).map((days) => days * DAY_MS);

/** What is a backup of the scope, newest first. */
function goodOnes(keys: readonly string[]): string[] {
  return keys
    .filter((key) => {
      const parsed = parseKey(SCOPE.prefix, key);
      return parsed?.kind === 'object' && parsed.projectId === SCOPE.projectId && parsed.database === SCOPE.database;
    })
    .filter((key) => keys.includes(manifestKey(key)))
    .toSorted()
    .toReversed();
}

const RUNS = { numRuns: 3_000 };

describe('chooseDeletable', () => {
  test('never chooses the newest good backup, whatever the policy says', () => {
    fc.assert(
      fc.property(bucket, keepMs, (keys, keep) => {
        const [newest] = goodOnes(keys);
        expect(chooseDeletable(keys, SCOPE, { keepMs: keep }, NOW).map(({ key }) => key)).not.toContain(newest);
      }),
      RUNS,
    );
  });

  test('never chooses a key of anybody else, nor one that is not in our format, nor one without manifest', () => {
    fc.assert(
      fc.property(bucket, keepMs, (keys, keep) => {
        const good = new Set(goodOnes(keys));
        const chosen = chooseDeletable(keys, SCOPE, { keepMs: keep }, NOW);
        for (const { key, manifestKey: manifest } of chosen) {
          expect(good.has(key)).toBe(true);
          expect(manifest).toBe(manifestKey(key));
        }
      }),
      RUNS,
    );
  });

  test('keeps what is younger than the policy says, and chooses everything else but the newest', () => {
    fc.assert(
      fc.property(bucket, keepMs, (keys, keep) => {
        const chosen = new Set(chooseDeletable(keys, SCOPE, { keepMs: keep }, NOW).map(({ key }) => key));
        for (const key of goodOnes(keys).slice(1)) {
          const digits = /(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})/.exec(key)?.slice(1).map(Number) ?? [];
          const [year = 0, month = 0, ...rest] = digits;
          const age = NOW.getTime() - Date.UTC(year, month - 1, ...(rest as [number, number, number, number, number]));
          expect(chosen.has(key)).toBe(age > keep);
        }
      }),
      RUNS,
    );
  });

  test('does not depend on the order in which a store lists', () => {
    fc.assert(
      fc.property(bucket, keepMs, (keys, keep) => {
        const choose = (list: readonly string[]) => chooseDeletable(list, SCOPE, { keepMs: keep }, NOW);
        expect(choose(keys.toReversed())).toEqual(choose(keys));
      }),
      RUNS,
    );
  });
});
