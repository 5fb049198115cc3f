import type { CatalogBatch } from '../catalog/index.js';
import type { FleetReport, Tenant } from '../fleet/index.js';
import { tellCatalog, type RunContext } from './catalog.js';
import { knownTenants, runRecordOf } from './catalog-record.js';

export interface ToldRun {
  readonly catalogUrl: string | undefined;
  /** What was known about the tenants before; those that the catalog does not know are registered. */
  readonly tenants: readonly Tenant[];
  /** Told in the same transaction. */
  readonly besides?: Omit<CatalogBatch, 'schemaVersion' | 'run'>;
  readonly signal: AbortSignal;
}

/** Tells the catalog what became of a run, after it was published: what is told is what everybody can read. */
export async function tellRun(
  report: FleetReport,
  { catalogUrl, tenants, besides, signal }: ToldRun,
  env: RunContext = process.env,
): Promise<void> {
  if (catalogUrl === undefined) return;
  const run = runRecordOf(report, knownTenants(tenants), env);
  await tellCatalog(catalogUrl, { schemaVersion: 1, run, ...besides }, env, signal);
}
