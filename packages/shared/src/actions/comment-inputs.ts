import { booleanInput, integerInput, patternInput, textInput, type InputProblem } from './inputs.js';
import type { CommentSettings } from './pull-request-comment.js';
import type { ActionContext } from './run-action.js';

/** A comment on the pull request that a run belongs to. */
export const commentInputs = {
  'pr-comment': booleanInput({
    description:
      'For `run` and `report`: also write the result as a comment on the pull request, always the same one. It names the tenants that need attention. Needs `github-token` and `permissions: pull-requests: write`.',
    default: 'false',
  }),
  'pr-number': integerInput({
    description: 'Pull request of `pr-comment`. Default: that of the event; where there is none, there is no comment.',
    min: 1,
    max: 2_147_483_647,
  }),
  'pr-comment-key': patternInput({
    description:
      'For `pr-comment`: the name of the fleet, where one workflow reports on several. Each has a comment of its own.',
    pattern: /^[^\n]{1,100}$/,
    accepted: 'a name of at most 100 characters',
  }),
  'github-token': textInput({
    description: "Token that writes the comment of `pr-comment`: the job's own, `github.token`.",
    secret: true,
    accepted: 'a token of GitHub, such as github.token',
  }),
} as const;

interface CommentValues {
  readonly prComment: boolean;
  readonly prNumber: number | undefined;
  readonly prCommentKey: string | undefined;
  readonly githubToken: string | undefined;
}

/** What is wrong with these inputs taken together. */
export function commentProblems({ prComment, githubToken }: Partial<CommentValues>): InputProblem[] {
  if (prComment !== true || githubToken !== undefined) return [];
  const given = 'nothing together with pr-comment';
  return [{ input: 'github-token', given, accepted: commentInputs['github-token'].accepted }];
}

/** What these inputs come to; undefined when no comment is wanted. Masks the token. */
export function commentSettings(
  { prComment, prNumber, prCommentKey, githubToken }: CommentValues,
  { mask, stop }: Pick<ActionContext, 'mask' | 'stop'>,
): CommentSettings | undefined {
  if (githubToken !== undefined) mask(githubToken);
  if (!prComment || githubToken === undefined) return undefined;
  return { token: githubToken, number: prNumber, key: prCommentKey, signal: stop.signal };
}
