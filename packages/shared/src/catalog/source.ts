import {
  findIdleExclusions,
  nobodyLeft,
  nothingMatches,
  selectTenants,
  settle,
  tenantOf,
  type Discovery,
  type Location,
  type Tenant,
} from '../fleet/index.js';
import type { Catalog } from './catalog.js';
import type { CatalogTenant } from './read.js';

const BY_CATALOG = {
  what: 'tenant of the catalog',
  sees: 'The catalog knows',
  nobody: 'The catalog knows no tenant at all. provision with `command: sync` takes in the projects that there are.',
} as const;

/**
 * `source: catalog`: the tenants of a run with their databases and roles, without a call to Neon and without waking
 * anybody. What the inputs say about the place of the data comes before what the catalog says. Projects that are closed
 * take no part, as if Neon did not list them; those that are still being made are skipped as such.
 *
 * @param catalogProject the project that the catalog itself is in: never a tenant.
 * @throws ExplainedError when a pattern matches nobody, or an exclusion that is spelled out does, or when nobody is left.
 */
export async function tenantsOfCatalog(
  catalog: Pick<Catalog, 'tenants'>,
  patterns: readonly string[],
  location: Location = {},
  { now = new Date(), catalogProject }: { readonly now?: Date; readonly catalogProject?: string | undefined } = {},
): Promise<Discovery> {
  const everybody: Tenant[] = [];
  const creating = new Set<Tenant>();
  for await (const page of catalog.tenants()) {
    for (const known of page) {
      const tenant = tenantIn(known, location);
      everybody.push(tenant);
      if (known.status === 'creating') creating.add(tenant);
    }
  }
  const fleet = everybody.filter(({ projectId }) => projectId !== catalogProject);
  const { selected, unmatched } = selectTenants(fleet, patterns);
  const idle = findIdleExclusions(everybody, patterns);
  const nowhere = [...unmatched, ...idle.spelledOut];
  if (nowhere.length > 0) throw nothingMatches(nowhere, fleet, BY_CATALOG);
  if (selected.length === 0) throw nobodyLeft();
  return {
    tenants: selected.filter((tenant) => !creating.has(tenant)),
    settled: selected.filter((tenant) => creating.has(tenant)).map((tenant) => settle(tenant, CREATING, now)),
    idleExclusions: idle.globs,
  };
}

const CREATING = {
  status: 'skipped',
  reason: 'creating',
  detail: 'by the catalog its creation has not been finished; run provision',
} as const;

function tenantIn(known: CatalogTenant, location: Location): Tenant {
  const tenant = tenantOf(known, {
    branch: location.branch ?? known.branch,
    database: location.database ?? known.database,
    role: location.role ?? known.role,
  });
  return { ...tenant, key: known.key };
}
