// Reads every tenant out of the catalog as an action with `source: catalog` does; prints how many, and how long it took
// from the connection to the last one.
import { openCatalog, tenantsOfCatalog } from '@neon-fleet/shared/catalog';

const [url = ''] = process.argv.slice(2);
const startedAtMs = performance.now();
const catalog = await openCatalog(url);
const { tenants } = await tenantsOfCatalog(catalog, ['*']);
await catalog.end();
console.log(JSON.stringify({ tenants: tenants.length, durationMs: performance.now() - startedAtMs }));
