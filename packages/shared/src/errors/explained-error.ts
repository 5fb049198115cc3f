import { scrubSecrets } from './scrub-secrets.js';

/** What a person needs to act on a failure. Safe to print: it carries no secret and no customer data. */
export interface Explanation {
  /** What failed and why, in one or two sentences. */
  readonly message: string;
  /** SQLSTATE, HTTP status or the name of a system error, when there is one. */
  readonly code?: string;
  /** What to do about it. */
  readonly hint?: string;
}

/**
 * A failure that already knows how to explain itself.
 *
 * The rooms that talk to the outside throw these in place of the errors of `pg`, axios and the AWS SDK, which carry
 * passwords, keys and rows in their properties.
 */
export class ExplainedError extends Error implements Explanation {
  readonly code?: string;
  readonly hint?: string;

  constructor(explanation: Explanation, options?: ErrorOptions) {
    super(scrubSecrets(explanation.message), options);
    this.name = 'ExplainedError';
    if (explanation.code !== undefined) this.code = explanation.code;
    if (explanation.hint !== undefined) this.hint = scrubSecrets(explanation.hint);
  }
}

/** Reduces anything that was thrown to an explanation that is safe to print; the chain of causes is kept in words. */
export function explain(thrown: unknown): Explanation {
  if (thrown instanceof ExplainedError) {
    return {
      message: thrown.message,
      ...(thrown.code === undefined ? {} : { code: thrown.code }),
      ...(thrown.hint === undefined ? {} : { hint: thrown.hint }),
    };
  }
  const code = systemCode(thrown);
  return { message: scrubSecrets(messages(thrown).join(': ')), ...(code === undefined ? {} : { code }) };
}

function messages(thrown: unknown, seen: ReadonlySet<unknown> = new Set()): string[] {
  if (!(thrown instanceof Error)) return [typeof thrown === 'string' ? thrown : 'a failure without a message'];
  // Some libraries make an error its own cause.
  if (seen.has(thrown)) return [];
  const path = new Set([...seen, thrown]);
  // Node's connection failures over several addresses arrive as an AggregateError with an empty message.
  const own =
    thrown.message === '' && thrown instanceof AggregateError
      ? [...new Set(thrown.errors.flatMap((error) => messages(error, path)))]
      : [thrown.message || thrown.name];
  return thrown.cause === undefined ? own : [...own, ...messages(thrown.cause, path)];
}

/** The `code` of a system or driver error (`ECONNREFUSED`, `42P01`), when it has one. */
export function systemCode(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
