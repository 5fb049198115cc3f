import { describe, expect, test } from '@jest/globals';

import { ExplainedError } from '../../../src/errors/index.js';
import { StoppedError } from '../../../src/fleet/index.js';
import { NeonApiError, phaseOf, waitForOperations, type Operation, type WaitOptions } from '../../../src/neon/index.js';

function operation(status: string, id = 'op-1', error?: string): Operation {
  return { id, action: 'start_compute', status, ...(error === undefined ? {} : { error }) };
}

/** Waits for operations whose statuses follow one another at each look; the last one stays. */
async function wait(statuses: Readonly<Record<string, readonly string[]>>, options: WaitOptions = {}) {
  const looks: string[] = [];
  const seen = new Map<string, number>();
  const neon = {
    getOperation: (projectId: string, id: string) => {
      const index = (seen.get(id) ?? 0) + 1;
      seen.set(id, index);
      looks.push(`${projectId}/${id}`);
      return Promise.resolve(operation(statuses[id]?.[index] ?? statuses[id]?.at(-1) ?? 'finished', id));
    },
  };
  const operations = Object.entries(statuses).map(([id, [first = 'running']]) => operation(first, id));
  await waitForOperations(neon, 'p-1', operations, { pollEveryMs: 1, ...options });
  return looks;
}

test.each([
  ['scheduling', 'pending'],
  ['running', 'pending'],
  // Neon may try again what has failed.
  ['failed', 'pending'],
  ['cancelling', 'pending'],
  ['a status of the future', 'pending'],
  ['finished', 'done'],
  ['skipped', 'done'],
  ['error', 'failed'],
  ['cancelled', 'failed'],
])('%s is %s', (status, phase) => {
  expect(phaseOf(status)).toBe(phase);
});

describe('waiting', () => {
  test.each<[string, Record<string, readonly string[]>, string[]]>([
    ['for nothing asks nothing', {}, []],
    ['for what has ended asks nothing', { a: ['finished'], b: ['skipped'] }, []],
    [
      'goes on until all have ended',
      { a: ['running', 'finished'], b: ['scheduling', 'running', 'finished'] },
      ['a', 'b', 'b'],
    ],
    [
      'goes on after a failure that Neon tries again',
      { a: ['failed', 'failed', 'running', 'finished'] },
      ['a', 'a', 'a'],
    ],
  ])('%s', async (_, statuses, looks) => {
    expect(await wait(statuses)).toStrictEqual(looks.map((id) => `p-1/${id}`));
  });

  test.each<[string, Record<string, readonly string[]>]>([
    ['at once', { a: ['running'], b: ['error'] }],
    ['later', { a: ['running', 'running', 'error'] }],
    ['by being cancelled', { a: ['running', 'cancelled'] }],
  ])('ends with the name of an operation that failed %s', async (_, statuses) => {
    await expect(wait(statuses)).rejects.toMatchObject({
      name: 'ExplainedError',
      message: expect.stringMatching(/operation start_compute on project p-1 ended as (error|cancelled)$/),
    });
  });

  test('tells why an operation failed, without a password in it', async () => {
    const neon = { getOperation: () => Promise.reject(new Error('not asked')) };
    const wrong = operation('error', 'op-1', 'cannot reach postgres://u:s3cret@h');
    await expect(waitForOperations(neon, 'p-1', [wrong])).rejects.toThrow(
      "Neon's operation start_compute on project p-1 ended as error: cannot reach postgres://u:***@h",
    );
  });

  test.each(['running', 'failed'])('for what stays %s ends with the time', async (status) => {
    const started = performance.now();
    await expect(wait({ a: [status] }, { timeoutMs: 30 })).rejects.toMatchObject({
      message: `Neon's operations on project p-1 did not end in time: start_compute (${status})`,
      hint: expect.stringContaining('nothing is created twice'),
    });
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test('ends with the reason of the stop', async () => {
    const stopped = new StoppedError('deadline');
    const stop = new AbortController();
    setTimeout(() => stop.abort(stopped), 10);
    const waiting = wait({ a: ['running'] }, { signal: stop.signal, pollEveryMs: 60_000 });
    await expect(waiting).rejects.toBe(stopped);
    await expect(wait({ a: ['running'] }, { signal: stop.signal })).rejects.toBe(stopped);
  });

  test('ends with what the API says', async () => {
    const error = new NeonApiError('getProjectOperation', { status: 500, answerLost: false });
    const neon = { getOperation: () => Promise.reject(error) };
    await expect(waitForOperations(neon, 'p-1', [operation('running')], { pollEveryMs: 1 })).rejects.toBe(error);
    expect(error).toBeInstanceOf(ExplainedError);
  });
});
