import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { makeBrakes } from '../../../src/fleet/brakes.js';
import { watchFleet } from '../../../src/fleet/fleet-watch.js';
import {
  StoppedError,
  workThroughTenants,
  type FleetFailures,
  type Halt,
  type Outcome,
  type TenantResult,
} from '../../../src/fleet/index.js';
import { tenants } from '../../support/builders.js';

const DONE: TenantResult = { status: 'succeeded', detail: 'done' };
const FAILED: TenantResult = { status: 'failed', detail: 'boom', error: { message: 'boom' } };

/** A counter that shards share, as the catalog is one. */
class Counter {
  readonly #told = new Map<string, number>();
  exchanges = 0;

  constructor(readonly maxFailures: number) {}

  get sum(): number {
    return [...this.#told.values()].reduce((sum, each) => sum + each, 0);
  }

  of(shard: string): FleetFailures {
    return {
      maxFailures: this.maxFailures,
      exchange: async (own) => {
        this.exchanges += 1;
        await delay(1);
        this.#told.set(shard, own);
        await delay(1);
        return this.sum;
      },
    };
  }
}

interface Shard {
  readonly fleet: FleetFailures;
  readonly results: readonly TenantResult[];
  readonly share?: number;
  readonly concurrency?: number;
}

async function work({ fleet, results, share = 0, concurrency = 1 }: Shard) {
  const halts: Halt[] = [];
  const outcomes = await workThroughTenants({
    tenants: tenants(results.length),
    concurrency,
    signal: new AbortController().signal,
    budget: { maxFailures: share, fleet },
    work: async ({ projectId }) => {
      await delay(1);
      return results[Number(projectId.slice(2))] ?? DONE;
    },
    onHalt: (halt) => halts.push(halt),
  });
  return { outcomes, halts, words: outcomes.map(wordsOf) };
}

function wordsOf(outcome: Outcome): string {
  return outcome.status === 'skipped' ? outcome.reason : outcome.status;
}

function repeated<T>(value: T, times: number): T[] {
  return Array.from({ length: times }, () => value);
}

describe('a budget that shards share', () => {
  test('is not divided: one shard may have all of the failures', async () => {
    const counter = new Counter(4);
    const [bad, good] = await Promise.all([
      work({ fleet: counter.of('bad'), results: [...repeated(FAILED, 4), ...repeated(DONE, 4)] }),
      work({ fleet: counter.of('good'), results: repeated(DONE, 8) }),
    ]);
    expect(bad.words).toStrictEqual([...repeated('failed', 4), ...repeated('succeeded', 4)]);
    expect(good.words).toStrictEqual(repeated('succeeded', 8));
    expect(counter.sum).toBe(4);
  });

  test('ends a shard that has none when the others have exceeded it', async () => {
    const counter = new Counter(1);
    await counter.of('elsewhere').exchange(2);
    const { words, halts } = await work({ fleet: counter.of('mine'), results: repeated(DONE, 3) });
    expect(words).toStrictEqual(repeated('budget', 3));
    expect(halts).toStrictEqual([
      { reason: 'budget', why: '2 failed in all shards together, which is more than the 1 allowed' },
    ]);
  });

  test('is asked for now and then by a shard that has no failures', async () => {
    const counter = new Counter(0);
    const brakes = makeBrakes({ budget: { maxFailures: 0, fleet: counter.of('mine') } });
    let halted: (halt: Halt) => void = () => undefined;
    const halt = new Promise<Halt>((resolve) => (halted = resolve));
    const { signal } = new AbortController();
    const watch = watchFleet(counter.of('mine'), brakes, { signal, onHalt: (each) => halted(each), askEveryMs: 1 });
    await watch.told();
    await counter.of('elsewhere').exchange(1);
    expect((await halt).reason).toBe('budget');
    await watch.end();
    expect(brakes.halt?.reason).toBe('budget');
  });

  test('is told of a failure before anybody else is started', async () => {
    const counter = new Counter(0);
    const { words } = await work({ fleet: counter.of('mine'), results: [FAILED, DONE, DONE] });
    expect(words).toStrictEqual(['failed', 'budget', 'budget']);
    expect(counter.sum).toBe(1);
  });

  test('tells the last failure too before the shard ends', async () => {
    const counter = new Counter(9);
    await work({ fleet: counter.of('mine'), results: [DONE, FAILED, FAILED], concurrency: 3 });
    expect(counter.sum).toBe(2);
  });

  test('holds over shards that run at once, give or take those in flight', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 12 }),
        fc.array(fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 4 }),
        async (maxFailures, shards, concurrency) => {
          const counter = new Counter(maxFailures);
          const worked = await Promise.all(
            shards.map((fails, index) =>
              work({
                fleet: counter.of(`${index}`),
                results: fails.map((failing) => (failing ? FAILED : DONE)),
                concurrency,
              }),
            ),
          );
          const words = worked.flatMap((each) => each.words);
          const failures = words.filter((word) => word === 'failed').length;
          expect(words).toHaveLength(shards.flat().length);
          expect(counter.sum).toBe(failures);
          expect(failures).toBeLessThanOrEqual(maxFailures + shards.length * concurrency);
          if (words.includes('budget')) expect(failures).toBeGreaterThan(maxFailures);
          else expect(failures).toBe(shards.flat().filter(Boolean).length);
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('a shard that cannot ask the others any more', () => {
  /** Answers a number of times, and then in this way. */
  function failing(times: number, how: () => Promise<number | undefined>): FleetFailures & { asked: () => number } {
    let asked = 0;
    return {
      maxFailures: 100,
      exchange: (own) => {
        asked += 1;
        return asked > times ? how() : Promise.resolve(own);
      },
      asked: () => asked,
    };
  }

  test.each([
    ['says so', () => Promise.resolve(undefined)],
    ['is refused', () => Promise.reject(new Error('down'))],
    [
      'breaks at once',
      () => {
        throw new Error('down');
      },
    ],
  ])('because it %s goes on with its own share, and asks no more', async (_, how) => {
    const fleet = failing(2, how);
    const { words, halts } = await work({ fleet, results: repeated(FAILED, 5), share: 2 });
    // The first is asked at the start; the second failure falls back, the third is more than the share.
    expect(words).toStrictEqual([...repeated('failed', 3), ...repeated('budget', 2)]);
    expect(halts).toMatchObject([{ why: '3 failed, which is more than the 2 allowed here' }]);
    expect(fleet.asked()).toBe(3);
  });

  test('ends at once when its own share is exceeded already', async () => {
    const fleet = failing(3, () => Promise.resolve(undefined));
    const { words } = await work({ fleet, results: repeated(FAILED, 5), share: 1 });
    expect(words).toStrictEqual([...repeated('failed', 3), ...repeated('budget', 2)]);
  });
});

test('a shard that is stopped while it waits for an answer says so, and does not blame its own share', async () => {
  const stop = new AbortController();
  const halts: Halt[] = [];
  const fleet: FleetFailures = {
    maxFailures: 100,
    exchange: (own) => {
      if (own < 2) return Promise.resolve(own);
      stop.abort(new StoppedError('cancelled'));
      return Promise.resolve(undefined);
    },
  };
  const outcomes = await workThroughTenants({
    tenants: tenants(4),
    concurrency: 1,
    signal: stop.signal,
    budget: { maxFailures: 0, fleet },
    work: () => Promise.resolve(FAILED),
    onHalt: (halt) => halts.push(halt),
  });
  expect(outcomes.map(wordsOf)).toStrictEqual(['failed', 'failed', 'cancelled', 'cancelled']);
  expect(halts).toStrictEqual([]);
});
