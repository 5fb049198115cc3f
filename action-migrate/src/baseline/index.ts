export { baselineDatabase, type BaselineOptions, type BaselineResult } from './baseline-database.js';
export { readCatalog, type Catalog, type CatalogObject } from './catalog.js';
export type { CatalogScope } from './catalog-sql.js';
export { compareCatalogs, type Difference } from './compare.js';
export { baselineInputs } from './inputs.js';
export { openReferences, ReferenceError, type ReferenceOptions, type References } from './reference.js';
export { renderBaseline, type UnequalTenant } from './render.js';
export { differenceWords, renderDifferences } from './words.js';
