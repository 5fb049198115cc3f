import { readFleetFile, selectMembers, type DesiredTenant } from '@neon-fleet/shared/fleet';

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
  const tenants = selectMembers(all, values.tenants).selected;
  return { tenants, others: all.filter((tenant) => !tenants.includes(tenant)), ignored };
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
