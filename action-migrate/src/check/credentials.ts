import type { InputProblem } from '@neon-fleet/shared/actions';
import { ExplainedError } from '@neon-fleet/shared/errors';

/** What a repository's code must not be near: with these it could act as the step. */
const CREDENTIALS = [
  'NEON_API_KEY',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN',
  // With this a step can get credentials of AWS for itself: it is there whenever the job has `id-token: write`.
  'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
] as const;

/** Inputs that are secrets and of no use to `check`. */
const SECRET_INPUTS = ['neon-api-key', 'scratch-url', 'catalog-url'] as const;

/**
 * What is wrong about giving `check` a secret: it runs code of whoever opened the pull request, and a child of this step can
 * read the step's own environment whatever environment it is given itself.
 */
export function secretInputProblems(read: (name: string) => string): InputProblem[] {
  return SECRET_INPUTS.filter((input) => read(input).trim() !== '').map((input) => ({
    input,
    given: 'a secret',
    accepted:
      'nothing when command is check: it runs the repository’s drizzle.config, which in a pull request is anybody’s code, and needs no credentials',
  }));
}

/**
 * Refuses to run the repository's code in a step that has credentials in its environment. Their names are told, never their
 * values.
 *
 * @throws ExplainedError
 */
export function refuseCredentials(env: Readonly<Record<string, string | undefined>>): void {
  const found = CREDENTIALS.filter((name) => (env[name] ?? '') !== '');
  if (found.length === 0) return;
  throw new ExplainedError({
    message: `command: check runs the repository’s drizzle.config, which in a pull request is anybody’s code, and the step has credentials in its environment: ${found.join(', ')}; nothing was run`,
    hint: 'Put it into a job of its own with `permissions: { contents: read }`, and without an `env` or an earlier step that brings credentials.',
  });
}
