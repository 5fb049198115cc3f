import * as core from '@actions/core';

import { openNeon, type Management, type Neon } from '../neon/index.js';
import type { ActionContext } from './run-action.js';

/** The inputs that say how to reach Neon, parsed. */
export interface NeonAccess {
  readonly neonApiKey: string;
  readonly neonOrgId: string | undefined;
  readonly neonApiUrl: string | undefined;
}

/** Opens the Neon API for an action: secrets are masked as they arrive, retries are told in the log. */
export function openNeonFor(access: NeonAccess, { mask, stop }: ActionContext): Neon & { readonly manage: Management } {
  mask(access.neonApiKey);
  return openNeon({
    apiKey: access.neonApiKey,
    apiUrl: access.neonApiUrl,
    orgId: access.neonOrgId,
    userAgent: 'neon-fleet (https://github.com/org/neon-fleet)',
    signal: stop.signal,
    onSecret: mask,
    onRetry: ({ operation, attempt, why }) => core.info(`Neon API, ${operation}: ${why}; trying again (${attempt})`),
  });
}
