import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

import * as core from '@actions/core';
import { z } from 'zod';

import { explain, ExplainedError } from '../errors/index.js';
import type { FleetReport } from '../fleet/index.js';
import { renderComment } from './comment-text.js';
import { GITHUB_API, GitHubError } from './github-api.js';
import { redact } from './masking.js';
import { printableLine } from './printable.js';
import { byAge, openPullRequest, type OwnComment, type PullRequestComments } from './pull-request-comments.js';

/** What somebody who wants a comment has said about it. */
export interface CommentSettings {
  readonly token: string;
  /** Default: that of the event. */
  readonly number: number | undefined;
  /** Tells the comments of several fleets apart. */
  readonly key: string | undefined;
  readonly signal: AbortSignal;
}

/** What the runner says about the workflow and its event. */
export interface CommentEnvironment {
  readonly GITHUB_API_URL?: string | undefined;
  readonly GITHUB_GRAPHQL_URL?: string | undefined;
  readonly GITHUB_REPOSITORY?: string | undefined;
  readonly GITHUB_WORKFLOW?: string | undefined;
  readonly GITHUB_WORKFLOW_REF?: string | undefined;
  readonly GITHUB_EVENT_NAME?: string | undefined;
  readonly GITHUB_EVENT_PATH?: string | undefined;
}

/** A comment is no reason to keep a job for long. */
const TIME_LIMIT_MS = 120_000;

/**
 * Writes a run's comment on its pull request, in the place of an earlier one of the same workflow. Where that is not possible
 * the run is none the worse for it: it is told as a warning.
 */
export async function commentOn(
  report: FleetReport,
  settings: CommentSettings,
  env: CommentEnvironment = process.env,
): Promise<void> {
  try {
    const { token, key } = settings;
    const number = settings.number ?? (await numberOfEvent(env));
    if (number === undefined) {
      core.info('no comment is written: this run belongs to no pull request, and pr-number is not set');
      return;
    }
    const { GITHUB_REPOSITORY: repository } = env;
    if (!repository) throw new ExplainedError({ message: 'GITHUB_REPOSITORY is not set' });
    const limit = AbortSignal.timeout(TIME_LIMIT_MS);
    const signal = AbortSignal.any([settings.signal, limit]);
    signal.throwIfAborted();
    const marker = markerOf(report.action, key, env);
    const comments = openPullRequest({
      token,
      repository,
      number,
      apiUrl: env.GITHUB_API_URL ?? GITHUB_API,
      graphqlUrl: env.GITHUB_GRAPHQL_URL,
      signal,
    });
    await putComment(comments, marker, redact(renderComment(report, { marker, key })), signal);
    core.info(`the comment on pull request ${number} is up to date`);
  } catch (thrown) {
    core.warning(printableLine(`no comment on the pull request: ${redact(storyOfFailure(thrown))}`));
  }
}

function storyOfFailure(thrown: unknown): string {
  const { message, hint } = explain(thrown);
  const said = thrown instanceof GitHubError && thrown.said !== undefined ? ` (${thrown.said})` : '';
  return `${message}${said}${hint === undefined ? '' : `. ${hint}`}`;
}

/** The same in every run of a workflow; nothing that a branch or a tenant is called is in it as it is. */
function markerOf(action: string, key: string | undefined, env: CommentEnvironment): string {
  const { GITHUB_WORKFLOW_REF: ref, GITHUB_WORKFLOW: name } = env;
  // The file of the workflow, without the branch that this run is for.
  const workflow = ref === undefined || ref === '' ? name : ref.replace(/@.*$/s, '');
  const digest = createHash('sha256').update(JSON.stringify([action, workflow ?? '', key ?? '']));
  return `<!-- neon-fleet ${action} ${digest.digest('hex').slice(0, 16)} -->`;
}

const MOST_ROUNDS = 5;
/** After an answer that was lost, until what was written can be seen. */
const SETTLE_MS = 1_000;

/**
 * Leaves exactly one comment with this marker, the oldest, with this text. Every round looks first: an answer that was lost,
 * somebody who removes the comment, and another run that writes its own at the same time all show there.
 */
export async function putComment(
  comments: PullRequestComments,
  marker: string,
  body: string,
  signal: AbortSignal,
): Promise<void> {
  const created: OwnComment[] = [];
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const seen = await comments.own(marker);
    // What was just written is not always seen at once.
    const unseen = created.filter(({ id }) => seen.every((other) => other.id !== id));
    const [oldest, ...others] = [...seen, ...unseen].toSorted(byAge);
    if (oldest === undefined) {
      const id = await comments.create(body);
      if (id === undefined) await delay(SETTLE_MS, undefined, { signal });
      else created.push({ id, body });
      continue;
    }
    if (oldest.body !== body && !(await comments.update(oldest.id, body))) {
      created.splice(0, created.length, ...created.filter(({ id }) => id !== oldest.id));
      continue;
    }
    for (const { id } of others) await comments.remove(id);
    return;
  }
  throw new ExplainedError({ message: 'the comment could not be written, however often it was tried' });
}

const eventSchema = z.object({ pull_request: z.object({ number: z.int().positive() }) });

/** The pull request that the workflow runs for. */
async function numberOfEvent(env: CommentEnvironment): Promise<number | undefined> {
  const { GITHUB_EVENT_NAME: name, GITHUB_EVENT_PATH: file } = env;
  if (name?.startsWith('pull_request') !== true || !file) return undefined;
  const event: unknown = JSON.parse(await readFile(file, 'utf8'));
  return eventSchema.safeParse(event).data?.pull_request.number;
}
