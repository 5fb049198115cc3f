import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { ExplainedError, type Explanation } from '../../../src/errors/index.js';
import {
  outcomeSchema,
  StoppedError,
  stopReasonOf,
  workThroughTenants,
  type EngineOptions,
  type Outcome,
  type Tenant,
  type TenantDone,
  type TenantResult,
} from '../../../src/fleet/index.js';
import { tenants } from '../../support/builders.js';

const DONE: TenantResult = { status: 'succeeded', detail: 'done' };

function run(options: Partial<EngineOptions<Tenant>> = {}) {
  return workThroughTenants({
    tenants: tenants(3),
    concurrency: 2,
    signal: new AbortController().signal,
    work: () => Promise.resolve(DONE),
    ...options,
  });
}

const never = () => new Promise<never>(() => undefined);

describe('every tenant has an outcome', () => {
  test('that says who, when, how long and how often', async () => {
    const times = [new Date(1_000), new Date(3_500)];
    const [one] = await run({ tenants: tenants(1), now: () => times.shift() ?? new Date(0) });
    expect(one).toStrictEqual({
      projectId: 'p-0',
      name: 'tenant-0',
      database: 'neondb',
      attempts: 1,
      startedAt: '1970-01-01T00:00:01.000Z',
      durationMs: 2_500,
      ...DONE,
    });
  });

  test('in the order in which they were given, whoever is done first', async () => {
    const outcomes = await run({
      tenants: tenants(4),
      concurrency: 4,
      work: async ({ projectId }) => {
        await delay(projectId === 'p-0' ? 20 : 1);
        return DONE;
      },
    });
    expect(outcomes.map(({ projectId }) => projectId)).toStrictEqual(['p-0', 'p-1', 'p-2', 'p-3']);
  });

  test.each<[string, () => Promise<TenantResult>, Partial<Outcome>]>([
    ['fails', () => Promise.reject(new Error('boom')), { status: 'failed' }],
    ['is done', () => Promise.resolve(DONE), { status: 'succeeded' }],
  ])('with the id of a project that the work found before it %s', async (_, rest, expected) => {
    const outcomes = await run({
      tenants: tenants(2),
      work: ({ projectId }, { found }) => {
        if (projectId === 'p-1') found('found-1');
        return rest();
      },
    });
    expect(outcomes).toMatchObject([
      { projectId: 'p-0', ...expected },
      { projectId: 'found-1', ...expected },
    ]);
  });

  test('with the id of a project that the work found, also when it never ends', async () => {
    const stop = new AbortController();
    const work: EngineOptions<Tenant>['work'] = (_, { found }) => {
      found('found-0');
      stop.abort(new StoppedError('cancelled'));
      return never();
    };
    const outcomes = await run({ tenants: tenants(1), signal: stop.signal, stopGraceMs: 5, work });
    expect(outcomes).toMatchObject([{ projectId: 'found-0', status: 'failed' }]);
  });

  test('with the id of a project that the work made', async () => {
    const outcomes = await run({ tenants: tenants(1), work: () => Promise.resolve({ ...DONE, projectId: 'p-new' }) });
    expect(outcomes).toMatchObject([{ name: 'tenant-0', projectId: 'p-new' }]);
  });

  test('that never took less than no time, even if the clock is set back', async () => {
    const times = [new Date(9_000), new Date(1_000)];
    const outcomes = await run({ tenants: tenants(1), now: () => times.shift() ?? new Date(0) });
    expect(outcomes).toMatchObject([{ durationMs: 0 }]);
  });

  test('each, when one is listed twice', async () => {
    const [one] = tenants(1);
    if (one === undefined) throw new Error('no tenant');
    expect(await run({ tenants: [one, one] })).toHaveLength(2);
  });

  test('and nobody is nobody', async () => {
    expect(await run({ tenants: [] })).toStrictEqual([]);
  });
});

describe('what the work throws becomes the failure of that tenant alone:', () => {
  const itsOwnCause = new Error('round');
  itsOwnCause.cause = itsOwnCause;

  test.each<[string, () => Promise<TenantResult>, Explanation]>([
    ['an error', () => Promise.reject(new Error('boom')), { message: 'boom' }],
    [
      'an error at once',
      () => {
        throw new Error('boom');
      },
      { message: 'boom' },
    ],
    [
      'an explanation',
      () => Promise.reject(new ExplainedError({ message: 'boom', code: 'E1', hint: 'do' })),
      { message: 'boom', code: 'E1', hint: 'do' },
    ],
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    ['a text', () => Promise.reject('boom'), { message: 'boom' }],
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    ['nothing', () => Promise.reject(), { message: 'a failure without a message' }],
    ['a circle of causes', () => Promise.reject(itsOwnCause), { message: 'round' }],
  ])('%s', async (_, fail, error) => {
    const outcomes = await run({
      work: ({ projectId }) => (projectId === 'p-1' ? fail() : Promise.resolve(DONE)),
    });
    expect(outcomes.map(({ status }) => status)).toStrictEqual(['succeeded', 'failed', 'succeeded']);
    expect(outcomes[1]).toMatchObject({ error, detail: error.message });
  });
});

describe('whoever follows the run', () => {
  test('is told of each tenant once, with how far it has come and its notes', async () => {
    const told: TenantDone[] = [];
    const outcomes = await run({
      work: ({ name }, { note }) => {
        note(`working on ${name}`);
        return Promise.resolve(DONE);
      },
      onOutcome: (done) => told.push(done),
    });
    expect(told.map(({ progress }) => progress)).toStrictEqual([1, 2, 3].map((done) => ({ done, total: 3 })));
    expect(told.map(({ outcome }) => outcome)).toStrictEqual(outcomes);
    expect(told.map(({ notes }) => notes)).toStrictEqual([0, 1, 2].map((index) => [`working on tenant-${index}`]));
  });

  test('cannot end it', async () => {
    const outcomes = await run({
      onOutcome: () => {
        throw new Error('the log is full');
      },
    });
    expect(outcomes.map(({ status }) => status)).toStrictEqual(['succeeded', 'succeeded', 'succeeded']);
  });
});

describe('after the stop', () => {
  test.each(['cancelled', 'deadline'] as const)('nothing is started any more (%s)', async (reason) => {
    const worked: string[] = [];
    const outcomes = await run({
      signal: AbortSignal.abort(new StoppedError(reason)),
      work: ({ name }) => {
        worked.push(name);
        return Promise.resolve(DONE);
      },
    });
    expect(worked).toStrictEqual([]);
    expect(outcomes).toHaveLength(3);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'skipped', reason, attempts: 0, durationMs: expect.any(Number) });
      expect(outcome.detail).toMatch(/^not started: /);
    }
  });

  test('what was under way and ends counts as what it came to', async () => {
    const stop = new AbortController();
    const outcomes = await run({
      signal: stop.signal,
      concurrency: 2,
      work: async ({ projectId }, { signal }) => {
        if (projectId === 'p-1') {
          stop.abort(new StoppedError('cancelled'));
          signal.throwIfAborted();
        }
        await delay(10);
        return DONE;
      },
    });
    expect(outcomes).toMatchObject([
      { projectId: 'p-0', status: 'succeeded', attempts: 1 },
      {
        projectId: 'p-1',
        status: 'skipped',
        reason: 'cancelled',
        attempts: 1,
        error: { message: 'the run was cancelled' },
      },
      { projectId: 'p-2', status: 'skipped', reason: 'cancelled', attempts: 0 },
    ]);
  });

  test('what does not end is left behind when the grace is over, and said to be unknown', async () => {
    const stop = new AbortController();
    const started = performance.now();
    const running = run({ tenants: tenants(5), concurrency: 2, signal: stop.signal, stopGraceMs: 50, work: never });
    await delay(5);
    stop.abort(new StoppedError('deadline'));
    const outcomes = await running;
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(outcomes.map(({ status }) => status)).toStrictEqual(['failed', 'failed', 'skipped', 'skipped', 'skipped']);
    expect(outcomes[0]?.detail).toMatch(/50 ms .* its state is not known/);
  });

  test('what ends within the grace is waited for', async () => {
    const stop = new AbortController();
    const running = run({
      tenants: tenants(1),
      signal: stop.signal,
      stopGraceMs: 5_000,
      work: () => delay(20, DONE),
    });
    await delay(5);
    stop.abort(new StoppedError('cancelled'));
    expect(await running).toMatchObject([{ status: 'succeeded' }]);
  });

  test('what fails after the grace harms nobody', async () => {
    const stop = new AbortController();
    let begin: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    let fail: (thrown: Error) => void = () => undefined;
    const failing = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const running = run({
      tenants: tenants(1),
      signal: stop.signal,
      stopGraceMs: 1,
      work: () => {
        begin();
        return failing;
      },
    });
    await begun;
    stop.abort();
    expect(await running).toMatchObject([{ status: 'failed', detail: expect.stringContaining('not known') }]);
    fail(new Error('too late'));
    // An unhandled rejection would end the process of the tests here.
    await delay(30);
  });

  test('no timer and no listener is left', async () => {
    const stop = new AbortController();
    const listeners = new Set<unknown>();
    const { signal } = stop;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...parameters: Parameters<typeof add>) => {
      listeners.add(parameters[1]);
      add(...parameters);
    };
    signal.removeEventListener = (...parameters: Parameters<typeof remove>) => {
      listeners.delete(parameters[1]);
      remove(...parameters);
    };
    await run({ signal, tenants: tenants(50) });
    expect([...listeners]).toStrictEqual([]);
  });
});

test('two hundred tenants at once are no leak in the eyes of Node', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  await run({ tenants: tenants(200), concurrency: 200, work: () => delay(5, DONE) });
  await delay(5);
  process.off('warning', onWarning);
  expect(warnings).toStrictEqual([]);
});

test('holds for any schedule: each tenant once, never too many at a time, nothing new after the stop', async () => {
  const behaviour = fc.record({
    ends: fc.constantFrom('well', 'badly', 'at once', 'never'),
    afterMs: fc.nat(6),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(behaviour, { maxLength: 12 }),
      fc.integer({ min: 1, max: 5 }),
      fc.nat(8),
      async (behaviours, concurrency, stopAfterMs) => {
        const stop = new AbortController();
        const started: string[] = [];
        const told: string[] = [];
        let atWork = 0;
        let mostAtWork = 0;
        const stopping = setTimeout(() => stop.abort(new StoppedError('cancelled')), stopAfterMs);
        const outcomes = await run({
          tenants: tenants(behaviours.length),
          concurrency,
          signal: stop.signal,
          stopGraceMs: 4,
          onOutcome: ({ outcome }) => told.push(outcome.projectId),
          work: async ({ projectId }) => {
            expect(stop.signal.aborted).toBe(false);
            started.push(projectId);
            const { ends, afterMs } = behaviours[Number(projectId.slice(2))] ?? { ends: 'never', afterMs: 0 };
            mostAtWork = Math.max(mostAtWork, ++atWork);
            try {
              if (ends === 'at once') throw new Error('at once');
              if (ends === 'never') return await never();
              await delay(afterMs);
              if (ends === 'badly') throw new Error('badly');
              return DONE;
            } finally {
              atWork--;
            }
          },
        });
        clearTimeout(stopping);
        const ids = behaviours.map((_, index) => `p-${index}`);
        expect(outcomes.map(({ projectId }) => projectId)).toStrictEqual(ids);
        expect(told.toSorted()).toStrictEqual(ids.toSorted());
        expect(new Set(started).size).toBe(started.length);
        expect(mostAtWork).toBeLessThanOrEqual(concurrency);
        for (const outcome of outcomes) {
          expect(outcomeSchema.safeParse(outcome).success).toBe(true);
          expect(outcome.attempts).toBe(started.includes(outcome.projectId) ? 1 : 0);
        }
      },
    ),
    { numRuns: 40 },
  );
});

describe('why a run was stopped', () => {
  test.each<[string, unknown, string]>([
    ['the time limit', new StoppedError('deadline'), 'deadline'],
    ['a cancellation', new StoppedError('cancelled'), 'cancelled'],
    ['somebody else', new Error('mine'), 'cancelled'],
    ['nobody says', undefined, 'cancelled'],
  ])('%s', (_, reason, expected) => {
    expect(stopReasonOf(AbortSignal.abort(reason))).toBe(expected);
  });
});
