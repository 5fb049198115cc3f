import { sleep, type Clock } from './clock.js';
import { type ApiFailure, failureOf } from './errors.js';

/** Whether a call changes something: what decides if it may be repeated after its answer was lost. */
export type CallKind = 'read' | 'write';

/** What a person following the log is told before a call is repeated. */
export interface RetryNotice {
  readonly operation: string;
  readonly attempt: number;
  readonly why: string;
  /** How long the call waits before it is repeated, not counting its turn among the others. */
  readonly waitMs: number;
  /** Under which number Neon knows the attempt that failed. */
  readonly requestId?: string;
}

export interface RetryPolicy {
  readonly retries: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = { retries: 8, minDelayMs: 250, maxDelayMs: 20_000 };

/** A longer `Retry-After` than this is treated as an outage: the tenant fails by name instead of the job hanging. */
const MAX_RETRY_AFTER_MS = 120_000;

const SAFE_FOR_ALL = new Set([423, 429, 503]);
const SAFE_FOR_READS = new Set([...SAFE_FOR_ALL, 408, 500, 502, 504]);

/**
 * Whether a failed call may be repeated. The API document calls 423 and 503 always safe and asks for a backoff after
 * 429; anything that leaves open whether the request was carried out is repeated for reads only. A quota that is used up
 * comes as any of these, and does not pass.
 */
export function mayRetry(kind: CallKind, failure: ApiFailure): boolean {
  if ((failure.retryAfterMs ?? 0) > MAX_RETRY_AFTER_MS || failure.quotaExceeded === true) return false;
  if (failure.status === undefined) return kind === 'read';
  return (kind === 'read' ? SAFE_FOR_READS : SAFE_FOR_ALL).has(failure.status);
}

/**
 * How long to wait before an attempt is repeated: any time up to a bound that doubles ("full jitter"), so that many that
 * failed together do not come back together; with `Retry-After`, a little longer than that.
 *
 * @param random from 0 to 1.
 */
export function delayBeforeRetry(attempt: number, failure: ApiFailure, policy: RetryPolicy, random: number): number {
  if (failure.retryAfterMs !== undefined) return failure.retryAfterMs + random * policy.minDelayMs;
  return random * Math.min(policy.maxDelayMs, policy.minDelayMs * 2 ** (attempt - 1));
}

export interface CallOptions {
  readonly operation: string;
  readonly kind: CallKind;
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** Resolves when the next attempt may go out. Every attempt asks, so that retries keep to the limit as well. */
  readonly turn: () => Promise<void>;
  /** The server refused an attempt because requests come too often. */
  readonly onThrottled: (retryAfterMs: number | undefined) => void;
  readonly onRetry: (notice: RetryNotice) => void;
}

/**
 * Calls the API, repeating what may be repeated.
 *
 * @throws what the last attempt threw, or the reason of the signal.
 */
export async function callWithRetry<T>(send: () => Promise<T>, options: CallOptions): Promise<T> {
  const { operation, kind, policy, signal, clock } = options;
  for (let attempt = 1; ; attempt += 1) {
    await options.turn();
    try {
      return await send();
    } catch (thrown) {
      signal?.throwIfAborted();
      const failure = failureOf(thrown);
      if (failure === undefined) throw thrown;
      const again = attempt <= policy.retries && mayRetry(kind, failure);
      // Also when this call gives up: the others go on.
      if (failure.status === 429) options.onThrottled(boundedRetryAfter(failure));
      if (!again) throw thrown;
      const waitMs = delayBeforeRetry(attempt, failure, policy, options.random());
      options.onRetry({
        operation,
        attempt,
        why: failure.status === undefined ? 'no answer' : `HTTP ${failure.status}`,
        waitMs,
        ...(failure.requestId === undefined ? {} : { requestId: failure.requestId }),
      });
      await sleep(clock, waitMs, signal);
    }
  }
}

/** One answer may not make everybody wait longer than it could make itself wait. */
function boundedRetryAfter({ retryAfterMs }: ApiFailure): number | undefined {
  return retryAfterMs === undefined ? undefined : Math.min(retryAfterMs, MAX_RETRY_AFTER_MS);
}
