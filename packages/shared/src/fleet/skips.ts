import { explain } from '../errors/index.js';
import { NeonApiError, StillCreatingError, type ProjectRef } from '../neon/index.js';
import { refusalOf, type Refusal } from '../postgres/index.js';
import type { SkipReason, TenantResult } from './outcome.js';

/** Calls that are about the account: what they are refused for says nothing about any tenant. */
const ABOUT_THE_ACCOUNT: ReadonlySet<string> = new Set(['listProjects', 'createProject']);

interface Skip {
  readonly reason: SkipReason;
  readonly detail: string;
}

const QUOTA: Skip = {
  reason: 'quota-suspended',
  detail: 'its compute is suspended because a quota of the project is used up',
};
const GONE: Skip = { reason: 'gone', detail: 'the project, or the branch, was deleted after it had been listed' };
const CREATING: Skip = { reason: 'creating', detail: 'Neon has not finished making it' };
const ADDRESS: Skip = { reason: 'ip-restricted', detail: "the project's network settings keep this runner out" };

const REFUSALS: Readonly<Record<Refusal, Skip>> = {
  quota: QUOTA,
  address: ADDRESS,
  gone: { reason: 'gone', detail: 'its compute was deleted, with the project or its branch, after it had been listed' },
  creating: CREATING,
};

/**
 * Failures that say nothing about the work but something about the tenant: nobody has to look at the cause, and the
 * tenant is skipped under a reason of its own. Undefined for every other failure.
 */
export function skipFor(thrown: unknown): TenantResult | undefined {
  const skip = skipOf(thrown);
  return skip === undefined ? undefined : { status: 'skipped', ...skip, error: explain(thrown) };
}

function skipOf(thrown: unknown): Skip | undefined {
  if (thrown instanceof StillCreatingError) return CREATING;
  if (thrown instanceof NeonApiError) return skipForAnswer(thrown);
  const refusal = refusalOf(thrown);
  return refusal === undefined ? undefined : REFUSALS[refusal];
}

function skipForAnswer({ operation, status, isNeonsAnswer, quotaExceeded }: NeonApiError): Skip | undefined {
  if (!isNeonsAnswer || ABOUT_THE_ACCOUNT.has(operation)) return undefined;
  if (quotaExceeded) return QUOTA;
  // What exists was listed a moment ago; a missing database or branch is reported in words of its own, not as a 404.
  return status === 404 || status === 410 ? GONE : undefined;
}

/** What is known about where the work will be done. */
export interface Whereabouts {
  /** Whether the runner may be inside a private network that has a way to Neon of its own. */
  readonly mayBePrivate?: boolean;
}

/**
 * What the project list alone says will become of a tenant, so that a plan tells it and no connection is tried. Undefined
 * for nearly all: the list does not tell suspended or unfinished projects from others, and with an allow-list it
 * depends on the runner's address.
 */
export function foreseenSkip(
  project: ProjectRef,
  { mayBePrivate = false }: Whereabouts = {},
): TenantResult | undefined {
  if (project.deletedAt !== undefined) return { status: 'skipped', ...GONE, detail: 'the project has been deleted' };
  if (project.blocksPublicConnections !== true) return undefined;
  if (mayBePrivate && project.blocksVpcConnections !== true) return undefined;
  return { status: 'skipped', reason: ADDRESS.reason, detail: 'the project lets nobody in from the public internet' };
}
