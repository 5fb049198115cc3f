import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  countsAsFailure,
  StoppedError,
  workThroughTenants,
  type EngineOptions,
  type Halt,
  type Outcome,
  type Tenant,
  type TenantResult,
} from '../../../src/fleet/index.js';
import { NeonApiError } from '../../../src/neon/index.js';
import { PostgresError } from '../../../src/postgres/index.js';
import { tenants } from '../../support/builders.js';

const DONE: TenantResult = { status: 'succeeded', detail: 'done' };
const FAILED: TenantResult = { status: 'failed', detail: 'boom', error: { message: 'boom' } };
const OUT_OF_REACH: TenantResult = { ...FAILED, infrastructure: true };

/** Works through tenants one at a time, each with the result that stands at its place. */
function runInOrder(results: readonly TenantResult[], options: Partial<EngineOptions<Tenant>> = {}) {
  const halts: Halt[] = [];
  const running = workThroughTenants({
    tenants: tenants(results.length),
    concurrency: 1,
    signal: new AbortController().signal,
    work: ({ projectId }) => Promise.resolve(results[Number(projectId.slice(2))] ?? DONE),
    onHalt: (halt) => halts.push(halt),
    ...options,
  });
  return running.then((outcomes) => ({ outcomes, halts, words: outcomes.map(wordsOf) }));
}

function wordsOf(outcome: Outcome): string {
  return outcome.status === 'skipped' ? outcome.reason : outcome.status;
}

function repeated<T>(value: T, times: number): T[] {
  return Array.from({ length: times }, () => value);
}

describe('the error budget', () => {
  test('lets as many fail as it says, and one more ends it', async () => {
    const { outcomes, halts, words } = await runInOrder(repeated(FAILED, 6), { budget: { maxFailures: 2 } });
    expect(words).toStrictEqual([...repeated('failed', 3), ...repeated('budget', 3)]);
    expect(halts).toMatchObject([{ reason: 'budget' }]);
    expect(outcomes[3]).toMatchObject({
      attempts: 0,
      detail: 'not started: 3 failed, which is more than the 2 allowed here',
    });
  });

  test('of nought ends with the first failure', async () => {
    const { words } = await runInOrder([DONE, FAILED, DONE], { budget: { maxFailures: 0 } });
    expect(words).toStrictEqual(['succeeded', 'failed', 'budget']);
  });

  test('is eaten by what was put back, and not by what was skipped, was done, or is not the work', async () => {
    const { words } = await runInOrder(
      [
        { ...FAILED, status: 'rolled-back' },
        OUT_OF_REACH,
        { status: 'skipped', reason: 'drift', detail: '' },
        DONE,
        FAILED,
        DONE,
      ],
      { budget: { maxFailures: 1 } },
    );
    expect(words).toStrictEqual(['rolled-back', 'failed', 'drift', 'succeeded', 'failed', 'budget']);
  });

  test('lets those in flight finish', async () => {
    const { words } = await runInOrder([], {
      tenants: tenants(6),
      concurrency: 3,
      budget: { maxFailures: 0 },
      work: async ({ projectId }) => {
        if (projectId === 'p-0') return FAILED;
        await delay(20);
        return DONE;
      },
    });
    expect(words).toStrictEqual(['failed', 'succeeded', 'succeeded', 'budget', 'budget', 'budget']);
  });

  test('is passed by no more than those in flight, whatever the schedule', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ fails: fc.boolean(), afterMs: fc.nat(4) }), { maxLength: 25 }),
        fc.integer({ min: 1, max: 6 }),
        fc.nat(4),
        async (behaviours, concurrency, maxFailures) => {
          const { outcomes } = await runInOrder([], {
            tenants: tenants(behaviours.length),
            concurrency,
            budget: { maxFailures },
            work: async ({ projectId }) => {
              const { fails, afterMs } = behaviours[Number(projectId.slice(2))] ?? { fails: true, afterMs: 0 };
              await delay(afterMs);
              return fails ? FAILED : DONE;
            },
          });
          expect(outcomes).toHaveLength(behaviours.length);
          expect(outcomes.filter(countsAsFailure).length).toBeLessThanOrEqual(maxFailures + concurrency);
          const failing = behaviours.filter(({ fails }) => fails).length;
          if (failing <= maxFailures) expect(outcomes.map(wordsOf)).not.toContain('budget');
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('the breaker', () => {
  test('opens after so many in a row', async () => {
    const results = [OUT_OF_REACH, DONE, OUT_OF_REACH, OUT_OF_REACH, OUT_OF_REACH, DONE, DONE];
    const { words, halts } = await runInOrder(results, { breaker: { openAfter: 3 } });
    expect(words).toStrictEqual([
      'failed',
      'succeeded',
      ...repeated('failed', 3),
      'neon-unavailable',
      'neon-unavailable',
    ]);
    expect(halts).toStrictEqual([
      { reason: 'neon-unavailable', why: 'Neon or the way to it failed for 3 tenants in a row' },
    ]);
  });

  test.each<[string, TenantResult]>([
    ['a failure of the work', FAILED],
    ['a skip', { status: 'skipped', reason: 'locked', detail: '' }],
  ])('does not open when there is %s in between', async (_, between) => {
    const results = [OUT_OF_REACH, OUT_OF_REACH, between, OUT_OF_REACH, OUT_OF_REACH, DONE];
    const { words } = await runInOrder(results, { breaker: { openAfter: 3 } });
    expect(words.at(-1)).toBe('succeeded');
  });

  test('does not eat the budget, however many there are', async () => {
    const { words } = await runInOrder(repeated(OUT_OF_REACH, 20), { budget: { maxFailures: 0 } });
    expect(words).toStrictEqual(repeated('failed', 20));
  });
});

describe('what counts as infrastructure when it is thrown', () => {
  const api = (status: number | undefined) =>
    new NeonApiError('getProject', { answerLost: status === undefined, ...(status === undefined ? {} : { status }) });

  test.each<[string, Error, boolean]>([
    ['no answer', api(undefined), true],
    ...[408, 423, 429, 500, 502, 503].map((status): [string, Error, boolean] => [`HTTP ${status}`, api(status), true]),
    ...[400, 401, 403, 404, 409, 422].map((status): [string, Error, boolean] => [`HTTP ${status}`, api(status), false]),
    ['a database that cannot be reached', new PostgresError({ message: 'refused' }, undefined, true), true],
    ['a statement that fails', new PostgresError({ message: 'no such table' }, '42P01'), false],
    ['anything else', new Error('boom'), false],
  ])('%s', async (_, thrown, expected) => {
    const { outcomes } = await runInOrder([DONE], { work: () => Promise.reject(thrown) });
    expect(outcomes).toMatchObject([{ status: 'failed' }]);
    expect(outcomes.map((outcome) => 'infrastructure' in outcome)).toStrictEqual([expected]);
  });
});

describe('a failure that stops the rollout', () => {
  test('is the last to be started, and is named', async () => {
    const { outcomes, words } = await runInOrder([DONE, { ...FAILED, stopsRollout: true }, DONE]);
    expect(words).toStrictEqual(['succeeded', 'failed', 'canary-failed']);
    expect(outcomes[2]?.detail).toBe('not started: "tenant-1" stopped the rollout');
  });
});

describe('more attempts', () => {
  const failingTimes = (times: number, result: TenantResult = FAILED) => {
    let attempts = 0;
    return () => Promise.resolve(++attempts <= times ? result : DONE);
  };

  test.each<[string, number, number, string, number]>([
    ['none by default', 1, 0, 'failed', 1],
    ['until it works', 2, 5, 'succeeded', 3],
    ['as many as allowed', 9, 2, 'failed', 3],
    ['none after a success', 0, 5, 'succeeded', 1],
  ])('%s', async (_, failing, retries, status, attempts) => {
    const { outcomes } = await runInOrder([DONE], { work: failingTimes(failing), retries });
    expect(outcomes).toMatchObject([{ status, attempts }]);
  });

  test.each<[string, TenantResult]>([
    ['what was put back', { ...FAILED, status: 'rolled-back' }],
    ['what stops the rollout', { ...FAILED, stopsRollout: true }],
    ['what was skipped', { status: 'skipped', reason: 'locked', detail: '' }],
  ])('not of %s', async (_, result) => {
    const { outcomes } = await runInOrder([DONE], { work: failingTimes(1, result), retries: 3 });
    expect(outcomes).toMatchObject([{ status: result.status, attempts: 1 }]);
  });

  test('count once against the budget', async () => {
    const { words } = await runInOrder([DONE, DONE], { work: failingTimes(3), retries: 3, budget: { maxFailures: 0 } });
    expect(words).toStrictEqual(['succeeded', 'succeeded']);
  });

  test('are not begun after the stop, nor once nobody else is started', async () => {
    const stop = new AbortController();
    const stopped = await runInOrder([DONE], {
      signal: stop.signal,
      retries: 5,
      work: () => {
        stop.abort(new StoppedError('cancelled'));
        return Promise.resolve(FAILED);
      },
    });
    expect(stopped.outcomes).toMatchObject([{ status: 'failed', attempts: 1 }]);

    const halted = await runInOrder([], {
      tenants: tenants(2),
      concurrency: 2,
      retries: 5,
      work: async ({ projectId }) => {
        if (projectId === 'p-0') return { ...FAILED, stopsRollout: true };
        await delay(20);
        return FAILED;
      },
    });
    expect(halted.outcomes).toMatchObject([{ attempts: 1 }, { status: 'failed', attempts: 1 }]);
  });

  test('are told in the notes, and what all of them did is kept', async () => {
    const notes: string[] = [];
    let attempts = 0;
    const { outcomes } = await runInOrder([DONE], {
      retries: 1,
      onOutcome: (done) => notes.push(...done.notes),
      work: () => {
        attempts += 1;
        return Promise.resolve<TenantResult>(
          attempts === 1
            ? { ...FAILED, migration: { from: '0', to: '1', applied: ['1'] } }
            : { ...DONE, migration: { from: '1', to: '2', applied: ['2'] } },
        );
      },
    });
    expect(notes).toStrictEqual(['attempt 1 failed: boom; trying again']);
    expect(outcomes).toMatchObject([{ status: 'succeeded', migration: { from: '0', to: '2', applied: ['1', '2'] } }]);
  });
});

test('a listener that throws when nobody else is started harms nobody', async () => {
  const { words } = await runInOrder([FAILED, DONE], {
    budget: { maxFailures: 0 },
    onHalt: () => {
      throw new Error('the log is full');
    },
  });
  expect(words).toStrictEqual(['failed', 'budget']);
});
