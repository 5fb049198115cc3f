import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { LocalPullRequest } from '../../../../test/support/pull-request.js';
import { rememberSecret } from '../../src/actions/masking.js';
import { commentOn, type CommentEnvironment, type CommentSettings } from '../../src/actions/pull-request-comment.js';
import type { FleetReport } from '../../src/fleet/index.js';
import { failed, outcome, report } from '../support/builders.js';
import { CapturedStdout } from '../support/captured-stdout.js';

let github: LocalPullRequest;
let folder: string;
let stdout: CapturedStdout;

beforeEach(async () => {
  github = await LocalPullRequest.start();
  folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-comment-'));
  stdout = new CapturedStdout();
});
afterEach(async () => {
  stdout.giveBack();
  await github[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const GOOD = report([outcome()]);
const BAD = report([failed('boom')]);

async function comment(
  about: FleetReport,
  settings: Partial<CommentSettings> = {},
  env: Partial<CommentEnvironment> = {},
): Promise<void> {
  await commentOn(
    about,
    { token: github.token, number: github.number, key: undefined, signal: new AbortController().signal, ...settings },
    {
      GITHUB_API_URL: github.apiUrl,
      GITHUB_REPOSITORY: github.repository,
      GITHUB_WORKFLOW_REF: 'org/app/.github/workflows/migrate.yml@refs/pull/7/merge',
      ...env,
    },
  );
}

const bodies = () => github.own.map(({ body }) => body.split('\n')[1]);
const changes = () => github.requests.filter((request) => request !== 'POST /graphql').map((one) => one.split(' ')[0]);

describe('a comment', () => {
  test('is written once, and updated in place', async () => {
    await comment(GOOD);
    await comment(BAD, {}, { GITHUB_WORKFLOW_REF: 'org/app/.github/workflows/migrate.yml@refs/heads/other' });
    await comment(BAD);
    expect(bodies()).toEqual(['<h3>❌ migrate failed, 1 tenant</h3>']);
    // The third one has nothing to change.
    expect(changes()).toEqual(['POST', 'PATCH']);
    expect(stdout.text).not.toContain('::warning');
  });

  test('is found behind hundreds of others, and is none that somebody else wrote', async () => {
    await comment(GOOD);
    const [own] = github.own;
    for (let each = 0; each < 250; each += 1) github.write('somebody', own?.body ?? '');
    // Of the same author, but of another tool, or a quotation.
    github.write('github-actions[bot]', `> ${own?.body ?? ''}`);
    github.comments.push(...github.comments.splice(0, 1));
    await comment(BAD);
    expect(own?.body).toContain('migrate failed');
    expect(changes()).toEqual(['POST', 'PATCH']);
    expect(github.comments).toHaveLength(252);
  });

  test('is one for each workflow, action and key', async () => {
    await comment(GOOD);
    await comment(GOOD, { key: 'europe' });
    await comment(GOOD, { key: 'asia' });
    await comment(GOOD, {}, { GITHUB_WORKFLOW_REF: 'org/app/.github/workflows/other.yml@refs/pull/7/merge' });
    await comment({ ...GOOD, action: 'backup' });
    await comment(GOOD, { key: 'europe' });
    expect(github.own).toHaveLength(5);
    expect(bodies()[1]).toContain('migrate <code>europe</code> succeeded');
  });

  test('is not doubled when an answer gets lost', async () => {
    github.lostAnswers = 1;
    await comment(GOOD);
    expect(bodies()).toEqual(['<h3>✅ migrate succeeded, 1 tenant</h3>']);
    github.lostAnswers = 1;
    await comment(BAD);
    expect(bodies()).toEqual(['<h3>❌ migrate failed, 1 tenant</h3>']);
    expect(stdout.text).not.toContain('::warning');
  });

  test('is written in the end when a request gets lost', async () => {
    github.lostRequests = 2;
    await comment(GOOD);
    expect(github.own).toHaveLength(1);
    expect(stdout.text).not.toContain('::warning');
  });

  test('stays one when two runs write it at once', async () => {
    let waiting: (() => void)[] = [];
    // Both have looked before either writes.
    github.beforeList = () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        if (waiting.length < 2) return;
        for (const go of waiting) go();
        waiting = [];
        github.beforeList = () => Promise.resolve();
      });
    await Promise.all([comment(GOOD), comment(BAD)]);
    expect(changes().filter((method) => method === 'POST')).toHaveLength(2);
    expect(github.own).toHaveLength(1);
    expect(stdout.text).not.toContain('::warning');
  });

  test('is put in order when a run was killed after it had written a second one', async () => {
    await comment(GOOD);
    const [first] = github.own;
    github.write('github-actions[bot]', first?.body ?? '');
    await comment(BAD);
    expect(github.own.map(({ id }) => id)).toEqual([first?.id]);
    expect(first?.body).toContain('migrate failed');
  });

  test('is written anew when somebody removes it meanwhile', async () => {
    await comment(GOOD);
    let looks = 0;
    const [removed] = github.comments;
    github.beforeList = () => {
      looks += 1;
      // Seen by the first look, and gone when it is updated: the answer to the look is made before.
      if (looks === 1) setImmediate(() => github.comments.splice(0, 1));
      return Promise.resolve();
    };
    await comment(BAD);
    expect(github.own).toHaveLength(1);
    expect(github.own[0]?.id).not.toBe(removed?.id);
    expect(changes()).toEqual(['POST', 'PATCH', 'POST']);
    expect(stdout.text).not.toContain('::warning');
  });

  test('holds no secret', async () => {
    const secret = 'a secret of no known shape 456';
    rememberSecret(secret);
    await comment(report([failed(`the server repeats ${secret}`)]));
    expect(github.own[0]?.body).toContain('the server repeats ***');
  });
});

describe('a comment that cannot be written is a warning', () => {
  test('when the job may not, with what is missing', async () => {
    github.refusal = { status: 403, message: 'Resource not accessible by integration' };
    await comment(BAD);
    expect(stdout.text).toMatch(/^::warning::no comment on the pull request: GitHub API, write comment: HTTP 403/m);
    expect(stdout.text).toContain('Resource not accessible by integration');
    expect(stdout.text).toContain('permissions: pull-requests: write');
    expect(changes()).toEqual(['POST']);
    expect(stdout.text).not.toContain(github.token);
  });

  test.each([
    ['FORBIDDEN', 'Resource not accessible by integration', 'HTTP 403'],
    ['NOT_FOUND', 'Could not resolve to a PullRequest', 'HTTP 404'],
    ['SOMETHING_ELSE', 'Something went wrong', 'Something went wrong'],
  ])('when GitHub does not tell which there are (%s)', async (type, message, words) => {
    github.listRefusal = { type, message };
    await comment(BAD);
    expect(stdout.text).toContain(words);
    expect(stdout.text).toContain(message);
    expect(changes()).toEqual([]);
  });

  test('when there is nobody at the address', async () => {
    await comment(BAD, {}, { GITHUB_API_URL: 'http://127.0.0.1:9' });
    expect(stdout.text).toMatch(/^::warning::no comment on the pull request: GitHub API, list comments: no answer/m);
  });

  test('when the token is wrong, or the run was stopped', async () => {
    await comment(BAD, { token: 'ghs_wrong' });
    expect(stdout.text).toContain('HTTP 401');
    await comment(BAD, { signal: AbortSignal.abort(new Error('the run was cancelled')) });
    expect(stdout.text).toContain('no comment on the pull request: the run was cancelled');
    expect(github.own).toEqual([]);
  });
});

describe('the pull request', () => {
  const event = async (content: unknown) => {
    const file = path.join(folder, 'event.json');
    await writeFile(file, JSON.stringify(content));
    return file;
  };

  test('is that of the event', async () => {
    const file = await event({ pull_request: { number: 7 } });
    await comment(GOOD, { number: undefined }, { GITHUB_EVENT_NAME: 'pull_request', GITHUB_EVENT_PATH: file });
    expect(github.own).toHaveLength(1);
  });

  test.each([
    ['push', { pull_request: { number: 7 } }],
    ['pull_request', { pull_request: { number: '7/../8' } }],
    ['workflow_dispatch', {}],
  ])('is none in an event %s without its number, and that is no failure', async (name, content) => {
    await comment(GOOD, { number: undefined }, { GITHUB_EVENT_NAME: name, GITHUB_EVENT_PATH: await event(content) });
    expect(github.requests).toEqual([]);
    expect(stdout.text).toContain('no comment is written');
    expect(stdout.text).not.toContain('::warning');
  });
});
