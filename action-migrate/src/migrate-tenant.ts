import { migrateDatabase, type MigrateOptions } from '@neon-fleet/shared/drizzle';
import type { Tenant, TenantResult, WorkContext } from '@neon-fleet/shared/fleet';
import { findDatabase, type Neon } from '@neon-fleet/shared/neon';
import { hostOf } from '@neon-fleet/shared/postgres';

import { goBack } from './restore-point/go-back.js';
import { takeRestorePoint, type RestorePointKind } from './restore-point/take.js';

/** How every tenant of a rollout is migrated. */
export interface MigrateTenantOptions extends Omit<
  MigrateOptions,
  'readRestorePoint' | 'rollBack' | 'signal' | 'note'
> {
  readonly restorePoint: RestorePointKind;
  /** Names the rollout in the names of branches, the same in each attempt of it. */
  readonly runName: string;
}

/** Brings one tenant to the folder's version, with a way back. The URI is fetched only now, just before it is used. */
export async function migrateTenant(
  neon: Neon,
  tenant: Tenant,
  { restorePoint, runName, ...migrate }: MigrateTenantOptions,
  { signal, note }: WorkContext,
): Promise<TenantResult> {
  const { projectId } = tenant;
  const { uri, branchId } = await findDatabase(neon, tenant);
  return migrateDatabase(uri, {
    ...migrate,
    signal,
    note,
    readRestorePoint: (connection) =>
      takeRestorePoint(neon, tenant, connection, {
        kind: restorePoint,
        required: migrate.onFailure === 'restore',
        runName,
        host: hostOf(uri),
        branchId,
        signal,
        note,
      }),
    rollBack: async (point) => {
      const { keptAs } = await goBack(neon, point, { projectId, occasion: `after-failure-${runName}`, signal });
      return `put back to ${point.takenAt}; what was written since then is kept in the branch ${keptAs}`;
    },
  });
}
