import { ExplainedError } from '@neon-fleet/shared/errors';
import { readFleetFile, selectTenants, type DesiredTenant } from '@neon-fleet/shared/fleet';

import type { ProvisionInputs } from './inputs.js';

/** Who is to be provisioned, and how. */
export interface DesiredFleet {
  readonly tenants: readonly DesiredTenant[];
  /** Tenants of the file that were not selected: their projects are known, and left alone. */
  readonly others: readonly DesiredTenant[];
  readonly ignored: readonly string[];
}

/** Reads what is desired: out of the fleet file, or the tenants that the inputs name. */
export async function readDesired(values: ProvisionInputs): Promise<DesiredFleet> {
  const { fleetFile, name = [] } = values;
  if (fleetFile === undefined) {
    return { tenants: name.map((each) => tenantOfInputs(each, values)), others: [], ignored: [] };
  }
  const { members: all, ignored } = await readFleetFile(fleetFile);
  const tenants = select(all, values.tenants);
  if (tenants.length === 0) {
    throw new ExplainedError({ message: `fleet-file: ${JSON.stringify(fleetFile)} names no tenant; nothing was done` });
  }
  return { tenants, others: all.filter((tenant) => !tenants.includes(tenant)), ignored };
}

function select(all: readonly DesiredTenant[], patterns: readonly string[] | undefined): DesiredTenant[] {
  if (patterns === undefined) return [...all];
  const selectable = all.map((tenant) => ({ ...tenant, projectId: tenant.projectId ?? '', tenant }));
  const { selected, unmatched } = selectTenants(selectable, patterns);
  if (unmatched.length > 0 || selected.length === 0) {
    const what = unmatched.map((pattern) => JSON.stringify(pattern)).join(', ');
    throw new ExplainedError({
      message:
        unmatched.length > 0
          ? `tenants: no tenant of the fleet file matches ${what}; nothing was done`
          : 'tenants: the patterns select nobody; nothing was done',
      hint: 'A pattern is compared with the key, the name and the project-id of each tenant.',
    });
  }
  return selected.map(({ tenant }) => tenant);
}

function tenantOfInputs(name: string, values: ProvisionInputs): DesiredTenant {
  const { region, postgresVersion, database, role, applicationRole, key = name } = values;
  // There it is the branch that is made or deleted, and not the one that the tenant's data is in.
  const branch = values.command === 'branch' ? undefined : values.branch;
  return {
    key,
    name,
    settings: {
      ...(region === undefined ? {} : { region }),
      ...(postgresVersion === undefined ? {} : { postgres: postgresVersion }),
      ...(branch === undefined ? {} : { branch }),
      ...(database === undefined ? {} : { database }),
      ...(role === undefined ? {} : { role }),
      ...(applicationRole === undefined ? {} : { 'application-role': applicationRole }),
    },
  };
}
