import { randomUUID } from 'node:crypto';

import { createApiClient } from '@neondatabase/api-client';
import { z } from 'zod';

import { ExplainedError } from '../errors/index.js';
import { systemClock, type Clock } from './clock.js';
import { failureOf, NeonApiError, REQUEST_ID_HEADER } from './errors.js';
import { burstFor, DEFAULT_RATE_PER_MINUTE, RateLimiter } from './rate-limiter.js';
import { callWithRetry, DEFAULT_RETRY_POLICY, type CallKind, type RetryNotice, type RetryPolicy } from './retry.js';
import { throttleNotices } from './throttle-notices.js';

export interface NeonOptions {
  readonly apiKey: string;
  /** Default: Neon's own. */
  readonly apiUrl?: string | undefined;
  readonly orgId?: string | undefined;
  readonly userAgent: string;
  readonly signal?: AbortSignal;
  readonly requestTimeoutMs?: number;
  readonly retryPolicy?: RetryPolicy;
  /** The most requests in any window of a minute. */
  readonly ratePerMinute?: number;
  /** The most requests in any window of a second to each operation of the API. Default: 40, more with a higher rate. */
  readonly burstPerSecond?: number;
  readonly clock?: Clock;
  /** From 0 to 1; spreads retries. */
  readonly random?: () => number;
  /** Called before every repetition of a call. */
  readonly onRetry?: (notice: RetryNotice) => void;
  /** Called at most once a minute with how many requests Neon has refused since the last time, for coming too often. */
  readonly onThrottled?: (times: number) => void;
  /** Called with every secret the moment it arrives, so that it can be masked. */
  readonly onSecret?: (secret: string) => void;
}

export interface RequestParams {
  readonly headers: Record<string, string>;
  readonly signal?: AbortSignal;
}

export type Send = (params: RequestParams) => Promise<{ readonly data: unknown }>;

interface Answer {
  readonly data: unknown;
  readonly requestId: string;
}

const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** The official client, and the way its requests are sent. */
export interface Caller {
  readonly api: ReturnType<typeof createApiClient>;
  /**
   * Sends a request as often as it takes, and checks what is answered.
   *
   * @throws NeonApiError for a call that failed for good, and ExplainedError for an answer of another shape.
   */
  readonly call: <T>(operation: string, kind: CallKind, schema: z.ZodType<T>, send: Send) => Promise<T>;
}

/** Puts a rate limit, retries, timeouts and checked answers around the official client, which has none of them. */
export function openCaller(options: NeonOptions): Caller {
  const { signal, clock = systemClock, ratePerMinute = DEFAULT_RATE_PER_MINUTE } = options;
  const api = createApiClient({
    apiKey: options.apiKey,
    timeout: options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
    maxContentLength: MAX_ANSWER_BYTES,
    maxRedirects: 0,
    headers: { 'User-Agent': options.userAgent },
    ...(options.apiUrl === undefined ? {} : { baseURL: options.apiUrl }),
  });
  const burstPerSecond = options.burstPerSecond ?? burstFor(ratePerMinute);
  const limiter = new RateLimiter({ ratePerMinute, burstPerSecond, clock });
  const throttling = throttleNotices(clock, (times) => options.onThrottled?.(times));

  /** Sends one attempt, under a number of its own. */
  async function attempt(send: Send): Promise<Answer> {
    throttling.look();
    const requestId = randomUUID();
    const headers = { [REQUEST_ID_HEADER]: requestId };
    const { data } = await send({ headers, ...(signal === undefined ? {} : { signal }) });
    return { data, requestId };
  }

  async function call<T>(operation: string, kind: CallKind, schema: z.ZodType<T>, send: Send): Promise<T> {
    let answer: Answer;
    try {
      answer = await callWithRetry(() => attempt(send), {
        operation,
        kind,
        policy: options.retryPolicy ?? DEFAULT_RETRY_POLICY,
        signal,
        clock,
        random: options.random ?? Math.random,
        turn: () => limiter.take(operation, signal),
        onThrottled: (retryAfterMs) => {
          limiter.slowDown(retryAfterMs);
          throttling.count();
        },
        onRetry: options.onRetry ?? (() => undefined),
      });
    } catch (thrown) {
      signal?.throwIfAborted();
      const failure = failureOf(thrown);
      throw failure === undefined ? thrown : new NeonApiError(operation, failure);
    }
    const parsed = schema.safeParse(answer.data);
    if (!parsed.success) throw unexpectedAnswer(operation, parsed.error, answer.requestId);
    return parsed.data;
  }

  return { api, call };
}

function unexpectedAnswer(operation: string, error: z.ZodError, requestId: string): ExplainedError {
  const where = error.issues.slice(0, 3).map(({ path, message }) => `${path.join('.') || 'the answer'}: ${message}`);
  return new ExplainedError({
    message: `Neon API, ${operation}: the answer is not what the API documents (${where.join('; ')}) (request ${requestId})`,
    hint: 'Does neon-api-url point at the Neon API, and is there a proxy in between that answers in its place?',
  });
}
