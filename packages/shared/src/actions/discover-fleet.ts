import { tenantsOfCatalog } from '../catalog/index.js';
import { discoverTenants, type Discovery, type Location } from '../fleet/index.js';
import type { Neon } from '../neon/index.js';
import { openCatalogIfThere, openNeededCatalog } from './catalog.js';
import type { ActionContext } from './run-action.js';

/** The inputs that say who takes part, parsed. */
export interface FleetSource extends Location {
  readonly source: 'neon' | 'catalog';
  readonly catalogUrl: string | undefined;
  readonly tenants: readonly string[];
}

/**
 * Chooses who takes part, out of what Neon lists or out of the catalog. The project that the catalog is in never does.
 *
 * @throws ExplainedError as the selection does; with `source: catalog` also when the catalog cannot be reached.
 */
export async function discoverFleet(
  values: FleetSource,
  neon: Pick<Neon, 'listProjects'>,
  { mask, stop }: Pick<ActionContext, 'mask' | 'stop'>,
): Promise<Discovery> {
  const { source, catalogUrl, tenants } = values;
  const surroundings = { mask, signal: stop.signal };
  if (source === 'catalog' && catalogUrl !== undefined) {
    await using catalog = await openNeededCatalog(catalogUrl, surroundings);
    return await tenantsOfCatalog(catalog, tenants, values, { catalogProject: await catalog.ownProject() });
  }
  const catalogProject = await catalogProjectOf(catalogUrl, { mask, stop });
  const listing = await neon.listProjects();
  return discoverTenants(listing, tenants, values, new Date(), { mayBePrivate: mayBePrivate(), catalogProject });
}

/** Whether this runner may be in a private network: GitHub's own are on the public internet, others may have a way of their own. */
export function mayBePrivate(): boolean {
  return process.env['RUNNER_ENVIRONMENT'] !== 'github-hosted';
}

/**
 * The project that the catalog is in. The list of Neon is enough for a run: a catalog that cannot be reached, or breaks
 * off here, is as good as none.
 */
export async function catalogProjectOf(
  url: string | undefined,
  { mask, stop }: Pick<ActionContext, 'mask' | 'stop'>,
): Promise<string | undefined> {
  await using catalog = await openCatalogIfThere(url, { mask, signal: stop.signal });
  try {
    return await catalog?.ownProject();
  } catch {
    return undefined;
  }
}
