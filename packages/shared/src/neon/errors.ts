import { isAxiosError } from 'axios';
import { z } from 'zod';

import { ExplainedError, systemCode } from '../errors/index.js';
import type { Branch } from './port.js';

/** A call to the Neon API that failed for good, without the key, the headers and the body that axios' errors carry. */
export class NeonApiError extends ExplainedError {
  /** Absent when no answer arrived. */
  readonly status?: number;
  /** Whether the answer had the form of Neon's own errors, and not that of something in between. */
  readonly isNeonsAnswer: boolean;
  /** Whether a quota of the project or the account is used up. */
  readonly quotaExceeded: boolean;

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
    this.quotaExceeded = failure.quotaExceeded === true;
  }

  /** Whether a request that changes something may have been carried out: no answer, or a gateway's in its place. */
  get mayHaveBeenCarriedOut(): boolean {
    return this.status === undefined || OUTCOME_UNKNOWN.has(this.status);
  }
}

const OUTCOME_UNKNOWN = new Set([408, 500, 502, 504]);

/** There is a branch of that name already: names are unique within a project. */
export class BranchExistsError extends ExplainedError {
  constructor(
    projectId: string,
    readonly branch: Branch,
    hint: string,
    options?: ErrorOptions,
  ) {
    super(
      { message: `the project ${projectId} already has a branch ${JSON.stringify(branch.name)} (${branch.id})`, hint },
      options,
    );
    this.name = 'BranchExistsError';
  }
}

/** A project or branch that Neon has not finished making: nobody can connect to it yet. */
export class StillCreatingError extends ExplainedError {
  constructor(projectId: string, what: string, options?: ErrorOptions) {
    super(
      { message: `${what} of the project ${projectId} is still being created`, hint: 'Run again in a moment.' },
      options,
    );
    this.name = 'StillCreatingError';
  }
}

/** What can be said about a failed call without repeating anything secret. */
export interface ApiFailure {
  readonly status?: number;
  readonly message?: string;
  /** The number of the request: the one that Neon names, else the one that was sent with it. */
  readonly requestId?: string;
  readonly retryAfterMs?: number;
  readonly quotaExceeded?: boolean;
  /** `ECONNRESET` and the like, when no answer arrived. */
  readonly systemCode?: string;
  /** Whether the request may have been carried out although its answer is missing. */
  readonly answerLost: boolean;
}

const errorBodySchema = z.object({
  message: z.string(),
  code: z.string().optional().catch(undefined),
  request_id: z.string().optional().catch(undefined),
});

/** With this header the number of a request is chosen by the client. */
export const REQUEST_ID_HEADER = 'X-Request-ID';

const QUOTA_CODE = /QUOTA_EXCEEDED|TIME_EXCEEDED/;
const QUOTA_WORDS = /exceeded .*quota|quota .*exceeded/i;

/** Reduces what the official client throws to what may be known about it; undefined for anything else. */
export function failureOf(thrown: unknown): ApiFailure | undefined {
  if (!isAxiosError(thrown)) return undefined;
  const { response } = thrown;
  if (response === undefined) {
    const code = systemCode(thrown);
    const sentId = headerOf(thrown.config?.headers, REQUEST_ID_HEADER);
    return {
      answerLost: true,
      ...(code === undefined ? {} : { systemCode: code }),
      message: thrown.message,
      ...(sentId === undefined ? {} : { requestId: sentId }),
    };
  }
  const body = errorBodySchema.safeParse(response.data);
  const retryAfterMs = parseRetryAfter(headerOf(response.headers, 'retry-after'));
  const requestId =
    body.data?.request_id ??
    headerOf(response.headers, 'x-request-id') ??
    headerOf(thrown.config?.headers, REQUEST_ID_HEADER);
  const { status } = response;
  return {
    status,
    answerLost: false,
    ...(body.success ? { message: body.data.message } : {}),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(saysQuotaExceeded(status, body.data) ? { quotaExceeded: true } : {}),
  };
}

/** With 429 the words are about requests, which come again. */
function saysQuotaExceeded(status: number, body: { code?: string | undefined; message: string } | undefined): boolean {
  if (status === 429) return false;
  return status === 402 || QUOTA_CODE.test(body?.code ?? '') || QUOTA_WORDS.test(body?.message ?? '');
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
  const id = requestId === undefined ? '' : ` (request ${requestId})`;
  if (status === undefined) return `no answer (${message ?? code ?? 'the connection failed'})${id}`;
  return `HTTP ${status}${message === undefined ? '' : `: ${message}`}${id}`;
}

function hintFor({ status, message, quotaExceeded }: ApiFailure): { hint?: string } {
  if (quotaExceeded === true) return { hint: 'Raise the quota in Neon, or wait for the next billing period.' };
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
        hint: "The account's API rate limit is used up. Lower neon-api-rate, or run when less else is running.",
      };
    default:
      return status >= 500 ? { hint: 'Neon had a problem: see https://neonstatus.com, then run again.' } : {};
  }
}
