export { CATALOG_SESSION, catalogOver, openCatalog, type Catalog, type ShardOfPlan } from './catalog.js';
export { CATALOG_MIGRATIONS, migrateCatalog } from './migrations.js';
export { QUERIES } from './queries.js';
export type { CatalogStatus, CatalogTenant, CatalogVersion, CatalogVersions } from './read.js';
export {
  catalogBatchSchema,
  type BackupRecord,
  type CatalogBatch,
  type EventRecord,
  type OutcomeRecord,
  type ProjectRecord,
  type RunRecord,
} from './records.js';
export { tenantsOfCatalog } from './source.js';
