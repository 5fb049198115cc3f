import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { listenForStop, type Stop } from '../../../src/actions/index.js';
import { stopReasonOf } from '../../../src/fleet/index.js';

let source: EventEmitter;
let stop: Stop;

beforeEach(() => {
  source = new EventEmitter();
  stop = listenForStop(source);
});
afterEach(() => stop.dispose());

test('nothing stops a run by itself', () => {
  expect(stop.signal.aborted).toBe(false);
});

describe('a signal', () => {
  test.each(['SIGINT', 'SIGTERM'])('%s cancels', (signal) => {
    source.emit(signal);
    expect(stop.signal.aborted).toBe(true);
    expect(stopReasonOf(stop.signal)).toBe('cancelled');
  });

  test('after the first changes nothing', () => {
    let stops = 0;
    stop.signal.addEventListener('abort', () => stops++);
    source.emit('SIGINT');
    const { reason } = stop.signal as { reason: unknown };
    source.emit('SIGTERM');
    source.emit('SIGINT');
    expect(stops).toBe(1);
    expect(stop.signal.reason).toBe(reason);
  });

  test('after the run is over is not heard', () => {
    stop.dispose();
    source.emit('SIGTERM');
    expect(stop.signal.aborted).toBe(false);
    expect(source.eventNames()).toStrictEqual([]);
  });
});

describe('the time limit', () => {
  test('stops when it is reached', async () => {
    stop.limit(20);
    await delay(5);
    expect(stop.signal.aborted).toBe(false);
    await delay(60);
    expect(stopReasonOf(stop.signal)).toBe('deadline');
  });

  test('counts from the start of the action, not from when it became known', async () => {
    const late = listenForStop(source, performance.now() - 60_000);
    late.limit(60_001);
    await delay(40);
    expect(late.signal.aborted).toBe(true);
    late.dispose();
  });

  test('that has passed already stops at once', async () => {
    const late = listenForStop(source, performance.now() - 60_000);
    late.limit(1_000);
    await delay(20);
    expect(stopReasonOf(late.signal)).toBe('deadline');
    late.dispose();
  });

  test.each([2 ** 31, Number.MAX_SAFE_INTEGER])(
    'of %d ms, more than a timer can hold, does not stop at once',
    async (ms) => {
      stop.limit(ms);
      await delay(20);
      expect(stop.signal.aborted).toBe(false);
    },
  );

  test('after a cancellation does not change the reason', async () => {
    stop.limit(10);
    source.emit('SIGINT');
    await delay(40);
    expect(stopReasonOf(stop.signal)).toBe('cancelled');
  });

  test('is forgotten when the run is over', async () => {
    stop.limit(10);
    stop.dispose();
    await delay(40);
    expect(stop.signal.aborted).toBe(false);
  });
});
