import { setTimeout as delay } from 'node:timers/promises';

import { getOctokit } from '@actions/github';
import pRetry from 'p-retry';
import { z } from 'zod';

import { ExplainedError } from '../errors/index.js';

/** Where GitHub is, when the runner does not say. */
export const GITHUB_API = 'https://api.github.com';

export interface GitHubOptions {
  readonly token: string;
  readonly apiUrl: string;
  readonly signal: AbortSignal;
  /** What to do when GitHub refuses, for a person. */
  readonly hint: string;
}

export interface GitHubCall {
  /** What is done, in words. */
  readonly operation: string;
  /** Method and path, or a whole address: `GET /repos/…`. */
  readonly route: string;
  readonly body?: object;
  /** Whether it may be sent again where nobody knows whether it was carried out. Default: yes. */
  readonly repeatable?: boolean;
}

/** Makes one call, and repeats it while that may help. @throws GitHubError, or the reason of the signal. */
export type GitHub = (call: GitHubCall) => Promise<unknown>;

/** A call to GitHub that failed, without the token and the body that octokit's errors carry. */
export class GitHubError extends ExplainedError {
  constructor(
    operation: string,
    /** Undefined: there was no answer. */
    readonly status: number | undefined,
    hint: string,
    /** What GitHub said, in one line of bounded length. */
    readonly said?: string,
  ) {
    const code = status === undefined ? undefined : `HTTP ${status}`;
    super({
      message: `GitHub API, ${operation}: ${code ?? 'no answer'}`,
      ...(code === undefined ? {} : { code }),
      hint,
    });
    this.name = 'GitHubError';
  }
}

const RETRIES = { retries: 4, minTimeout: 300, randomize: true } as const;
const LONGEST_WAIT_S = 60;

export function openGitHub({ token, apiUrl, signal, hint }: GitHubOptions): GitHub {
  const octokit = getOctokit(token, { baseUrl: apiUrl });
  return ({ operation, route, body = {}, repeatable = true }) =>
    pRetry(
      async () => {
        try {
          const { data } = (await octokit.request(route, { ...body, request: { signal } })) as {
            readonly data: unknown;
          };
          return data;
        } catch (thrown) {
          signal.throwIfAborted();
          const { status, retryAfterS, said } = failureOf(thrown);
          const refused = status === 429 || retryAfterS !== undefined;
          const mayPass = refused || (repeatable && (status === undefined || status >= 500));
          if (retryAfterS !== undefined) {
            await delay(Math.min(retryAfterS, LONGEST_WAIT_S) * 1_000, undefined, { signal });
          }
          throw new RetriedError(new GitHubError(operation, status, hint, said), mayPass);
        }
      },
      { ...RETRIES, signal, shouldRetry: ({ error }) => error instanceof RetriedError && error.mayPass },
    ).catch((thrown: unknown) => {
      throw thrown instanceof RetriedError ? thrown.failure : thrown;
    });
}

/** Reads an answer. @throws ExplainedError when it is not what is documented. */
export function readAnswer<T>(operation: string, schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new ExplainedError({
    message: `GitHub API, ${operation}: the answer is not what the API documents`,
    hint: 'Is there a proxy in between that answers in its place?',
  });
}

/** What failed, and whether the same may go well in a moment. */
class RetriedError extends Error {
  constructor(
    readonly failure: GitHubError,
    readonly mayPass: boolean,
  ) {
    super(failure.message);
  }
}

const failureSchema = z.object({
  status: z.number(),
  response: z.object({ headers: z.record(z.string(), z.unknown()), data: z.unknown() }).optional(),
});
const saidSchema = z.object({ message: z.string() });
const LONGEST_SAID = 200;

/** What GitHub says of a refusal, on one line and no longer than that. */
export function shortened(said: string): string {
  return said.replace(/\s+/g, ' ').slice(0, LONGEST_SAID);
}

/**
 * Octokit gives a failure without any answer the status 500 as well: then there is no response. GitHub refuses for being
 * asked too fast with 429, or with 403 and a time to wait.
 */
function failureOf(thrown: unknown): {
  readonly status?: number;
  readonly retryAfterS?: number;
  readonly said?: string;
} {
  const failure = failureSchema.safeParse(thrown).data;
  if (failure?.response === undefined) return {};
  const retryAfterS = Number(failure.response.headers['retry-after'] ?? Number.NaN);
  const said = saidSchema.safeParse(failure.response.data).data?.message;
  return {
    status: failure.status,
    ...(Number.isFinite(retryAfterS) ? { retryAfterS } : {}),
    ...(said === undefined ? {} : { said: shortened(said) }),
  };
}
