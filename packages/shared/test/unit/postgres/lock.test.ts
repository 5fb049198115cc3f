import { describe, expect, test } from '@jest/globals';

import { LOCK_KEY, takeLock, type LockOptions, type Row } from '../../../src/postgres/index.js';

/** Asks a database that answers with these, the last one for ever. */
async function take(answers: readonly Row[], options: Partial<LockOptions> = {}) {
  const asked: string[] = [];
  const query = (sql: string) => {
    asked.push(sql);
    return Promise.resolve(
      answers
        .slice(asked.length - 1)
        .slice(0, 1)
        .concat(answers.slice(-1))
        .slice(0, 1),
    );
  };
  const held = await takeLock({ query }, { mode: 'exclusive', waitMs: 5_000, pollEveryMs: 1, ...options });
  return { held, asked };
}

describe('the lock of a tenant', () => {
  test.each([
    ['exclusive', `SELECT pg_try_advisory_lock(${LOCK_KEY[0]}, ${LOCK_KEY[1]}) AS held`],
    ['shared', `SELECT pg_try_advisory_lock_shared(${LOCK_KEY[0]}, ${LOCK_KEY[1]}) AS held`],
  ] as const)('is asked for without waiting in the server: %s', async (mode, sql) => {
    expect(await take([{ held: true }], { mode })).toStrictEqual({ held: true, asked: [sql] });
  });

  test('has a key of two 32-bit numbers, the same in every version', () => {
    expect(LOCK_KEY).toStrictEqual([1_852_141_422, 1_718_379_877]);
  });

  test('is asked for until it is free', async () => {
    const { held, asked } = await take([{ held: false }, { held: false }, { held: true }]);
    expect(held).toBe(true);
    expect(asked).toHaveLength(3);
  });

  test('is asked for once when there is no time to wait', async () => {
    const { held, asked } = await take([{ held: false }], { waitMs: 0 });
    expect(held).toBe(false);
    expect(asked).toHaveLength(1);
  });

  test('is given up when somebody keeps it, not before a last look', async () => {
    const started = performance.now();
    const { held, asked } = await take([{ held: false }], { waitMs: 40, pollEveryMs: 60_000 });
    expect(held).toBe(false);
    expect(asked.length).toBeGreaterThanOrEqual(2);
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test.each<[string, readonly Row[]]>([
    ['no row', []],
    ['a row without it', [{}]],
    ['a text', [{ held: 't' }]],
  ])('is not taken for held on an answer with %s', async (_, answers) => {
    expect((await take(answers, { waitMs: 0 })).held).toBe(false);
  });

  test('is not waited for after the stop', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 5);
    await expect(
      take([{ held: false }], { signal: stop.signal, pollEveryMs: 60_000, waitMs: 60_000 }),
    ).rejects.toThrow();
  });

  test('fails as the connection fails', async () => {
    const query = () => Promise.reject(new Error('gone'));
    await expect(takeLock({ query }, { mode: 'shared', waitMs: 1_000 })).rejects.toThrow('gone');
  });
});
