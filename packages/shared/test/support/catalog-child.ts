// A process that opens the catalog named by the environment variable CATALOG, to be killed.
import { openCatalog } from '../../src/catalog/index.js';

const catalog = await openCatalog(process.env['CATALOG'] ?? '');
await catalog.end();
