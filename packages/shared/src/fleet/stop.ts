/** Why a run was told to end early. */
export type StopReason = 'cancelled' | 'deadline';

/** The reason that an {@link AbortSignal} of this project carries. */
export class StoppedError extends Error {
  constructor(readonly stopReason: StopReason) {
    super(stopReason === 'cancelled' ? 'the run was cancelled' : 'the time limit was reached');
    this.name = 'StoppedError';
  }
}

/** Why a signal was aborted; an abort that did not come from us counts as a cancellation. */
export function stopReasonOf(signal: AbortSignal): StopReason {
  return signal.reason instanceof StoppedError ? signal.reason.stopReason : 'cancelled';
}
