import pRetry from 'p-retry';

import { type ApiFailure, failureOf } from './errors.js';

/** Whether a call changes something: what decides if it may be repeated after its answer was lost. */
export type CallKind = 'read' | 'write';

/** What a person following the log is told before a call is repeated. */
export interface RetryNotice {
  readonly operation: string;
  readonly attempt: number;
  readonly why: string;
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
 * 429; anything that leaves open whether the request was carried out is repeated for reads only.
 */
export function mayRetry(kind: CallKind, failure: ApiFailure): boolean {
  if ((failure.retryAfterMs ?? 0) > MAX_RETRY_AFTER_MS) return false;
  if (failure.status === undefined) return kind === 'read';
  return (kind === 'read' ? SAFE_FOR_READS : SAFE_FOR_ALL).has(failure.status);
}

/**
 * Calls the API, repeating with jitter what may be repeated.
 *
 * @throws what the last attempt threw, or the reason of the signal.
 */
export async function callWithRetry<T>(
  call: () => Promise<T>,
  options: {
    readonly operation: string;
    readonly kind: CallKind;
    readonly policy: RetryPolicy;
    readonly signal: AbortSignal | undefined;
    readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
    readonly onRetry: (notice: RetryNotice) => void;
  },
): Promise<T> {
  const { operation, kind, policy, signal, sleep, onRetry } = options;
  return pRetry(call, {
    retries: policy.retries,
    minTimeout: policy.minDelayMs,
    maxTimeout: policy.maxDelayMs,
    randomize: true,
    ...(signal === undefined ? {} : { signal }),
    shouldRetry: ({ error }) => {
      const failure = failureOf(error);
      return failure !== undefined && mayRetry(kind, failure);
    },
    onFailedAttempt: async ({ error, attemptNumber, retriesLeft }) => {
      const failure = failureOf(error);
      if (failure === undefined || retriesLeft === 0 || !mayRetry(kind, failure)) return;
      onRetry({
        operation,
        attempt: attemptNumber,
        why: failure.status === undefined ? 'no answer' : `HTTP ${failure.status}`,
      });
      if (failure.retryAfterMs !== undefined) await sleep(failure.retryAfterMs, signal);
    },
  });
}
