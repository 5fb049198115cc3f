import { setTimeout as delay } from 'node:timers/promises';

import { getOctokit } from '@actions/github';
import { ExplainedError } from '@neon-fleet/shared/errors';
import pRetry from 'p-retry';
import { z } from 'zod';

import { seal } from './seal.js';

/** The secrets of a repository, or of one of its environments. */
export interface SecretStore {
  /** Where they are, in words. */
  readonly place: string;
  list(): Promise<readonly string[]>;
  /** Writes a secret, in the place of an earlier one. */
  put(name: string, value: string): Promise<void>;
  /** What is not there counts as removed. */
  remove(name: string): Promise<void>;
}

export interface SecretStoreOptions {
  readonly token: string;
  /** `owner/name` */
  readonly repository: string;
  /** Absent: the repository's own secrets. */
  readonly environment?: string | undefined;
  readonly apiUrl: string;
  readonly signal: AbortSignal;
}

/** A call to GitHub that failed, without the token and the body that octokit's errors carry. */
export class GitHubError extends ExplainedError {
  constructor(
    operation: string,
    readonly status: number | undefined,
    hint: string,
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

const listSchema = z.object({ secrets: z.array(z.object({ name: z.string() })) });
const keySchema = z.object({ key_id: z.string(), key: z.string() });

const PAGE = 100;
const RETRIES = { retries: 4, minTimeout: 300, randomize: true } as const;
const LONGEST_WAIT_S = 60;

/** Opens the secrets of a repository or environment. Every method throws a {@link GitHubError}. */
export function openSecretStore({ token, repository, environment, apiUrl, signal }: SecretStoreOptions): SecretStore {
  const octokit = getOctokit(token, { baseUrl: apiUrl });
  const [owner = '', repo = ''] = repository.split('/').map(encodeURIComponent);
  const base =
    environment === undefined
      ? `/repos/${owner}/${repo}/actions/secrets`
      : `/repos/${owner}/${repo}/environments/${encodeURIComponent(environment)}/secrets`;
  const hint = `The token needs to write secrets${environment === undefined ? '' : ' of environments'} of ${repository}, which GITHUB_TOKEN cannot: use a fine-grained token or that of a GitHub App (Secrets, and with github-environment also Environments: read and write). Does the repository${environment === undefined ? '' : ` and its environment ${JSON.stringify(environment)}`} exist?`;

  const call = async (operation: string, method: string, path: string, body: object = {}): Promise<unknown> =>
    // Each of them may be sent twice: what is written is the same.
    pRetry(
      async () => {
        try {
          const { data } = (await octokit.request(`${method} ${base}${path}`, {
            ...body,
            request: { signal },
          })) as { readonly data: unknown };
          return data;
        } catch (thrown) {
          signal.throwIfAborted();
          const { status, retryAfterS } = failureOf(thrown);
          if (retryAfterS !== undefined) {
            await delay(Math.min(retryAfterS, LONGEST_WAIT_S) * 1_000, undefined, { signal });
          }
          throw new RetriedError(new GitHubError(operation, status, hint), isTransient(status, retryAfterS));
        }
      },
      { ...RETRIES, signal, shouldRetry: ({ error }) => error instanceof RetriedError && error.mayPass },
    ).catch((thrown: unknown) => {
      throw thrown instanceof RetriedError ? thrown.failure : thrown;
    });

  let key: Promise<z.infer<typeof keySchema>> | undefined;
  return {
    place: environment === undefined ? repository : `the environment ${JSON.stringify(environment)} of ${repository}`,

    async list() {
      const names: string[] = [];
      for (let page = 1; ; page += 1) {
        const answer = await call('list secrets', 'GET', `?per_page=${PAGE}&page=${page}`);
        const { secrets } = read('list secrets', listSchema, answer);
        names.push(...secrets.map(({ name }) => name));
        if (secrets.length < PAGE) return names;
      }
    },

    async put(name, value) {
      key ??= call('get public key', 'GET', '/public-key').then((answer) => read('get public key', keySchema, answer));
      const { key_id, key: publicKey } = await key;
      const encrypted_value = await seal(value, { key: publicKey });
      await call('write secret', 'PUT', `/${name}`, { encrypted_value, key_id });
    },

    async remove(name) {
      try {
        await call('remove secret', 'DELETE', `/${name}`);
      } catch (thrown) {
        if (!(thrown instanceof GitHubError && thrown.status === 404)) throw thrown;
      }
    },
  };
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
  response: z.object({ headers: z.record(z.string(), z.unknown()) }).optional(),
});

/** Octokit gives a failure without any answer the status 500 as well: then there is no response. */
function failureOf(thrown: unknown): { readonly status?: number; readonly retryAfterS?: number } {
  const failure = failureSchema.safeParse(thrown).data;
  if (failure?.response === undefined) return {};
  const retryAfterS = Number(failure.response.headers['retry-after'] ?? Number.NaN);
  return { status: failure.status, ...(Number.isFinite(retryAfterS) ? { retryAfterS } : {}) };
}

/** GitHub refuses for being asked too fast with 429, or with 403 and a time to wait. */
function isTransient(status: number | undefined, retryAfterS: number | undefined): boolean {
  return status === undefined || status >= 500 || status === 429 || retryAfterS !== undefined;
}

function read<T>(operation: string, schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new ExplainedError({
    message: `GitHub API, ${operation}: the answer is not what the API documents`,
    hint: 'Is there a proxy in between that answers in its place?',
  });
}
