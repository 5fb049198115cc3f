import { setMaxListeners } from 'node:events';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { burstFor, RateLimiter } from '../../../src/neon/index.js';
import { TokenBucket, type Allowance } from '../../../src/neon/token-bucket.js';
import { VirtualClock } from '../../support/clocks.js';

/** The most of these moments that lie in any one window, wherever it begins; its end belongs to the next one. */
function mostInAnyWindow(times: readonly number[], windowMs: number): number {
  let most = 0;
  let from = 0;
  for (const [index, time] of times.entries()) {
    // A hair's breadth less than the window, for what is lost in adding fractions.
    while (time - (times[from] ?? time) >= windowMs - 1e-6) from += 1;
    most = Math.max(most, index - from + 1);
  }
  return most;
}

interface Sent {
  readonly route: string;
  readonly at: number;
}

function limited(ratePerMinute: number, burstPerSecond = burstFor(ratePerMinute)) {
  const clock = new VirtualClock();
  const limiter = new RateLimiter({ ratePerMinute, burstPerSecond, clock });
  const sent: Sent[] = [];
  const ask = async (route = 'list', signal?: AbortSignal) => {
    await limiter.take(route, signal);
    sent.push({ route, at: clock.now() });
  };
  const times = (route?: string) =>
    sent.filter((one) => route === undefined || one.route === route).map(({ at }) => at);
  return { clock, limiter, sent, ask, times };
}

describe('a token bucket', () => {
  const allowance: fc.Arbitrary<Allowance> = fc
    .record({
      most: fc.integer({ min: 1, max: 200 }),
      windowMs: fc.integer({ min: 1, max: 100_000 }),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    .map(({ most, windowMs, part }) => ({ most, windowMs, atOnce: most * part }));

  test('keeps its allowance in every window, whenever and however eagerly it is asked', () => {
    fc.assert(
      fc.property(
        allowance,
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 400 }),
        (given, pauses) => {
          let now = 0;
          const bucket = new TokenBucket(given, now);
          const taken: number[] = [];
          for (const pause of pauses) {
            // Half of them come as early as they may, the others after a pause of any length.
            now += pause < 0.5 ? bucket.waitMs(now) : (pause - 0.5) * 4 * given.windowMs;
            while (bucket.waitMs(now) === 0) {
              bucket.take(now);
              taken.push(now);
            }
          }
          expect(mostInAnyWindow(taken, given.windowMs)).toBeLessThanOrEqual(given.most);
        },
      ),
    );
  });

  test('gives nearly all of its allowance to whoever always asks', () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 5_000 }), (most) => {
        const bucket = new TokenBucket({ most, windowMs: 60_000, atOnce: most / 8 }, 0);
        let now = 0;
        let count = 0;
        while (now < 600_000) {
          now += bucket.waitMs(now) + 1e-3;
          if (bucket.waitMs(now) > 0) continue;
          bucket.take(now);
          count += 1;
        }
        expect(count).toBeGreaterThanOrEqual(Math.floor(most * 10 * 0.86));
      }),
      { numRuns: 20 },
    );
  });

  test('of less than one in a window gives one every several windows', () => {
    const bucket = new TokenBucket({ most: 0.25, windowMs: 1_000, atOnce: 1 }, 0);
    bucket.take(0);
    expect(bucket.waitMs(0)).toBe(4_000);
    expect(bucket.waitMs(3_999)).toBeCloseTo(1);
    expect(bucket.waitMs(4_000)).toBe(0);
  });
});

describe('the limiter', () => {
  test('lets no more out in any minute, and to no route more in any second, than it may', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3_000 }),
        fc.integer({ min: 1, max: 60 }),
        fc.array(
          fc.record({
            waitMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 90_000 })),
            requests: fc.integer({ min: 1, max: 60 }),
            route: fc.constantFrom('list', 'uri', 'operation'),
            slowDown: fc.option(fc.integer({ min: 0, max: 5_000 }), { freq: 4 }),
          }),
          { minLength: 1, maxLength: 12 },
        ),
        async (rate, burst, steps) => {
          const { clock, limiter, ask, times } = limited(rate, burst);
          const asked: Promise<void>[] = [];
          for (const { waitMs, requests, route, slowDown } of steps) {
            await clock.advance(waitMs);
            if (slowDown !== null) limiter.slowDown(slowDown);
            for (let index = 0; index < requests; index += 1) asked.push(ask(route));
          }
          await clock.runOut();
          // Nobody is forgotten.
          await Promise.all(asked);
          expect(mostInAnyWindow(times(), 60_000)).toBeLessThanOrEqual(rate);
          for (const route of ['list', 'uri', 'operation']) {
            expect(mostInAnyWindow(times(route), 1_000)).toBeLessThanOrEqual(burst);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('with the default lets a small fleet through at once and a large one at nearly the whole rate', async () => {
    const { clock, ask, times } = limited(420);
    const asked = Array.from({ length: 2_000 }, () => ask());
    await clock.runOut();
    await Promise.all(asked);
    expect(times()[39]).toBeLessThanOrEqual(2_000);
    expect(times()[1_999]).toBeLessThanOrEqual((2_000 / 420) * 60_000 * 1.15);
    expect(mostInAnyWindow(times(), 60_000)).toBeLessThanOrEqual(420);
    expect(mostInAnyWindow(times(), 1_000)).toBeLessThanOrEqual(40);
  });

  test('lets everybody out in the order in which they came', async () => {
    const { clock, sent, ask } = limited(60);
    const asked = Array.from({ length: 30 }, (_, index) => ask(`r${index}`));
    await clock.runOut();
    await Promise.all(asked);
    expect(sent.map(({ route }) => route)).toStrictEqual(Array.from({ length: 30 }, (_, index) => `r${index}`));
  });

  test('lets others pass one whose route is at its limit, and then does not forget it', async () => {
    const { clock, sent, ask } = limited(6_000, 8);
    const asked = [...Array.from({ length: 20 }, () => ask('uri')), ask('operation')];
    await clock.runOut();
    await Promise.all(asked);
    expect(sent.findIndex(({ route }) => route === 'operation')).toBeLessThan(3);
    expect(sent.filter(({ route }) => route === 'uri')).toHaveLength(20);
  });

  test('does not starve a request while others of another route keep coming', async () => {
    const { clock, sent, ask } = limited(600, 2);
    const asked = [ask('uri'), ask('uri'), ask('uri'), ask('uri')];
    for (let index = 0; index < 100; index += 1) {
      asked.push(ask(`r${index}`));
      await clock.advance(20);
    }
    await clock.runOut();
    await Promise.all(asked);
    // Two a second: the fourth has gone when that time is over, although there was always somebody else.
    expect(sent.filter(({ route }) => route === 'uri').at(-1)?.at).toBeLessThanOrEqual(2_500);
  });

  describe('when a wait is given up', () => {
    test('throws the reason, counts nothing, and lets the others go on', async () => {
      const { clock, sent, ask } = limited(60);
      const stop = new AbortController();
      setMaxListeners(0, stop.signal);
      const reason = new Error('cancelled');
      const first = Array.from({ length: 7 }, (_, index) => ask(`r${index}`));
      const given = ask('list', stop.signal);
      const after = ask('last');
      await clock.advance(0);
      stop.abort(reason);
      await expect(given).rejects.toBe(reason);
      await clock.runOut();
      await Promise.all([...first, after]);
      expect(sent.map(({ route }) => route)).toStrictEqual([
        ...Array.from({ length: 7 }, (_, index) => `r${index}`),
        'last',
      ]);
      // The eighth, not the ninth: seven at once, then one a second or so.
      expect(sent.at(-1)?.at).toBeLessThanOrEqual(1_200);
      expect(clock.isAwaited).toBe(false);
    });

    test('before it began, is not begun', async () => {
      const { clock, ask } = limited(60);
      await expect(ask('list', AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
      expect(clock.isAwaited).toBe(false);
    });

    test('by all of them, leaves no timer', async () => {
      const { clock, ask } = limited(60);
      const stop = new AbortController();
      setMaxListeners(0, stop.signal);
      const asked = Array.from({ length: 20 }, (_, index) => ask(`r${index}`, stop.signal).catch(() => 'stopped'));
      await clock.advance(0);
      stop.abort(new Error('stop'));
      expect((await Promise.all(asked)).filter((end) => end === 'stopped')).toHaveLength(13);
      expect(clock.isAwaited).toBe(false);
    });
  });

  describe('after a refusal', () => {
    test('lets nobody out before the server wants to be asked again', async () => {
      const { clock, limiter, ask, times } = limited(6_000);
      await ask();
      limiter.slowDown(7_000);
      const asked = [ask('list'), ask('uri'), ask('operation')];
      await clock.runOut();
      await Promise.all(asked);
      expect(
        times()
          .slice(1)
          .every((at) => at >= 7_000),
      ).toBe(true);
    });

    test('is slower for everybody, the more so the longer it lasts, but never stands still; and recovers', async () => {
      const { clock, limiter, ask, times } = limited(600);
      const countIn = async (ms: number) => {
        const before = times().length;
        await clock.advance(ms);
        return times().length - before;
      };
      const asked = Array.from({ length: 3_000 }, (_, index) => ask(`r${index % 100}`));
      await clock.advance(60_000);
      const full = await countIn(5_000);
      limiter.slowDown();
      const half = await countIn(5_000);
      for (let refusals = 0; refusals < 20; refusals += 1) {
        limiter.slowDown();
        await clock.advance(1_000);
      }
      const slowest = await countIn(5_000);
      await clock.advance(40_000);
      const recovered = await countIn(5_000);
      expect(half / full).toBeCloseTo(0.5, 1);
      expect(slowest).toBeGreaterThan(0);
      expect(slowest / full).toBeLessThan(0.2);
      expect(recovered / full).toBeCloseTo(1, 1);
      await clock.runOut();
      await Promise.all(asked);
    });

    test('counts many refusals of one moment once: they are one event', async () => {
      const { clock, limiter, ask, times } = limited(600);
      const asked = Array.from({ length: 200 }, (_, index) => ask(`r${index}`));
      await clock.advance(5_000);
      for (let refusals = 0; refusals < 30; refusals += 1) limiter.slowDown();
      const before = times().length;
      await clock.advance(5_000);
      expect(times().length - before).toBeGreaterThanOrEqual(20);
      await clock.runOut();
      await Promise.all(asked);
    });
  });
});
