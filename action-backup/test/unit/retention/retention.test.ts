import { describe, expect, test } from '@jest/globals';
import { backupTimestamp, instantOf, manifestKey, objectKey, parseKey } from '@neon-fleet/shared/backups';
import fc from 'fast-check';

import { chooseOrphans } from '../../../src/storage/orphans.js';
import { chooseDeletable, decideRetention, type RetentionPolicy } from '../../../src/retention/retention.js';

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

function withoutUndefined(rules: Readonly<Record<string, number | undefined>>): RetentionPolicy {
  return Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== undefined));
}

const count = fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined });
/** Any mixture of rules, also none at all. */
const policy: fc.Arbitrary<RetentionPolicy> = fc
  .record({
    keepMs: fc.option(keepMs, { nil: undefined }),
    last: count,
    hourly: count,
    daily: count,
    weekly: count,
    monthly: count,
    yearly: count,
  })
  .map(withoutUndefined);
/** Backups of the scope, close together and years apart. */
const history = fc
  .array(fc.tuple(fc.integer({ min: -50, max: 30_000 }), fc.integer({ min: 0, max: 999_999 })), { maxLength: 80 })
  .map((moments) =>
    moments.flatMap(([hours, digits]) => {
      const timestamp = backupTimestamp(new Date(NOW.getTime() - hours * 3_600_000), () => digits);
      const key = objectKey(SCOPE.prefix, { ...SCOPE, timestamp });
      return [key, manifestKey(key)];
    }),
  );

const PERIODS = { hourly: 13, daily: 10, monthly: 7, yearly: 4 } as const;

function momentOf(key: string): Date {
  return instantOf(parseKey(SCOPE.prefix, key)?.timestamp ?? '') ?? new Date(Number.NaN);
}

describe('policies of every kind', () => {
  test('never take the newest good backup, a foreign key, or a dump without manifest', () => {
    fc.assert(
      fc.property(bucket, policy, (keys, rules) => {
        const good = goodOnes(keys);
        const chosen = chooseDeletable(keys, SCOPE, rules, NOW).map(({ key }) => key);
        expect(chosen).not.toContain(good[0]);
        for (const key of chosen) expect(good).toContain(key);
      }),
      RUNS,
    );
  });

  test('keep all that is young enough, and the newest so many', () => {
    fc.assert(
      fc.property(history, policy, (keys, rules) => {
        const kept = new Set(decideRetention(keys, SCOPE, rules, NOW).flatMap(({ key, keep }) => (keep ? [key] : [])));
        goodOnes(keys).forEach((key, index) => {
          if (index < (rules.last ?? 1)) expect(kept.has(key)).toBe(true);
          if (NOW.getTime() - momentOf(key).getTime() <= (rules.keepMs ?? -Infinity)) expect(kept.has(key)).toBe(true);
        });
      }),
      RUNS,
    );
  });

  test('keep the newest of each of the last so many periods that have one', () => {
    fc.assert(
      fc.property(history, policy, (keys, rules) => {
        const kept = new Set(decideRetention(keys, SCOPE, rules, NOW).flatMap(({ key, keep }) => (keep ? [key] : [])));
        const good = goodOnes(keys);
        for (const [name, length] of Object.entries(PERIODS) as [keyof typeof PERIODS, number][]) {
          const newestOf = new Map<string, string>();
          for (const key of good) {
            const period = momentOf(key).toISOString().slice(0, length);
            if (!newestOf.has(period)) newestOf.set(period, key);
          }
          for (const key of [...newestOf.values()].slice(0, rules[name] ?? 0)) expect(kept.has(key)).toBe(true);
        }
      }),
      RUNS,
    );
  });

  test('keep no more than all their rules together can', () => {
    fc.assert(
      fc.property(history, policy, (keys, { last, hourly, daily, weekly, monthly, yearly }) => {
        const rules = { last, hourly, daily, weekly, monthly, yearly };
        const most = Object.values(rules).reduce<number>((sum, each) => sum + (each ?? 0), 1);
        expect(
          decideRetention(keys, SCOPE, withoutUndefined(rules), NOW).filter(({ keep }) => keep).length,
        ).toBeLessThanOrEqual(most);
      }),
      RUNS,
    );
  });

  test('let the history grow: run every day, what is kept reaches back as far as the policy says', () => {
    const rules = { daily: 7, weekly: 5, monthly: 12 };
    let keys: string[] = [];
    for (let day = 0; day < 800; day += 1) {
      const now = new Date(Date.UTC(2024, 0, 1 + day, 3));
      const key = objectKey(SCOPE.prefix, { ...SCOPE, timestamp: backupTimestamp(now) });
      keys.push(key, manifestKey(key));
      const gone = new Set(chooseDeletable(keys, SCOPE, rules, now).map((each) => each.key));
      keys = keys.filter((each) => !gone.has(each) && ![...gone].some((other) => manifestKey(other) === each));
    }
    const kept = goodOnes(keys).map((key) => momentOf(key).toISOString().slice(0, 10));
    expect(kept.slice(0, 7)).toEqual(
      ['03-10', '03-09', '03-08', '03-07', '03-06', '03-05', '03-04'].map((d) => `2026-${d}`),
    );
    // The Sundays of the weeks before this one, and the last days of the months before this one.
    expect(kept).toEqual(expect.arrayContaining(['2026-03-08', '2026-03-01', '2026-02-22', '2026-02-15']));
    expect(kept).not.toContain('2026-02-08');
    expect(kept).toEqual(expect.arrayContaining(['2026-02-28', '2025-12-31', '2025-06-30', '2025-04-30']));
    expect(kept).not.toContain('2025-03-31');
  });

  test('say of each backup why it stays', () => {
    const at = (text: string) => {
      const key = objectKey(SCOPE.prefix, { ...SCOPE, timestamp: backupTimestamp(new Date(text)) });
      return [key, manifestKey(key)];
    };
    const keys = ['2026-11-24T11:00Z', '2026-11-24T10:00Z', '2026-11-22T10:00Z', '2026-10-01T00:00Z'].flatMap(at);
    expect(decideRetention(keys, SCOPE, { daily: 2, last: 1 }, NOW).map(({ keep, why }) => [keep, why])).toEqual([
      [true, 'the newest good one, 1 of the last 1, daily 1 of 2'],
      [false, 'no rule keeps it'],
      [true, 'daily 2 of 2'],
      [false, 'no rule keeps it'],
    ]);
  });
});

describe('chooseOrphans', () => {
  const ageMs = DAY_MS;

  test('never takes what belongs to a backup, to somebody else, or may still be growing', () => {
    fc.assert(
      fc.property(bucket, (keys) => {
        const uploads = keys.map((key, index) => ({ key, uploadId: String(index) }));
        const { objects, uploads: unfinished } = chooseOrphans(keys, uploads, SCOPE, { ageMs }, NOW);
        for (const key of [...objects, ...unfinished.map((upload) => upload.key)]) {
          const parsed = parseKey(SCOPE.prefix, key);
          expect(parsed).toMatchObject({ projectId: SCOPE.projectId, database: SCOPE.database, kind: 'object' });
          expect(keys).not.toContain(manifestKey(key));
          expect(NOW.getTime() - momentOf(key).getTime()).toBeGreaterThan(ageMs);
        }
      }),
      RUNS,
    );
  });

  test('takes what an earlier attempt of this run left, however young, and not what another run is at', () => {
    const keyOf = (secondsAgo: number, digits: number) =>
      objectKey(SCOPE.prefix, {
        ...SCOPE,
        timestamp: backupTimestamp(new Date(NOW.getTime() - secondsAgo * 1_000), () => digits),
      });
    const [ours, oursNow, others, done] = [keyOf(60, 42), keyOf(1, 42), keyOf(60, 43), keyOf(61, 42)];
    const keys = [ours, oursNow, others, done, manifestKey(done)];
    const uploads = [ours, oursNow, others].map((key, index) => ({ key, uploadId: String(index) }));
    const earlier = { digits: 42, before: new Date(NOW.getTime() - 10_000) };
    const chosen = chooseOrphans(keys, uploads, SCOPE, { ageMs, earlier }, NOW);
    expect(chosen).toEqual({ objects: [ours], uploads: [{ key: ours, uploadId: '0' }] });
  });
});
