import { z } from 'zod';

import { ExplainedError } from '../errors/index.js';
import { GitHubError, openGitHub, readAnswer, shortened, type GitHub } from './github-api.js';

/** A comment that this token's owner has written. */
export interface OwnComment {
  readonly id: string;
  readonly body: string;
}

/** The comments of one pull request. Every method throws a GitHubError. */
export interface PullRequestComments {
  /** Our own that begin with a text, the oldest first. */
  own(beginning: string): Promise<readonly OwnComment[]>;
  /** @returns its id; undefined when the answer was lost, and nobody knows whether it was written. */
  create(body: string): Promise<string | undefined>;
  /** @returns whether it is still there. */
  update(id: string, body: string): Promise<boolean>;
  remove(id: string): Promise<void>;
}

export interface PullRequest {
  readonly token: string;
  /** `owner/name` */
  readonly repository: string;
  readonly number: number;
  readonly apiUrl: string;
  readonly graphqlUrl?: string | undefined;
  readonly signal: AbortSignal;
}

const HINT =
  'The job needs "permissions: pull-requests: write", and where a reusable workflow is called, the calling job too. A pull request from a fork has a token that can only read.';

export function openPullRequest(pullRequest: PullRequest): PullRequestComments {
  const { token, repository, number, apiUrl, signal } = pullRequest;
  const github = openGitHub({ token, apiUrl, signal, hint: HINT });
  const [owner = '', name = ''] = repository.split('/');
  const base = `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(name)}/issues`;
  const graphqlUrl = pullRequest.graphqlUrl ?? `${apiUrl.replace(/\/api\/v3$/, '/api')}/graphql`;

  return {
    async own(beginning) {
      const found: OwnComment[] = [];
      let after: string | null = null;
      do {
        const variables: object = { owner, name, number, after };
        const { nodes, pageInfo } = await pageOfComments(github, graphqlUrl, variables);
        for (const { fullDatabaseId, body, viewerDidAuthor } of nodes) {
          if (viewerDidAuthor && body.startsWith(beginning)) found.push({ id: fullDatabaseId, body });
        }
        after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
      } while (after !== null);
      return found.toSorted(byAge);
    },

    async create(body) {
      const operation = 'write comment';
      const route = `POST ${base}/${number}/comments`;
      try {
        const answer = await github({ operation, route, body: { body }, repeatable: false });
        return String(readAnswer(operation, z.object({ id: z.int().positive() }), answer).id);
      } catch (thrown) {
        const isLost = thrown instanceof GitHubError && (thrown.status === undefined || thrown.status >= 500);
        if (isLost) return undefined;
        throw thrown;
      }
    },

    async update(id, body) {
      return unlessGone(() =>
        github({ operation: 'update comment', route: `PATCH ${base}/comments/${id}`, body: { body } }),
      );
    },

    async remove(id) {
      await unlessGone(() => github({ operation: 'remove comment', route: `DELETE ${base}/comments/${id}` }));
    },
  };
}

/** Ids grow with time. */
export function byAge(a: OwnComment, b: OwnComment): number {
  return a.id.length - b.id.length || (a.id < b.id ? -1 : 1);
}

async function unlessGone(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (thrown) {
    if (thrown instanceof GitHubError && (thrown.status === 404 || thrown.status === 410)) return false;
    throw thrown;
  }
}

/** Only GraphQL tells whose token it is that asks, of whatever kind it is: `viewerDidAuthor`. */
const QUERY = `query ($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      comments(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { fullDatabaseId viewerDidAuthor body }
      }
    }
  }
}`;

// A number that may be too large for one of JSON, and so is a text.
const databaseIdSchema = z.union([z.string().regex(/^\d+$/), z.int().positive()]).transform(String);

const pageSchema = z.object({
  pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: z.string().nullable() }),
  nodes: z.array(z.object({ fullDatabaseId: databaseIdSchema, viewerDidAuthor: z.boolean(), body: z.string() })),
});
const foundSchema = z.object({
  data: z.object({ repository: z.object({ pullRequest: z.object({ comments: pageSchema }) }) }),
});
const refusedSchema = z.object({
  errors: z.array(z.object({ type: z.string().optional(), message: z.string() })).min(1),
});
const REFUSALS: Readonly<Record<string, number>> = { FORBIDDEN: 403, NOT_FOUND: 404, INSUFFICIENT_SCOPES: 403 };

async function pageOfComments(
  github: GitHub,
  graphqlUrl: string,
  variables: object,
): Promise<z.infer<typeof pageSchema>> {
  const operation = 'list comments';
  const answer = await github({ operation, route: `POST ${graphqlUrl}`, body: { query: QUERY, variables } });
  // It answers 200 also where it refuses.
  const [refusal] = refusedSchema.safeParse(answer).data?.errors ?? [];
  if (refusal !== undefined) {
    const status = REFUSALS[refusal.type ?? ''];
    const said = shortened(refusal.message);
    if (status !== undefined) throw new GitHubError(operation, status, HINT, said);
    throw new ExplainedError({ message: `GitHub API, ${operation}: ${said}` });
  }
  return readAnswer(operation, foundSchema, answer).data.repository.pullRequest.comments;
}
