import type { TenantResult } from '../fleet/index.js';
import type { OnDrift } from './migrate-database.js';

/** The result of a tenant whose lock somebody else kept for the whole time. */
export function lockedResult(): TenantResult {
  return {
    status: 'skipped',
    reason: 'locked',
    detail: 'another run of neon-fleet (a migration or a backup) holds the lock of this database',
  };
}

/** The result of a tenant that is left alone because its database contradicts the folder. */
export function driftResult(why: string, onDrift: OnDrift = 'skip'): TenantResult {
  if (onDrift !== 'fail') return { status: 'skipped', reason: 'drift', detail: why };
  const error = {
    message: `its schema is not what the folder says: ${why}`,
    code: 'drift',
    hint: 'on-drift is fail, so that no further tenant is started.',
  };
  return { status: 'failed', detail: error.message, error, stopsRollout: true };
}
