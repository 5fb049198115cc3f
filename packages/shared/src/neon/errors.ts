import { isAxiosError } from 'axios';
import { z } from 'zod';

import { ExplainedError, systemCode } from '../errors/index.js';

/** A call to the Neon API that failed for good, without the key, the headers and the body that axios' errors carry. */
export class NeonApiError extends ExplainedError {
  /** Absent when no answer arrived. */
  readonly status?: number;
  /** Whether the answer had the form of Neon's own errors, and not that of something in between. */
  readonly isNeonsAnswer: boolean;

  constructor(
    readonly operation: string,
    failure: ApiFailure,
    options?: ErrorOptions,
  ) {
    super(
      {
        message: `Neon API, ${operation}: ${wordsFor(failure)}`,
        ...(failure.status === undefined
          ? failure.systemCode === undefined
            ? {}
            : { code: failure.systemCode }
          : { code: `HTTP ${failure.status}` }),
        ...hintFor(failure),
      },
      options,
    );
    this.name = 'NeonApiError';
    if (failure.status !== undefined) this.status = failure.status;
    this.isNeonsAnswer = failure.status !== undefined && failure.message !== undefined;
  }
}

/** What can be said about a failed call without repeating anything secret. */
export interface ApiFailure {
  readonly status?: number;
  readonly message?: string;
  readonly requestId?: string;
  readonly retryAfterMs?: number;
  /** `ECONNRESET` and the like, when no answer arrived. */
  readonly systemCode?: string;
  /** Whether the request may have been carried out although its answer is missing. */
  readonly answerLost: boolean;
}

const errorBodySchema = z.object({ message: z.string(), request_id: z.string().optional() });

/** Reduces what the official client throws to what may be known about it; undefined for anything else. */
export function failureOf(thrown: unknown): ApiFailure | undefined {
  if (!isAxiosError(thrown)) return undefined;
  const { response } = thrown;
  if (response === undefined) {
    const code = systemCode(thrown);
    return { answerLost: true, ...(code === undefined ? {} : { systemCode: code }), message: thrown.message };
  }
  const body = errorBodySchema.safeParse(response.data);
  const retryAfterMs = parseRetryAfter(headerOf(response.headers, 'retry-after'));
  const requestId = body.data?.request_id ?? headerOf(response.headers, 'x-request-id');
  return {
    status: response.status,
    answerLost: false,
    ...(body.success ? { message: body.data.message } : {}),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** Reads a `Retry-After` header: seconds or an HTTP date (RFC 9110, 10.2.3). */
export function parseRetryAfter(header: string | undefined, now: Date = new Date()): number | undefined {
  if (header === undefined || header.trim() === '') return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1_000);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now.getTime());
}

function headerOf(headers: unknown, name: string): string | undefined {
  const value: unknown = typeof headers === 'object' && headers !== null ? Reflect.get(headers, name) : undefined;
  return typeof value === 'string' ? value : undefined;
}

function wordsFor({ status, message, requestId, systemCode: code }: ApiFailure): string {
  if (status === undefined) return `no answer (${message ?? code ?? 'the connection failed'})`;
  const id = requestId === undefined ? '' : ` (request ${requestId})`;
  return `HTTP ${status}${message === undefined ? '' : `: ${message}`}${id}`;
}

function hintFor({ status, message }: ApiFailure): { hint?: string } {
  switch (status) {
    case undefined:
      return { hint: 'Is the API reachable from this runner? Check neon-api-url and the network, then run again.' };
    case 401:
      return { hint: 'The API key was refused. Check the secret behind neon-api-key: it may be revoked or mistyped.' };
    case 403:
      return { hint: 'The API key may not do this. An organisation key may; a project-scoped key cannot.' };
    case 400:
      return message?.includes('org_id') === true
        ? { hint: 'A personal API key needs the input neon-org-id; an organisation key does not.' }
        : {};
    case 423:
      return { hint: 'Another operation holds the project. Run again when it has ended.' };
    case 429:
      return {
        hint: "The account's API rate limit is used up. Lower the concurrency or run when less else is running.",
      };
    default:
      return status >= 500 ? { hint: 'Neon had a problem: see https://neonstatus.com, then run again.' } : {};
  }
}
