import { explain } from '../errors/index.js';
import { NeonApiError } from '../neon/index.js';
import { isQuotaSuspended } from '../postgres/index.js';
import type { TenantResult } from './outcome.js';

/** Calls that are about the account: a 404 to them means a wrong organisation, not a project that is gone. */
const ABOUT_THE_ACCOUNT: ReadonlySet<string> = new Set(['listProjects', 'createProject']);

/**
 * Failures that say nothing about the work but something about the tenant: nobody has to look at the cause, and the
 * tenant is skipped under a reason of its own. Undefined for every other failure.
 */
export function skipFor(thrown: unknown): TenantResult | undefined {
  if (isQuotaSuspended(thrown)) {
    return skipped('quota-suspended', 'its compute is suspended because a quota of the project is used up', thrown);
  }
  // What exists was listed a moment ago; a missing database or branch is reported in words of its own, not as a 404.
  if (
    thrown instanceof NeonApiError &&
    thrown.status === 404 &&
    thrown.isNeonsAnswer &&
    !ABOUT_THE_ACCOUNT.has(thrown.operation)
  ) {
    return skipped('gone', 'the project was deleted after it had been listed', thrown);
  }
  return undefined;
}

function skipped(reason: 'quota-suspended' | 'gone', detail: string, thrown: unknown): TenantResult {
  return { status: 'skipped', reason, detail, error: explain(thrown) };
}
