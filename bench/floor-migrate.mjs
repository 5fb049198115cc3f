// The least that migrating a fleet can cost: drizzle-orm's own migrator in a bare loop over URIs that are known already,
// with nothing around it. Usage: node floor-migrate.mjs URIS.json FOLDER CONCURRENCY
import { readFile } from 'node:fs/promises';

import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';

const [urisFile, migrationsFolder, concurrency] = process.argv.slice(2);
const uris = JSON.parse(await readFile(urisFile, 'utf8'));

async function worker() {
  for (let uri = uris.shift(); uri !== undefined; uri = uris.shift()) {
    const client = new pg.Client({ connectionString: uri });
    await client.connect();
    await migrate(drizzle(client), { migrationsFolder });
    await client.end();
  }
}

await Promise.all(Array.from({ length: Number(concurrency) }, worker));
