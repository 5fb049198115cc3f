export {
  CATALOG_SESSION,
  catalogOver,
  openCatalog,
  type Catalog,
  type CatalogStatus,
  type CatalogTenant,
} from './catalog.js';
export { CATALOG_MIGRATIONS, migrateCatalog } from './migrations.js';
export { QUERIES } from './queries.js';
export {
  catalogBatchSchema,
  type BackupRecord,
  type CatalogBatch,
  type EventRecord,
  type OutcomeRecord,
  type ProjectRecord,
  type RunRecord,
} from './records.js';
export { tenantsOfCatalog, type CatalogSelection } from './source.js';
