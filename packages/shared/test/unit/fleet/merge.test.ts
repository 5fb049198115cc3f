import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  confirmed,
  gate,
  identityOf,
  joinMigrations,
  mergeRecords,
  resumeShard,
  shardOf,
  type MigrationRecord,
  type Outcome,
  type Plan,
  type PlannedTenant,
  type ShardRecord,
  type TenantResult,
} from '../../../src/fleet/index.js';
import { skipped } from '../../support/builders.js';
import { planFor, recordOf } from '../../support/fleet.js';

const DONE: TenantResult = { status: 'succeeded', detail: 'done' };
const FAILED: TenantResult = { status: 'failed', detail: 'boom', error: { message: 'boom' } };

function outcomeOf(tenant: PlannedTenant, result: TenantResult = DONE): Outcome {
  const { projectId, name, database } = tenant;
  return { projectId, name, database, attempts: 1, startedAt: '2026-11-02T03:04:05.678Z', durationMs: 9, ...result };
}

/** A record of a shard in which everybody has the same result. */
function record(plan: Plan, shard: number, result: TenantResult = DONE, overrides: Partial<ShardRecord> = {}) {
  const outcomes = shardOf(plan, shard).tenants.map((tenant) => outcomeOf(tenant, result));
  return recordOf(plan, shard, { outcomes, ...overrides });
}

function wordsOf(outcome: Outcome): string {
  return outcome.status === 'skipped' ? outcome.reason : outcome.status;
}

const words = (plan: Plan, records: readonly ShardRecord[], options = {}) =>
  mergeRecords(plan, records, options).outcomes.map(wordsOf);

describe('merged', () => {
  const plan = planFor(6, '', { tenantsPerShard: 3, settled: [skipped('unlisted')] });

  test('is what was settled, and what the shards say', () => {
    expect(words(plan, [record(plan, 2, FAILED), record(plan, 1)])).toStrictEqual([
      'unlisted',
      ...Array.from({ length: 3 }, () => 'succeeded'),
      ...Array.from({ length: 3 }, () => 'failed'),
    ]);
  });

  test('names the shard that did not report', () => {
    const { outcomes } = mergeRecords(plan, [record(plan, 1)]);
    expect(outcomes.slice(4)).toMatchObject(
      Array.from({ length: 3 }, () => ({
        status: 'failed',
        attempts: 0,
        detail: 'shard 2 did not report',
        error: { message: 'shard 2 did not report', code: 'no-report', hint: expect.stringContaining('did not run') },
      })),
    );
  });

  test('takes what a killed shard had recorded, and fails the others of it', () => {
    const [first] = shardOf(plan, 2).tenants;
    if (first === undefined) throw new Error('no tenant');
    const cutOff = recordOf(plan, 2, { outcomes: [outcomeOf(first)], complete: false });
    const { outcomes } = mergeRecords(plan, [record(plan, 1), cutOff]);
    expect(outcomes.slice(4).map(wordsOf)).toStrictEqual(['succeeded', 'failed', 'failed']);
    expect(outcomes[5]).toMatchObject({ error: { hint: expect.stringContaining('its state is not known') } });
  });

  test('calls it cancelled when the run was', () => {
    expect(words(plan, [record(plan, 1)], { runCancelled: true }).slice(4)).toStrictEqual(
      Array.from({ length: 3 }, () => 'cancelled'),
    );
  });

  test('calls it cancelled in all waves when the run was, or nobody approved it, and a failed canary what it is', () => {
    const waves = planFor(6, '2, 100%', { tenantsPerShard: 3 });
    const cancelled = { runCancelled: true };
    expect(new Set(words(waves, [], cancelled))).toStrictEqual(new Set(['cancelled']));
    const leftOut: TenantResult = { status: 'skipped', reason: 'cancelled', detail: 'not started' };
    expect(new Set(words(waves, [record(waves, 1, leftOut)], cancelled))).toStrictEqual(new Set(['cancelled']));
    expect(words(waves, [record(waves, 1, FAILED)], cancelled)).toStrictEqual([
      'failed',
      'failed',
      ...Array.from({ length: 4 }, () => 'canary-failed'),
    ]);
  });

  test.each<[string, ShardRecord[]]>([
    ['in order', [record(plan, 1, FAILED), record(plan, 1, DONE, { attempt: 2 })]],
    ['out of order', [record(plan, 1, DONE, { attempt: 10 }), record(plan, 1, FAILED, { attempt: 9 })]],
    [
      'of one attempt',
      [
        record(plan, 1, DONE, { startedAt: '2026-11-02T05:00:00Z' }),
        record(plan, 1, FAILED, { startedAt: '2026-11-02T04:59:59.999Z' }),
      ],
    ],
  ])('lets the newest attempt win: %s', (_, records) => {
    expect(words(plan, records).slice(1, 4)).toStrictEqual(['succeeded', 'succeeded', 'succeeded']);
  });

  test('has every planned tenant exactly once, whatever the records are', () => {
    const large = planFor(23, '2, 30%', { tenantsPerShard: 3 });
    const all = large.shards.flatMap(({ tenants }) => tenants);
    const anyRecord = fc.record({
      shard: fc.integer({ min: 1, max: large.shards.length }),
      attempt: fc.integer({ min: 1, max: 3 }),
      complete: fc.boolean(),
      outcomes: fc
        .subarray(all)
        .chain((some) =>
          fc.tuple(...some.map((tenant) => fc.constantFrom(DONE, FAILED).map((result) => outcomeOf(tenant, result)))),
        ),
    });
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 6 }), fc.boolean(), (records, runCancelled) => {
        const made = records.map(({ shard, ...rest }) => recordOf(large, shard, rest));
        const { outcomes } = mergeRecords(large, made, { runCancelled });
        expect(outcomes.map(identityOf).toSorted()).toStrictEqual(all.map(identityOf).toSorted());
        // A record that is read twice says nothing new.
        expect(mergeRecords(large, [...made, ...made], { runCancelled }).outcomes).toStrictEqual(outcomes);
      }),
    );
  });
});

describe('waves', () => {
  const plan = planFor(9, '1, 5', { tenantsPerShard: 4 });

  test('after one that stopped the rollout are skipped, not missed', () => {
    const merged = mergeRecords(plan, [record(plan, 1, FAILED)]);
    expect(merged.outcomes.map(wordsOf)).toStrictEqual(['failed', ...Array.from({ length: 8 }, () => 'canary-failed')]);
    expect(merged.outcomes[1]?.detail).toBe('not started: in the first wave (1) failed "tenant-0"');
  });

  test('after one whose shard was lost are skipped as well', () => {
    expect(words(plan, [])).toStrictEqual(['failed', ...Array.from({ length: 8 }, () => 'canary-failed')]);
  });

  test('that had begun all the same are missed', () => {
    expect(words(plan, [record(plan, 1, FAILED), recordOf(plan, 2, { complete: false })])).toStrictEqual([
      'failed',
      ...Array.from({ length: 4 }, () => 'failed'),
      ...Array.from({ length: 4 }, () => 'canary-failed'),
    ]);
  });

  test('may be looked at up to one of them', () => {
    expect(mergeRecords(plan, [record(plan, 1)], { throughWave: 1 }).outcomes).toHaveLength(1);
  });
});

describe('the gate', () => {
  const plan = planFor(9, '1, 5', { tenantsPerShard: 4 });

  test.each<[string, ShardRecord[], number, { go: boolean; failures: number; why: RegExp }]>([
    [
      'opens when all went well',
      [record(plan, 1)],
      1,
      { go: true, failures: 0, why: /^0 failed so far, 1 are allowed$/ },
    ],
    [
      'stays shut after a canary that failed',
      [record(plan, 1, FAILED)],
      1,
      { go: false, failures: 1, why: /first wave/ },
    ],
    ['stays shut without the report of the canary', [], 1, { go: false, failures: 1, why: /first wave/ }],
    [
      'stays shut when the canary was not reached',
      [record(plan, 1, { status: 'skipped', reason: 'deadline', detail: '' })],
      1,
      { go: false, failures: 0, why: /ended without "tenant-0"/ },
    ],
    [
      'stays shut when the budget is used up',
      [record(plan, 1), record(plan, 2, FAILED)],
      2,
      { go: false, failures: 4, why: /4 failed .*more than the 1 allowed/ },
    ],
    [
      'opens in spite of infrastructure failures after the canary',
      [record(plan, 1), record(plan, 2, { ...FAILED, infrastructure: true })],
      2,
      { go: true, failures: 0, why: /0 failed so far/ },
    ],
    [
      'stays shut when Neon was not there',
      [record(plan, 1), record(plan, 2, { status: 'skipped', reason: 'neon-unavailable', detail: '' })],
      2,
      { go: false, failures: 0, why: /many tenants in a row in wave 5/ },
    ],
    [
      'stays shut after a failure that stops everything',
      [record(plan, 1), record(plan, 2, { ...FAILED, stopsRollout: true })],
      2,
      { go: false, failures: 4, why: /"tenant-1" in wave 5 stopped the rollout/ },
    ],
    [
      'has nothing to open after the last wave',
      [1, 2, 3].map((shard) => record(plan, shard)),
      3,
      { go: false, failures: 0, why: /no wave is left/ },
    ],
  ])('%s', (_, records, wave, { go, failures, why }) => {
    expect(gate(plan, records, wave)).toStrictEqual({ go, failures, why: expect.stringMatching(why) });
  });

  test('opens again when a re-run has mended the canary', () => {
    const records = [record(plan, 1, FAILED), record(plan, 1, DONE, { attempt: 2 })];
    expect(gate(plan, records, 1)).toMatchObject({ go: true });
  });

  test('does not know a wave that is not there', () => {
    expect(() => gate(plan, [], 4)).toThrow('through-wave: the plan has 3 waves, and no wave 4');
  });
});

describe('a re-run', () => {
  const plan = planFor(4, '', { tenantsPerShard: 4 });
  const [a, b, c, d] = shardOf(plan, 1).tenants as [PlannedTenant, PlannedTenant, PlannedTenant, PlannedTenant];

  test('carries over what is green, word by word, and nothing else', () => {
    const green = [outcomeOf(a), outcomeOf(b, { status: 'unchanged', reason: 'up-to-date', detail: 'at 0001' })];
    const others = [outcomeOf(c, FAILED), outcomeOf(d, { status: 'skipped', reason: 'drift', detail: '' })];
    const resumed = resumeShard(shardOf(plan, 1), [recordOf(plan, 1, { outcomes: [...green, ...others] })]);
    expect(resumed).toStrictEqual({ carried: green, toConfirm: new Map() });
  });

  test('looks again at who was changed, also when a later attempt found nothing to do', () => {
    const changed = outcomeOf(a, { ...DONE, migration: migration('0', ['1'], '0/1') });
    const upToDate: TenantResult = { status: 'unchanged', reason: 'up-to-date', detail: 'at 1' };
    const records = [
      recordOf(plan, 1, { outcomes: [changed, outcomeOf(b, upToDate)] }),
      recordOf(plan, 1, { attempt: 2, outcomes: [outcomeOf(a, upToDate)] }),
    ];
    const { carried, toConfirm } = resumeShard(shardOf(plan, 1), records);
    expect(carried.map(({ name }) => name)).toStrictEqual([b.name]);
    expect([...toConfirm]).toMatchObject([[identityOf(a), { migration: { applied: ['1'] } }]]);
  });

  test('says the same of who was changed and has it all still, and what it did otherwise', () => {
    const result: TenantResult = { ...DONE, migration: migration('0', ['1'], '0/1') };
    const upToDate: TenantResult = { status: 'unchanged', reason: 'up-to-date', detail: 'at 1' };
    expect(confirmed(outcomeOf(a, result), upToDate)).toStrictEqual(outcomeOf(a, result));
    expect(confirmed(outcomeOf(a, result), FAILED)).toBe(FAILED);
    const again: TenantResult = { ...DONE, migration: migration('0', ['1'], '0/2') };
    expect(confirmed(outcomeOf(a, result), again)).toBe(again);
  });

  test('tells how many it says nothing about', () => {
    const both = recordOf(plan, 1, { outcomes: [outcomeOf(a), outcomeOf(b, FAILED)] });
    expect(mergeRecords(plan, [both]).ofEarlierAttempts).toBe(0);
    const records = [both, recordOf(plan, 1, { attempt: 2, outcomes: [outcomeOf(b)] })];
    expect(mergeRecords(plan, records).ofEarlierAttempts).toBe(1);
  });

  test('goes by the newest attempt', () => {
    const records = [
      recordOf(plan, 1, { attempt: 2, outcomes: [outcomeOf(a, FAILED), outcomeOf(b)] }),
      recordOf(plan, 1, { attempt: 1, outcomes: [outcomeOf(a), outcomeOf(b, FAILED)] }),
    ];
    expect(resumeShard(shardOf(plan, 1), records).carried.map(({ name }) => name)).toStrictEqual([b.name]);
  });

  const migration = (from: string | undefined, applied: string[], lsn: string): MigrationRecord => ({
    ...(from === undefined ? {} : { from }),
    to: applied.at(-1) ?? from ?? '',
    applied,
    restorePoint: {
      kind: 'lsn',
      host: 'ep-1.example',
      lsn,
      takenAt: `2026-11-02T03:00:${lsn.slice(2).padStart(2, '0')}Z`,
    },
  });

  test('keeps what the attempt before it had done, so that all of it can be undone', () => {
    const records = [
      recordOf(plan, 1, { outcomes: [outcomeOf(a, { ...FAILED, migration: migration('0', ['1', '2'], '0/1') })] }),
      recordOf(plan, 1, {
        attempt: 2,
        outcomes: [outcomeOf(a, { ...DONE, migration: migration('2', ['3'], '0/2') })],
      }),
    ];
    const [merged] = mergeRecords(plan, records).outcomes;
    expect(merged).toStrictEqual(outcomeOf(a, { ...DONE, migration: { ...migration('0', ['1', '2', '3'], '0/1') } }));
  });

  test('has nothing to keep of an attempt that was put back', () => {
    const putBack = { from: '0', to: '0', applied: [] };
    const records = [
      recordOf(plan, 1, { outcomes: [outcomeOf(a, { ...FAILED, status: 'rolled-back', migration: putBack })] }),
      recordOf(plan, 1, {
        attempt: 2,
        outcomes: [outcomeOf(a, { ...DONE, migration: migration('0', ['1'], '0/2') })],
      }),
    ];
    expect(mergeRecords(plan, records).outcomes[0]?.migration).toStrictEqual(migration('0', ['1'], '0/2'));
  });

  test('that was put back drops only its own part: what an attempt before it left can still be undone', () => {
    const records = [
      recordOf(plan, 1, { outcomes: [outcomeOf(a, { ...FAILED, migration: migration('0', ['1'], '0/1') })] }),
      recordOf(plan, 1, {
        attempt: 2,
        outcomes: [outcomeOf(a, { ...FAILED, status: 'rolled-back', migration: { from: '1', to: '1', applied: [] } })],
      }),
    ];
    expect(mergeRecords(plan, records).outcomes[0]).toStrictEqual(
      outcomeOf(a, { ...FAILED, status: 'rolled-back', migration: migration('0', ['1'], '0/1') }),
    );
  });

  const half = (lsn: string): MigrationRecord => ({ ...migration('0', [], lsn), changed: true });
  const lost = (lsn: string): MigrationRecord => ({ ...migration('0', [], lsn), unsettled: ['1'] });
  const without = (record: MigrationRecord): MigrationRecord => {
    const { restorePoint, ...rest } = record;
    expect(restorePoint).toBeDefined();
    return rest;
  };

  test.each<[string, MigrationRecord | undefined, MigrationRecord | undefined, MigrationRecord | undefined]>([
    ['nothing at all', undefined, undefined, undefined],
    ['only the first', migration('0', ['1'], '0/1'), undefined, migration('0', ['1'], '0/1')],
    ['only the second', undefined, migration('0', ['1'], '0/1'), migration('0', ['1'], '0/1')],
    ['the first left nothing', migration('0', [], '0/1'), migration('0', ['1'], '0/2'), migration('0', ['1'], '0/2')],
    ['the second left nothing', migration('0', ['1'], '0/1'), migration('1', [], '0/2'), migration('0', ['1'], '0/1')],
    [
      'from an empty database',
      migration(undefined, ['1'], '0/1'),
      migration('1', ['2'], '0/2'),
      migration(undefined, ['1', '2'], '0/1'),
    ],
    ['the same twice', migration('0', ['1'], '0/1'), migration('0', ['1'], '0/1'), migration('0', ['1'], '0/1')],
    [
      'a file done in part, and then the whole of it',
      half('0/1'),
      migration('0', ['1'], '0/2'),
      { ...migration('0', ['1'], '0/1'), changed: true },
    ],
    ['a file done in part, twice: the older point', half('0/1'), half('0/2'), half('0/1')],
    ['a file done in part, and then nothing more', half('0/1'), without(migration('0', [], '')), half('0/1')],
    [
      'what may have taken effect, and what came after it',
      lost('0/1'),
      migration('1', ['2'], '0/2'),
      { ...migration('0', ['2'], '0/1'), unsettled: ['1'] },
    ],
    [
      'the same once more from another point: it had been taken back in between',
      migration('0', ['1'], '0/1'),
      migration('0', ['1', '2'], '0/2'),
      migration('0', ['1', '2'], '0/2'),
    ],
    [
      'the same without a point: nothing to tell them apart',
      without(migration('0', ['1'], '')),
      without(migration('0', ['1', '2'], '')),
      without(migration('0', ['1', '2'], '')),
    ],
  ])('joins: %s', (_, earlier, later, expected) => {
    expect(joinMigrations(earlier, later)).toStrictEqual(expected);
  });
});

test('a hundred thousand tenants are merged', () => {
  const plan = planFor(100_000, '1, 1%, 10%', { tenantsPerShard: 500 });
  const records = plan.shards.map(({ shard }) => record(plan, shard));
  expect(mergeRecords(plan, records).outcomes).toHaveLength(100_000);
});
