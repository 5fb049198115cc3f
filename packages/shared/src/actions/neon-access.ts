import * as core from '@actions/core';

import { burstFor, openNeon, type Management, type Neon } from '../neon/index.js';
import { TOOL_VERSION } from '../version.js';
import { printable } from './printable.js';
import type { ActionContext } from './run-action.js';

/** The inputs that say how to reach Neon, parsed. */
export interface NeonAccess {
  readonly neonApiKey: string;
  readonly neonOrgId: string | undefined;
  readonly neonApiUrl: string | undefined;
  /** The most requests a minute. */
  readonly neonApiRate: number;
}

/** What an action's calls have to share with others. */
export interface SharedAccess {
  /** How many jobs call the API at the same time, this one included; each of them takes an equal part of the rate. */
  readonly share?: number;
}

/**
 * Opens the Neon API for an action: secrets are masked as they arrive, requests keep to the rate, and retries are told in
 * the log.
 */
export function openNeonFor(
  access: NeonAccess,
  { mask, stop }: Pick<ActionContext, 'mask' | 'stop'>,
  { share = 1 }: SharedAccess = {},
): Neon & { readonly manage: Management } {
  mask(access.neonApiKey);
  const jobs = Math.max(1, share);
  return openNeon({
    apiKey: access.neonApiKey,
    apiUrl: access.neonApiUrl,
    orgId: access.neonOrgId,
    userAgent: `neon-fleet/${TOOL_VERSION}`,
    ratePerMinute: access.neonApiRate / jobs,
    burstPerSecond: burstFor(access.neonApiRate) / jobs,
    signal: stop.signal,
    onSecret: mask,
    onRetry: ({ operation, attempt, why, waitMs, requestId }) => {
      const id = requestId === undefined ? '' : ` (request ${requestId})`;
      core.info(
        printable(`Neon API, ${operation}: ${why}${id}; trying again in ${(waitMs / 1_000).toFixed(1)} s (${attempt})`),
      );
    },
    onThrottled: throttlingTeller(),
  });
}

/**
 * A runner shows ten warnings of a step, and the tenants need them: the first one is a warning, the others are lines of the
 * log.
 */
function throttlingTeller(): (times: number) => void {
  let tell: (message: string) => void = core.warning;
  return (times) => {
    const requests = times === 1 ? 'a request' : `${times} requests`;
    tell(
      `The Neon API refused ${requests}: the account's rate limit is used up (429). All requests are slowed down. Lower neon-api-rate if this goes on.`,
    );
    tell = core.info;
  };
}
