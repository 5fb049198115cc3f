import type { Tenant, TenantResult, WorkContext } from '@neon-fleet/shared/fleet';
import { findDatabase } from '@neon-fleet/shared/neon';
import { hostOf } from '@neon-fleet/shared/postgres';

import type { MigrateInputs } from './inputs.js';
import { AFTER_FAILURE, goBack } from './restore-point/go-back.js';
import { takeRestorePoint } from './restore-point/take.js';
import type { Rollout } from './rollout.js';

/**
 * Brings one tenant to the folder's version, with a way back. The URI is fetched only now, just before it is used.
 *
 * @param runName names the rollout in the names of branches, the same in each attempt of it.
 */
export async function migrateTenant(
  { neon, engine }: Pick<Rollout, 'neon' | 'engine'>,
  tenant: Tenant,
  { restorePoint, onFailure }: Pick<MigrateInputs, 'restorePoint' | 'onFailure'>,
  runName: string,
  { signal, note }: WorkContext,
): Promise<TenantResult> {
  const { projectId } = tenant;
  const { uri, branchId } = await findDatabase(neon, tenant);
  return engine.migrate(uri, tenant, {
    note,
    readRestorePoint: (connection) =>
      takeRestorePoint(neon, tenant, connection, {
        kind: restorePoint,
        required: onFailure === 'restore',
        runName,
        host: hostOf(uri),
        branchId,
        signal,
        note,
      }),
    rollBack: async (point) => {
      // Each failure is an occasion of its own: a later attempt that finds this one's name has not been put back by it.
      const occasion = `${AFTER_FAILURE}${runName}-${Date.now()}`;
      const { keptAs } = await goBack(neon, point, { projectId, occasion, signal });
      return `put back to ${point.takenAt}; what was written since then is kept in the branch ${keptAs}`;
    },
  });
}
