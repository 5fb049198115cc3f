import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { parseRetryAfter, type ApiFailure } from '../../../src/neon/errors.js';
import { delayBeforeRetry, mayRetry } from '../../../src/neon/index.js';

describe('Retry-After', () => {
  const now = new Date('2026-11-02T03:04:05Z');
  test.each<[string | undefined, number | undefined]>([
    [undefined, undefined],
    ['', undefined],
    ['  ', undefined],
    ['0', 0],
    ['7', 7_000],
    [' 7 ', 7_000],
    ['1.5', 1_500],
    ['-7', 0],
    ['999999999999', 999_999_999_999_000],
    ['Mon, 02 Nov 2026 03:04:35 GMT', 30_000],
    ['Mon, 02 Nov 2026 03:00:00 GMT', 0],
    ['Fri, 31 Dec 9999 23:59:59 GMT', Date.parse('9999-12-31T23:59:59Z') - now.getTime()],
    ['soon', undefined],
    ['Infinity', undefined],
    ['NaN', undefined],
    ['seven', undefined],
  ])('%j is %j ms', (header, ms) => {
    expect(parseRetryAfter(header, now)).toBe(ms);
  });

  test('is never a time before now, whatever it says', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.double().map(String), fc.date().map(String)), (header) => {
        const ms = parseRetryAfter(header, now);
        expect(ms === undefined || ms >= 0).toBe(true);
      }),
    );
  });
});

describe('a failed call may be repeated', () => {
  const failure = (status: number | undefined, more: Partial<ApiFailure> = {}): ApiFailure => ({
    answerLost: status === undefined,
    ...(status === undefined ? {} : { status }),
    ...more,
  });

  test.each<[number | undefined, boolean, boolean]>([
    // status, read, write
    [undefined, true, false],
    [408, true, false],
    [423, true, true],
    [429, true, true],
    [500, true, false],
    [502, true, false],
    [503, true, true],
    [504, true, false],
    [400, false, false],
    [401, false, false],
    [403, false, false],
    [404, false, false],
    [409, false, false],
    [422, false, false],
    [501, false, false],
    [302, false, false],
  ])('status %s: reading %s, writing %s', (status, read, write) => {
    expect(mayRetry('read', failure(status))).toBe(read);
    expect(mayRetry('write', failure(status))).toBe(write);
  });

  test.each([
    [120_000, true],
    [120_001, false],
  ])('after a wait of %d ms: %s', (retryAfterMs, expected) => {
    expect(mayRetry('read', failure(429, { retryAfterMs }))).toBe(expected);
  });
});

describe('the wait before another attempt', () => {
  const policy = { retries: 8, minDelayMs: 250, maxDelayMs: 20_000 };
  const failure: ApiFailure = { status: 503, answerLost: false };

  test.each([
    [1, 250],
    [2, 500],
    [3, 1_000],
    [7, 16_000],
    [8, 20_000],
    [100, 20_000],
  ])('number %d is any time up to %d ms', (attempt, most) => {
    expect(delayBeforeRetry(attempt, failure, policy, 0)).toBe(0);
    expect(delayBeforeRetry(attempt, failure, policy, 0.5)).toBe(most / 2);
    expect(delayBeforeRetry(attempt, failure, policy, 1)).toBe(most);
  });

  test('is never shorter than Retry-After, and not the same for all', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 0, max: 120_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, retryAfterMs, random) => {
          const waitMs = delayBeforeRetry(attempt, { ...failure, retryAfterMs }, policy, random);
          expect(waitMs).toBeGreaterThanOrEqual(retryAfterMs);
          expect(waitMs).toBe(retryAfterMs + random * 250);
        },
      ),
    );
  });
});
