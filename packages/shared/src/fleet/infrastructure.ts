import { NeonApiError } from '../neon/index.js';
import { PostgresError } from '../postgres/index.js';

/** No answer in time, held by another operation, too many requests; with every 5xx these are about Neon, not the work. */
const ABOUT_NEON: ReadonlySet<number> = new Set([408, 423, 429]);

/**
 * Whether a failure says that Neon or the way to the database failed, and nothing about the work itself. Such failures
 * feed the breaker instead of the error budget.
 */
export function isInfrastructure(thrown: unknown): boolean {
  if (thrown instanceof NeonApiError) {
    const { status } = thrown;
    return status === undefined || status >= 500 || ABOUT_NEON.has(status);
  }
  return thrown instanceof PostgresError && thrown.whileConnecting;
}
