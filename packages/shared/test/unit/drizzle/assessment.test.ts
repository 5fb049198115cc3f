import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  assess as assessFolder,
  type AppliedMigration,
  type Assessment,
  type AssessOptions,
  type DrizzleFormat,
  type Migration,
  type MigrationFolder,
  type SchemaState,
} from '../../../src/drizzle/index.js';

function migration(index: number, overrides: Partial<Migration> = {}): Migration {
  return {
    tag: `000${index}_m`,
    when: index * 1_000,
    hash: `hash-${index}`,
    statements: ['SELECT 1'],
    noTransaction: false,
    ...overrides,
  };
}

function folderOf(migrations: readonly Migration[], format: DrizzleFormat = 'v0'): MigrationFolder {
  return { format, migrations, digest: '' };
}

function assess(migrations: readonly Migration[], state: SchemaState, options?: AssessOptions): Assessment {
  return assessFolder(folderOf(migrations), state, options);
}

const [M1, M2, M3, M4] = [migration(1), migration(2), migration(3), migration(4)];

function row({ when, hash }: Migration, overrides: Partial<AppliedMigration> = {}): AppliedMigration {
  return { id: 1, createdAt: when, hash, ...overrides };
}

/** A row as somebody may have written it. */
function otherRow(createdAt: number | undefined, hash: string): AppliedMigration {
  return { id: 1, createdAt, hash };
}

function assessRows(migrations: readonly Migration[], ...applied: AppliedMigration[]): Assessment {
  return assess(migrations, { table: 'present', format: 'v0', applied });
}

const drift = (why: RegExp) => expect.objectContaining({ kind: 'drift', why: expect.stringMatching(why) });

const upToDate = (version: string, applied: number, beyond = false) => ({
  kind: 'up-to-date',
  version,
  applied,
  beyond,
});

describe('a database without drizzle’s table', () => {
  test('and without anything else gets everything', () => {
    expect(assess([M1, M2], { table: 'absent', userTables: [] })).toStrictEqual({
      kind: 'pending',
      pending: [M1, M2],
      from: undefined,
    });
  });

  test('but with tables is left alone', () => {
    expect(assess([M1], { table: 'absent', userTables: ['public.users'] })).toStrictEqual(drift(/\(public\.users\)/));
  });

  test('and with many names only a few of them', () => {
    const userTables = Array.from({ length: 7 }, (_, index) => `public.t${index}`);
    expect(assess([M1], { table: 'absent', userTables })).toStrictEqual(drift(/t4 and 2 more\)/));
  });
});

test('a table of drizzle 1.0 is left alone', () => {
  expect(assess([M1], { table: 'present', format: 'v1', applied: [] })).toStrictEqual(drift(/drizzle 1\.0/));
});

describe('a database with drizzle’s table', () => {
  const all = [M1, M2, M3];

  test.each<[string, AppliedMigration[], unknown]>([
    ['at the newest', [row(M1), row(M2), row(M3)], upToDate('0003_m', 3)],
    ['at the newest, in whatever order', [row(M3), row(M1), row(M2)], upToDate('0003_m', 3)],
    ['behind by one', [row(M1), row(M2)], { kind: 'pending', pending: [M3], from: '0002_m' }],
    ['behind by more', [row(M1)], { kind: 'pending', pending: [M2, M3], from: '0001_m' }],
    ['with nothing in it', [], { kind: 'pending', pending: all, from: undefined }],

    ['out of order', [row(M1), row(M3)], drift(/older than the newest applied migration but never applied: 0002_m;/)],
    ['without the first', [row(M2)], drift(/never applied: 0001_m;/)],
    ['edited', [row(M1), row(M2, { hash: 'other' }), row(M3)], drift(/^edited after they were applied: 0002_m$/)],
    ['ahead', [row(M1), row(M2), row(M3), row(M4)], drift(/^it is ahead of this checkout by 1 migration:/)],
    ['ahead by two', [...all.map((one) => row(one)), row(M4), row(migration(5))], drift(/ahead .* by 2 migrations:/)],
    ['of other migrations', [row(M1), otherRow(1_500, 'x')], drift(/^1 applied migration that the folder/)],
    ['newer, of others, but behind', [row(M1), row(M4)], drift(/^1 applied .*; older than .*: 0002_m, 0003_m;/)],
    [
      'wrong in every way',
      [row(M1, { hash: 'other' }), row(M3), otherRow(1_500, 'x')],
      drift(/^1 applied .*; edited .*: 0001_m; older .*: 0002_m;/),
    ],

    // Rows that people wrote.
    [
      'by hand without a time',
      [row(M1, { createdAt: undefined })],
      { kind: 'pending', pending: [M2, M3], from: '0001_m' },
    ],
    [
      'by hand with another, earlier time',
      [row(M1, { createdAt: 7 })],
      { kind: 'pending', pending: [M2, M3], from: '0001_m' },
    ],
    [
      'by hand with the time of day',
      [row(M1, { createdAt: 9_999_999 })],
      drift(/never applied: 0002_m, 0003_m; drizzle/),
    ],
    ['by hand with neither time nor content', [otherRow(undefined, '')], drift(/^1 applied migration/)],
    [
      'by hand, all of them, with the time of day',
      all.map((one) => row(one, { createdAt: 9_999 })),
      upToDate('0003_m', 3),
    ],

    // What two runs at once leave behind.
    ['with a row twice', [row(M1), row(M1)], { kind: 'pending', pending: [M2, M3], from: '0001_m' }],
    ['with all rows twice', [...all, ...all].map((one) => row(one)), upToDate('0003_m', 3)],
  ])('%s', (_, applied, expected) => {
    expect(assessRows(all, ...applied)).toStrictEqual(expected);
  });
});

describe('two files of the same content are two migrations', () => {
  const again = migration(2, { hash: M1.hash });
  test.each<[string, AppliedMigration[], unknown]>([
    ['of which one was applied', [row(M1)], { kind: 'pending', pending: [again], from: '0001_m' }],
    [
      'of which one was applied, and recorded twice',
      [row(M1), row(M1)],
      { kind: 'pending', pending: [again], from: '0001_m' },
    ],
    ['of which both were applied', [row(M1), row(again)], upToDate('0002_m', 2)],
    ['of which only the later was applied', [row(again)], drift(/never applied: 0001_m;/)],
    ['recorded by hand', [row(M1, { createdAt: 1 }), row(M1, { createdAt: 2 })], upToDate('0002_m', 2)],
  ])('%s', (_, applied, expected) => {
    expect(assessRows([M1, again], ...applied)).toStrictEqual(expected);
  });
});

describe('two migrations of the same time', () => {
  const twin = migration(2, { when: M1.when });
  test('are up to date when both were applied', () => {
    expect(assessRows([M1, twin], row(M1), row(twin))).toStrictEqual(upToDate('0002_m', 2));
  });
  test('are never half applied without anybody being told', () => {
    expect(assessRows([M1, twin], row(M1))).toStrictEqual(drift(/never applied: 0002_m;/));
  });
});

describe('what is wrong is told in a form that can be decided on', () => {
  const all = [M1, M2, M3];
  test.each<[string, AppliedMigration[], unknown, boolean, readonly Migration[]]>([
    ['out of order', [row(M1), row(M3)], [{ kind: 'out-of-order', tags: ['0002_m'] }], true, [M2]],
    ['out of order and behind', [row(M2)], [{ kind: 'out-of-order', tags: ['0001_m'] }], true, [M1, M3]],
    ['edited', [row(M1, { hash: 'x' })], [{ kind: 'edited', tags: ['0001_m'] }], false, []],
    ['ahead', [...all, M4].map((one) => row(one)), [{ kind: 'unknown', count: 1, ahead: true }], false, []],
    ['unknown', [row(M1), row(M4)], expect.arrayContaining([{ kind: 'unknown', count: 1, ahead: false }]), false, []],
  ])('%s', (_, applied, findings, onlyOutOfOrder, pendingWithOutOfOrder) => {
    expect(assessRows(all, ...applied)).toMatchObject({
      kind: 'drift',
      findings,
      onlyOutOfOrder,
      pendingWithOutOfOrder,
    });
  });

  test('tables of somebody else', () => {
    expect(assess(all, { table: 'absent', userTables: ['public.a'] })).toMatchObject({
      findings: [{ kind: 'no-drizzle-table', tables: ['public.a'] }],
      onlyOutOfOrder: false,
    });
    expect(assess(all, { table: 'present', format: 'v0', applied: [], userTables: ['public.a'] })).toMatchObject({
      findings: [{ kind: 'no-drizzle-table', tables: ['public.a'] }],
    });
  });
});

describe('a migration to go up to', () => {
  const all = [M1, M2, M3];
  const at = (to: string, ...applied: readonly Migration[]) =>
    assess(all, { table: 'present', format: 'v0', applied: applied.map((one) => row(one)) }, { to });

  test('leaves out what comes after it', () => {
    expect(at('0002', M1)).toMatchObject({ kind: 'pending', pending: [M2], from: '0001_m' });
    expect(at('0002', M1, M2)).toStrictEqual(upToDate('0002_m', 2));
    expect(assess(all, { table: 'absent', userTables: [] }, { to: '0001_m' })).toMatchObject({ pending: [M1] });
  });

  test('is not gone back to', () => {
    expect(at('0001', M1, M2)).toStrictEqual(upToDate('0002_m', 2, true));
  });

  test('does not hide what is wrong before it', () => {
    expect(at('0002', M1, M3)).toMatchObject({ kind: 'drift', pendingWithOutOfOrder: [M2] });
  });

  test('that there is not is an error', () => {
    expect(() => at('0007')).toThrow(/no migration is called "0007"/);
  });
});

describe('a folder of drizzle 1.0', () => {
  const all = [M1, M2, M3];
  const named = (one: Migration, overrides: Partial<AppliedMigration> = {}) =>
    row(one, { name: one.tag, ...overrides });
  const of = (format: DrizzleFormat, ...applied: AppliedMigration[]) =>
    assessFolder(folderOf(all, 'v1'), { table: 'present', format, applied });

  test.each<[string, AppliedMigration[], unknown]>([
    ['at the newest', all.map((one) => named(one)), upToDate('0003_m', 3)],
    ['behind', [named(M1)], { kind: 'pending', pending: [M2, M3], from: '0001_m' }],
    [
      'with one missing in between, as drizzle 1.0 allows',
      [named(M1), named(M3)],
      { kind: 'pending', pending: [M2], from: '0003_m' },
    ],
    ['edited', [named(M1, { hash: 'x' })], drift(/^edited after they were applied: 0001_m$/)],
    [
      'recorded twice, once as it is',
      [named(M1, { hash: 'x' }), named(M1), named(M2), named(M3)],
      upToDate('0003_m', 3),
    ],
    ['ahead', [...all, M4].map((one) => named(one)), drift(/^it is ahead of this checkout by 1 migration/)],
    ['with a name that nobody knows', [named(M1), named(M4)], drift(/^1 applied migration that the folder/)],
    ['with a row that has no name', [named(M1), row(M2)], drift(/^1 row without a name, which drizzle 0\.x wrote/)],
    [
      'by name and not by time',
      [named(M1, { createdAt: 9_999_999 })],
      { kind: 'pending', pending: [M2, M3], from: '0001_m' },
    ],
  ])('%s', (_, applied, expected) => {
    expect(of('v1', ...applied)).toStrictEqual(expected);
  });

  test.each<[string, AppliedMigration[], unknown]>([
    [
      'gets names by the second',
      [row(M1, { id: 7, createdAt: 1_456 }), row(M2, { id: 9, createdAt: 2_000 })],
      {
        kind: 'pending',
        pending: [M3],
        from: '0002_m',
        upgrade: [
          { id: 7, name: '0001_m' },
          { id: 9, name: '0002_m' },
        ],
      },
    ],
    [
      'gets names by content where the time is nobody’s',
      [row(M1, { createdAt: undefined }), row(M2, { id: 2, createdAt: 77 }), row(M3, { id: 3 })],
      {
        ...upToDate('0003_m', 3),
        upgrade: [
          { id: 1, name: '0001_m' },
          { id: 2, name: '0002_m' },
          { id: 3, name: '0003_m' },
        ],
      },
    ],
    [
      'with a row that nobody knows is left alone, as by drizzle',
      [row(M1), otherRow(77, 'x')],
      drift(/^1 applied migration/),
    ],
    ['edited', [row(M1, { hash: 'x' })], drift(/^edited/)],
  ])('over a table of 0.x: %s', (_, applied, expected) => {
    expect(of('v0', ...applied)).toStrictEqual(expected);
  });

  test('over an empty table of 0.x has it completed', () => {
    expect(of('v0')).toStrictEqual({ kind: 'pending', pending: all, from: undefined, upgrade: [] });
  });

  test('of one second are told apart by content', () => {
    const twin = migration(2, { when: M1.when });
    const state = { table: 'present', format: 'v0', applied: [row(twin)] } as const;
    expect(assessFolder(folderOf([M1, twin], 'v1'), state)).toMatchObject({
      kind: 'pending',
      pending: [M1],
      upgrade: [{ id: 1, name: '0002_m' }],
    });
  });
});

describe('for any folder', () => {
  /** Times that rise, contents that may repeat. */
  const folder = fc
    .uniqueArray(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 12 })
    .chain((times) =>
      fc.tuple(
        fc.constant(times.toSorted((a, b) => a - b)),
        fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: times.length, maxLength: times.length }),
      ),
    )
    .map(([times, hashes]) => times.map((when, index) => migration(index, { when, hash: hashes[index] ?? 'a' })));

  test('of which the beginning was applied, the rest is pending, in order', () => {
    fc.assert(
      fc.property(folder, fc.nat(12), (migrations, length) => {
        const applied = migrations.slice(0, length);
        const rest = migrations.slice(length);
        const assessment = assessRows(migrations, ...applied.map((one) => row(one)));
        if (rest.length === 0)
          expect(assessment).toStrictEqual(upToDate(migrations.at(-1)?.tag ?? '', migrations.length));
        else expect(assessment).toStrictEqual({ kind: 'pending', pending: rest, from: applied.at(-1)?.tag });
      }),
    );
  });

  test('the order of the rows does not matter', () => {
    const shuffled = folder.chain((migrations) =>
      fc.tuple(
        fc.constant(migrations),
        fc.shuffledSubarray(migrations).map((some) => some.map((one) => row(one))),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([migrations, applied]) => {
        const sorted = applied.toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0));
        expect(assessRows(migrations, ...applied)).toStrictEqual(assessRows(migrations, ...sorted));
      }),
    );
  });

  test('what is missing in the middle is never passed over', () => {
    const someMissing = folder.chain((migrations) => fc.tuple(fc.constant(migrations), fc.subarray(migrations)));
    fc.assert(
      fc.property(someMissing, ([migrations, some]) => {
        const assessment = assessRows(migrations, ...some.map((one) => row(one)));
        const isBeginning = some.every((one, index) => one === migrations[index]);
        expect(assessment.kind === 'drift').toBe(!isBeginning);
      }),
    );
  });

  test('and any rows, what is pending is part of the folder, in its order, and newer than what there is', () => {
    const rows = fc.array(
      fc.record({
        id: fc.constant(1),
        createdAt: fc.option(fc.integer({ min: 1, max: 10_000 }), { nil: undefined }),
        hash: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(folder, rows, (migrations, applied) => {
        const assessment = assessRows(migrations, ...applied);
        if (assessment.kind !== 'pending') return;
        const newest = Math.max(0, ...applied.map(({ createdAt }) => createdAt ?? 0));
        expect(assessment.pending).toStrictEqual(migrations.filter((one) => assessment.pending.includes(one)));
        expect(assessment.pending.every(({ when }) => when > newest)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
