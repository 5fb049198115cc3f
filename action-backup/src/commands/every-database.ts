import { explain } from '@neon-fleet/shared/errors';
import { identify, type Outcome, type Tenant } from '@neon-fleet/shared/fleet';
import { findBranch, type Neon } from '@neon-fleet/shared/neon';
import pMap from 'p-map';

/** The word for all databases of a project. */
export const EVERY_DATABASE = '*';

export interface ExpandedTenants {
  readonly tenants: readonly Tenant[];
  /** Projects whose databases could not be listed: known before any work. */
  readonly failed: readonly Outcome[];
}

/** Makes a tenant of every database of each project, each with the role that owns it unless one was named. */
export async function expandDatabases(
  neon: Pick<Neon, 'listBranches' | 'listDatabases'>,
  tenants: readonly Tenant[],
  concurrency: number,
): Promise<ExpandedTenants> {
  const failed: Outcome[] = [];
  const expanded = await pMap(
    tenants,
    async (tenant) => {
      const startedAt = new Date();
      try {
        return await databasesOf(neon, tenant);
      } catch (thrown) {
        const error = explain(thrown);
        const who = identify(tenant, startedAt, new Date(), 1);
        failed.push({ ...who, status: 'failed', detail: `its databases could not be listed: ${error.message}`, error });
        return [];
      }
    },
    { concurrency },
  );
  return { tenants: expanded.flat(), failed };
}

async function databasesOf(neon: Pick<Neon, 'listBranches' | 'listDatabases'>, tenant: Tenant): Promise<Tenant[]> {
  const branch =
    tenant.branch === undefined
      ? (await neon.listBranches(tenant.projectId)).find(({ isDefault }) => isDefault)
      : await findBranch(neon, tenant.projectId, tenant.branch);
  if (branch === undefined) throw new Error('there is no branch that is the default');
  const databases = await neon.listDatabases(tenant.projectId, branch.id);
  if (databases.length === 0) throw new Error('it has no database');
  return databases.map(({ name, owner }) => ({
    ...tenant,
    database: name,
    role: tenant.assumed.role ? owner : tenant.role,
    assumed: { database: false, role: false },
  }));
}
