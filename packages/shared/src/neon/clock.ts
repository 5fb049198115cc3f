/** Time as the client sees it: a port, so that minutes pass at once in a test. */
export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now(): number;
  /** Calls once so many milliseconds later, unless the function it gives is called before. */
  after(ms: number, call: () => void): () => void;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The machine's own time, which a change of its date and time does not touch. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, call) => {
    // A timer's fraction of a millisecond is cut off: rounded up, nothing wakes too early.
    const timer = setTimeout(call, Math.min(Math.ceil(ms), LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/**
 * Waits.
 *
 * @throws the reason of the signal as soon as it is aborted.
 */
export function sleep(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(reasonOf(signal));
      return;
    }
    let cancel: () => void = () => undefined;
    const onAbort = () => {
      cancel();
      reject(reasonOf(signal));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    cancel = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
  });
}

/** Why a signal was aborted, as something that can be thrown. */
export function reasonOf(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal?.reason });
}
