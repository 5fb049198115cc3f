import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  assignWaves,
  countsAsFailure,
  gate,
  makePlan,
  parseWaves,
  rollOut,
  StoppedError,
  type Outcome,
  type RollOutOptions,
  type RolloutDecision,
  type Tenant,
  type TenantResult,
} from '../../../src/fleet/index.js';
import { tenants } from '../../support/builders.js';
import { recordOf } from '../../support/fleet.js';

const DONE: TenantResult = { status: 'succeeded', detail: 'done' };
const FAILED: TenantResult = { status: 'failed', detail: 'boom', error: { message: 'boom' } };

async function run(
  fleet: number,
  waves: string,
  special: Readonly<Record<string, TenantResult>> = {},
  options: Partial<RollOutOptions<Tenant>> = {},
) {
  const decisions: RolloutDecision[] = [];
  const started: string[] = [];
  const outcomes = await rollOut({
    waves: assignWaves(tenants(fleet), parseWaves(waves)),
    soakMs: 0,
    maxFailures: 2,
    concurrency: 1,
    signal: new AbortController().signal,
    onDecision: (decision) => decisions.push(decision),
    work: ({ name }) => {
      started.push(name);
      return Promise.resolve(special[name] ?? DONE);
    },
    ...options,
  });
  return { outcomes, decisions, started, words: outcomes.map(wordsOf) };
}

function wordsOf(outcome: Outcome): string {
  return outcome.status === 'skipped' ? outcome.reason : outcome.status;
}

describe('waves in one job', () => {
  test('run one after another, and everybody is accounted for once', async () => {
    const seen: string[] = [];
    const { outcomes, decisions } = await run(5, '1, 3', {}, { onWave: ({ name }) => seen.push(name) });
    expect(seen).toStrictEqual(['1', '3', '100%']);
    expect(outcomes.map(({ name }) => name)).toStrictEqual([0, 1, 2, 3, 4].map((index) => `tenant-${index}`));
    expect(decisions.map(({ go }) => go)).toStrictEqual([true, true]);
  });

  test('count the progress over all of them', async () => {
    const progress: string[] = [];
    await run(4, '1', {}, { onOutcome: ({ progress: { done, total } }) => progress.push(`${done}/${total}`) });
    expect(progress).toStrictEqual(['1/4', '2/4', '3/4', '4/4']);
  });

  test('end when the canary fails, and nobody else is touched', async () => {
    const told: string[] = [];
    const { outcomes, started, words } = await run(
      4,
      '2, 3',
      { 'tenant-1': FAILED },
      { onOutcome: ({ progress: { done, total } }) => told.push(`${done}/${total}`) },
    );
    expect(started).toStrictEqual(['tenant-0', 'tenant-1']);
    expect(words).toStrictEqual(['succeeded', 'failed', 'canary-failed', 'canary-failed']);
    expect(outcomes[2]).toMatchObject({
      attempts: 0,
      detail: 'not started: in the first wave (2) failed "tenant-1"',
    });
    expect(told).toStrictEqual(['1/4', '2/4', '3/4', '4/4']);
  });

  test.each<[string, TenantResult]>([
    ['what was put back', { ...FAILED, status: 'rolled-back' }],
    ['a failure of Neon itself', { ...FAILED, infrastructure: true }],
  ])('take %s in the canary for a failure', async (_, result) => {
    const { words } = await run(2, '1', { 'tenant-0': result });
    expect(words[1]).toBe('canary-failed');
  });

  test('go on when a canary was left out for a reason of its own', async () => {
    const { words } = await run(2, '1', { 'tenant-0': { status: 'skipped', reason: 'quota-suspended', detail: '' } });
    expect(words).toStrictEqual(['quota-suspended', 'succeeded']);
  });

  test('have no canary when there is only one', async () => {
    const { words } = await run(3, '100%', { 'tenant-0': FAILED });
    expect(words).toStrictEqual(['failed', 'succeeded', 'succeeded']);
  });

  test('share the budget: what the earlier ones used up is gone', async () => {
    const special = { 'tenant-1': FAILED, 'tenant-2': FAILED, 'tenant-3': FAILED };
    const { words, outcomes } = await run(7, '1, 3, 6', special);
    expect(words).toStrictEqual(['succeeded', 'failed', 'failed', 'failed', 'budget', 'budget', 'canary-failed']);
    expect(outcomes[6]?.detail).toBe(
      'not started: up to wave 6 3 failed ("tenant-1", "tenant-2", "tenant-3"), which is more than the 2 allowed',
    );
  });

  test('end everywhere after a failure that stops the rollout', async () => {
    const { words, outcomes } = await run(5, '1, 4', { 'tenant-2': { ...FAILED, stopsRollout: true } });
    expect(words).toStrictEqual(['succeeded', 'succeeded', 'failed', 'canary-failed', 'canary-failed']);
    expect(outcomes[4]?.detail).toBe('not started: "tenant-2" in wave 4 stopped the rollout');
  });

  test('end when Neon is not there', async () => {
    const away: TenantResult = { ...FAILED, infrastructure: true };
    const { words } = await run(
      6,
      '1, 5',
      { 'tenant-1': away, 'tenant-2': away },
      { breaker: { openAfter: 2 }, maxFailures: 9 },
    );
    expect(words).toStrictEqual([
      'succeeded',
      'failed',
      'failed',
      'neon-unavailable',
      'neon-unavailable',
      'neon-unavailable',
    ]);
  });

  test('name at most a few, shortened, however many failed', async () => {
    const long = '🦊'.repeat(200);
    const fleet = tenants(900).map((one) => ({ ...one, name: `${long}${one.name}` }));
    const outcomes = await rollOut({
      waves: assignWaves(fleet, parseWaves('800')),
      soakMs: 0,
      maxFailures: 10_000,
      concurrency: 1,
      signal: new AbortController().signal,
      work: () => Promise.resolve(FAILED),
    });
    expect(outcomes.at(-1)?.detail).toMatch(/ and 797 more$/);
    expect(outcomes.at(-1)?.detail.length).toBeLessThan(600);
    expect(outcomes.at(-1)?.detail).not.toMatch(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])/);
  });
});

describe('the time between waves', () => {
  test('passes before the next begins', async () => {
    const began: number[] = [];
    await run(2, '1', {}, { soakMs: 60, onWave: () => began.push(performance.now()) });
    expect((began[1] ?? 0) - (began[0] ?? 0)).toBeGreaterThanOrEqual(55);
  });

  test('ends at once when the run is told to stop, and nobody else is started', async () => {
    const stop = new AbortController();
    const { words } = await run(
      3,
      '1',
      {},
      {
        soakMs: 3_600_000,
        signal: stop.signal,
        onDecision: () => setTimeout(() => stop.abort(new StoppedError('deadline')), 5),
      },
    );
    expect(words).toStrictEqual(['succeeded', 'deadline', 'deadline']);
  });

  test('is not waited for when nothing follows', async () => {
    const { words } = await run(2, '1', { 'tenant-0': FAILED }, { soakMs: 3_600_000 });
    expect(words).toStrictEqual(['failed', 'canary-failed']);
  });
});

test('a job that does all waves and jobs of one wave each decide alike', async () => {
  const anyResult = fc.constantFrom<TenantResult>(
    DONE,
    DONE,
    DONE,
    FAILED,
    { ...FAILED, status: 'rolled-back' },
    { ...FAILED, infrastructure: true },
    { ...FAILED, stopsRollout: true },
    { status: 'skipped', reason: 'drift', detail: '' },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyResult, { minLength: 1, maxLength: 12 }),
      fc.constantFrom('100%', '1', '1, 50%', '2, 4, 6'),
      fc.nat(3),
      async (results, waves, maxFailures) => {
        const fleet = tenants(results.length);
        const special = Object.fromEntries(fleet.map(({ name }, index) => [name, results[index] ?? DONE]));
        const { outcomes, decisions } = await run(results.length, waves, special, { maxFailures });
        const plan = makePlan({
          id: '6f9619ff-8b86-4d01-b42d-00cf4fc964ff',
          action: 'migrate',
          createdAt: new Date(0),
          settings: {},
          maxFailures: { kind: 'count', count: maxFailures },
          waves: parseWaves(waves),
          tenants: fleet,
          settled: [],
          maxShards: 256,
          tenantsPerShard: 2,
        });
        const byName = new Map(outcomes.map((outcome) => [outcome.name, outcome]));
        const records = plan.shards.map((shard) =>
          recordOf(plan, shard.shard, {
            outcomes: shard.tenants.map(({ name }) => byName.get(name)).filter((one) => one !== undefined),
          }),
        );
        for (const [index, decision] of decisions.entries()) {
          expect(gate(plan, records, index + 1)).toStrictEqual({
            go: decision.go,
            why: decision.why,
            failures: decision.failures,
          });
        }
        expect(outcomes).toHaveLength(fleet.length);
        expect(outcomes.filter(countsAsFailure).length).toBeLessThanOrEqual(maxFailures + 1);
      },
    ),
    { numRuns: 150 },
  );
});
