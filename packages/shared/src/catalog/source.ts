import { NEON_DEFAULTS, selectTenants, type Location, type Tenant } from '../fleet/index.js';
import type { Catalog, CatalogTenant } from './catalog.js';

/** Tenants out of the catalog, and the patterns that matched nobody. */
export interface CatalogSelection {
  readonly tenants: readonly (Tenant & { readonly schemaVersion?: string })[];
  readonly unmatched: readonly string[];
}

/**
 * `source: catalog`: the tenants of a run with their databases and roles, without a call to Neon and without waking
 * anybody. What the inputs say about the place of the data comes before what the catalog says.
 */
export async function tenantsOfCatalog(
  catalog: Pick<Catalog, 'tenants'>,
  patterns: readonly string[],
  location: Location = {},
): Promise<CatalogSelection> {
  const all: CatalogSelection['tenants'][number][] = [];
  for await (const page of catalog.tenants()) all.push(...page.map((tenant) => tenantOf(tenant, location)));
  const { selected, unmatched } = selectTenants(all, patterns);
  return { tenants: selected, unmatched };
}

function tenantOf(known: CatalogTenant, location: Location): CatalogSelection['tenants'][number] {
  const branch = location.branch ?? known.branch;
  const database = location.database ?? known.database;
  const role = location.role ?? known.role;
  return {
    key: known.key,
    name: known.name,
    projectId: known.projectId,
    ...(branch === undefined ? {} : { branch }),
    database: database ?? NEON_DEFAULTS.database,
    role: role ?? NEON_DEFAULTS.role,
    assumed: { database: database === undefined, role: role === undefined },
    labels: {},
    ...(known.schemaVersion === undefined ? {} : { schemaVersion: known.schemaVersion }),
  };
}
