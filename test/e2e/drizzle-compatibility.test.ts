import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { ROOT } from '../../scripts/actions.js';
import { TestFleet, statuses } from '../support/fleet.js';

const run = promisify(execFile);
const drizzleKit = path.join(ROOT, 'node_modules', 'drizzle-kit', 'bin.cjs');

let fleet: TestFleet;
/** The example app, in a place from which drizzle-kit finds the packages it imports. */
let app: string;

beforeAll(async () => {
  fleet = await TestFleet.start();
  app = path.join(ROOT, '.neon-fleet', `test-${process.pid}`, 'app');
  await mkdir(path.dirname(app), { recursive: true });
  await cp(path.join(ROOT, 'examples', 'app'), app, { recursive: true });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await rm(path.dirname(app), { recursive: true, force: true });
});

/** Adds a table to the app's schema and generates the migration for it. */
async function addMigration(name: string): Promise<void> {
  const schema = path.join(app, 'src', 'db', 'schema.ts');
  const table = `\nexport const ${name} = pgTable('${name}', { id: uuid('id').primaryKey().defaultRandom(), note: text('note') });\n`;
  await writeFile(schema, (await readFile(schema, 'utf8')) + table);
  await run(process.execPath, [drizzleKit, 'generate', '--name', name], { cwd: app });
}

/** What drizzle-kit's own migrate does to one database. */
async function drizzleKitMigrate(projectId: string): Promise<void> {
  const config = path.join(app, 'drizzle.migrate.config.ts');
  await writeFile(
    config,
    `export default { dialect: 'postgresql', out: './drizzle', schema: './src/db/schema.ts', dbCredentials: { url: process.env.URL_OF_TENANT } };`,
  );
  await run(process.execPath, [drizzleKit, 'migrate', '--config', path.basename(config)], {
    cwd: app,
    env: {
      ...process.env,
      URL_OF_TENANT: await fleet.uriOf(projectId),
      NODE_EXTRA_CA_CERTS: fleet.neon.caFile,
    },
  });
}

/** The whole schema as pg_dump sees it, without what differs between any two dumps, and drizzle's rows. */
async function stateOf(projectId: string): Promise<{ schema: string; rows: unknown[] }> {
  const url = await fleet.neon.adminUrlFor(projectId);
  const { stdout } = await run('pg_dump', ['--schema-only', '--no-owner', '--no-privileges'], {
    env: { PATH: process.env['PATH'], ...libpq(url) },
  });
  const rows = await fleet.query(
    projectId,
    'SELECT id, hash, created_at FROM drizzle.__drizzle_migrations ORDER BY id',
  );
  return { schema: stdout.replace(/^\\(un)?restrict .*$/gm, ''), rows };
}

function libpq(url: string): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
  };
}

describe('migrate and drizzle-kit migrate', () => {
  test('leave the same schema and the same rows behind, and each goes on where the other stopped', async () => {
    const [ours = '', theirs = ''] = await fleet.neon.seedProjects(['ours', 'theirs']);
    const migrate = (tenants: string) => fleet.run('migrate', { tenants }, { cwd: app });

    expect(statuses(await migrate('ours'))).toEqual({ ours: 'succeeded' });
    await drizzleKitMigrate(theirs);
    const first = await stateOf(ours);
    expect(first.rows).toHaveLength(1);
    expect(first).toEqual(await stateOf(theirs));

    // Each accepts what the other has done as done …
    await drizzleKitMigrate(ours);
    expect(statuses(await migrate('theirs'))).toEqual({ theirs: 'unchanged: up-to-date' });
    expect(await stateOf(ours)).toEqual(first);
    expect(await stateOf(theirs)).toEqual(first);

    // … and takes the next step from there.
    await addMigration('invoices');
    await drizzleKitMigrate(ours);
    expect(statuses(await migrate('theirs'))).toEqual({ theirs: 'succeeded' });
    const second = await stateOf(ours);
    expect(second.rows).toHaveLength(2);
    expect(second).toEqual(await stateOf(theirs));
  });
});
