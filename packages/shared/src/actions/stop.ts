import { setMaxListeners } from 'node:events';

import { StoppedError } from '../fleet/index.js';

/** The two ways in which a run can be told to end early, as one signal. */
export interface Stop {
  readonly signal: AbortSignal;
  /** Ends the run in good order when this much time has passed since the start of the action. */
  limit(timeLimitMs: number): void;
  /** Stops listening. */
  dispose(): void;
}

/** The part of `process` that is listened to. */
export interface SignalSource {
  on(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Listens for the signals with which a runner cancels (SIGINT, SIGTERM 7.5 s later, and 2.5 s after that it kills).
 * The first one stops the run; the later ones change nothing, the run is ending already.
 */
export function listenForStop(source: SignalSource, startedAtMs: number = performance.now()): Stop {
  const controller = new AbortController();
  // Every tenant that is being worked on listens, and so does every request.
  setMaxListeners(0, controller.signal);
  let timer: NodeJS.Timeout | undefined;
  const cancel = () => controller.abort(new StoppedError('cancelled'));
  source.on('SIGINT', cancel);
  source.on('SIGTERM', cancel);
  return {
    signal: controller.signal,
    limit(timeLimitMs) {
      const leftMs = timeLimitMs - (performance.now() - startedAtMs);
      timer = setTimeout(
        () => controller.abort(new StoppedError('deadline')),
        Math.min(Math.max(0, leftMs), MAX_TIMER_MS),
      );
      // A run that is done does not wait for its limit.
      timer.unref();
    },
    dispose() {
      clearTimeout(timer);
      source.off('SIGINT', cancel);
      source.off('SIGTERM', cancel);
    },
  };
}
