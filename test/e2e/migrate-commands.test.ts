import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { ROOT } from '../../scripts/actions.js';
import { TestFleet, outcomeOf, statuses } from '../support/fleet.js';
import { writeMigrations } from '../support/migrations.js';
import { passwordsSeenBy, placesThatShow } from '../support/secrets.js';

let fleet: TestFleet;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  count += 1;
});

/** A repository as a user has it: the example app with its packages installed. */
async function repository(): Promise<string> {
  const folder = path.join(fleet.folder, `app-${count}`);
  await cp(path.join(ROOT, 'examples', 'app'), folder, { recursive: true });
  await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  return folder;
}

describe('baseline', () => {
  const FILES = {
    '0000_init': ['CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL)'],
    '0001_tasks': ['CREATE TABLE tasks (id serial PRIMARY KEY, owner int NOT NULL REFERENCES users (id))'],
    '0002_late': ['ALTER TABLE tasks ADD due date'],
  };
  const BY_HAND = [...FILES['0000_init'], ...FILES['0001_tasks']].join(';');

  test('adopts those whose schema is that of a migration, shows the others’ differences, and first only looks', async () => {
    const name = (short: string) => `adopt-${short}`;
    const [same = '', other = '', empty = ''] = await fleet.neon.seedProjects(['same', 'other', 'empty'].map(name));
    // As the tenant's own role makes it: by drizzle-kit push, or by hand.
    for (const id of [same, other]) await fleet.queryAsOwner(id, BY_HAND);
    await fleet.queryAsOwner(other, 'ALTER TABLE users ADD nickname text');
    const folder = await writeMigrations(path.join(fleet.folder, `drizzle-${count}`), FILES);
    const inputs = { command: 'baseline', tenants: 'adopt-*', 'migrations-folder': folder, at: '0001' };

    const dry = await fleet.run('migrate', inputs);
    expect(statuses(dry)).toMatchObject({ [name('same')]: 'succeeded', [name('other')]: 'skipped: drift' });
    expect(await fleet.tables(same)).toEqual(['public.tasks', 'public.users']);
    expect(dry.summary).toContain('nickname');

    const wet = await fleet.run('migrate', { ...inputs, 'dry-run': 'false' });
    expect(statuses(wet)).toMatchObject({ [name('same')]: 'succeeded', [name('other')]: 'skipped: drift' });
    expect(await fleet.query(same, 'SELECT hash FROM drizzle.__drizzle_migrations')).toHaveLength(2);
    expect(await fleet.tables(other)).not.toContain('drizzle.__drizzle_migrations');
    expect(await fleet.tables(empty)).toEqual([]);

    const migrated = await fleet.run('migrate', { tenants: 'adopt-*', 'migrations-folder': folder });
    expect(outcomeOf(migrated, name('same'))).toMatchObject({ status: 'succeeded', detail: 'applied 0002_late' });
    // No scratch database is left on the server.
    const databases = await fleet.query<{ datname: string }>(same, 'SELECT datname FROM pg_database');
    expect(databases.filter(({ datname }) => datname.includes('scratch'))).toEqual([]);
  });
});

describe('check', () => {
  test('is content with migrations that are in step with the schema, and leaves the repository as it is', async () => {
    const cwd = await repository();
    const before = await readdir(path.join(cwd, 'drizzle'), { recursive: true });
    const run = await fleet.run('migrate', WITHOUT_KEY, { cwd, env: NO_CREDENTIALS });
    expect(run).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded' } });
    expect(await readdir(path.join(cwd, 'drizzle'), { recursive: true })).toEqual(before);
  });

  test('finds a schema that is ahead of the migrations', async () => {
    const cwd = await repository();
    const schema = path.join(cwd, 'src', 'db', 'schema.ts');
    const text = await readFile(schema, 'utf8');
    await writeFile(schema, text.replace(/done: boolean\(/, `extra: boolean('extra'),\n    done: boolean(`));
    const run = await fleet.run('migrate', WITHOUT_KEY, { cwd, env: NO_CREDENTIALS });
    expect(run).toMatchObject({ exitCode: 1, outputs: { verdict: 'failed' } });
    expect(run.summary).toContain('ADD COLUMN "extra"');
    expect(run.outputs['message']).toContain('ahead of the migrations');
  });

  test('refuses to run beside a key, in an input or in the environment', async () => {
    const cwd = await repository();
    const run = await fleet.run('migrate', { command: 'check' }, { cwd, env: NO_CREDENTIALS });
    expect(run.exitCode).toBe(1);
    expect(run.log).toContain('neon-api-key');
    const beside = await fleet.run('migrate', WITHOUT_KEY, { cwd });
    expect(beside.exitCode).toBe(1);
    expect(beside.log).toContain('AWS_SECRET_ACCESS_KEY');
  });
});

/** What the support code adds, taken out again. */
const WITHOUT_KEY = { command: 'check', 'neon-api-key': '', 'neon-api-url': '' };
const NO_CREDENTIALS = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };

describe('engine: drizzle-kit', () => {
  test('runs the repository’s own drizzle-kit for each tenant, which is told its URL and nobody else is', async () => {
    const cwd = await repository();
    await writeFile(
      path.join(cwd, 'drizzle.config.ts'),
      `import { defineConfig } from 'drizzle-kit';
       export default defineConfig({ dialect: 'postgresql', schema: './src/db/schema.ts', out: './drizzle',
         dbCredentials: { url: process.env.DATABASE_URL! } });`,
    );
    const ids = await fleet.neon.seedProjects(['kit-one', 'kit-two', 'kit-pushed']);
    await fleet.queryAsOwner(ids[2] ?? '', 'CREATE TABLE by_hand (id int)');
    const run = await fleet.run(
      'migrate',
      { tenants: 'kit-*', engine: 'drizzle-kit', 'drizzle-config': 'drizzle.config.ts', concurrency: '2' },
      { cwd },
    );
    expect(statuses(run)).toEqual({
      'kit-one': 'succeeded',
      'kit-two': 'succeeded',
      'kit-pushed': 'skipped: drift',
    });
    for (const id of ids.slice(0, 2)) expect(await fleet.tables(id)).toContain('public.tasks');
    const passwords = passwordsSeenBy(run);
    expect(passwords.length).toBeGreaterThan(0);
    expect(passwords.flatMap((password) => placesThatShow(password, run))).toEqual([]);

    const again = await fleet.run(
      'migrate',
      { tenants: 'kit-one', engine: 'drizzle-kit', 'drizzle-config': 'drizzle.config.ts' },
      { cwd },
    );
    expect(statuses(again)).toEqual({ 'kit-one': 'unchanged: up-to-date' });
    // Both engines leave the same behind.
    const orm = await fleet.run('migrate', { tenants: 'kit-one', 'migrations-folder': path.join(cwd, 'drizzle') });
    expect(statuses(orm)).toEqual({ 'kit-one': 'unchanged: up-to-date' });
  });

  test('finds each tenant’s own config in the layout of the guide', async () => {
    const cwd = await repository();
    const config = path.join(cwd, 'configs', 'guide-corp');
    await mkdir(config, { recursive: true });
    await writeFile(
      path.join(config, 'drizzle.config.ts'),
      `import { defineConfig } from 'drizzle-kit';
       export default defineConfig({ dialect: 'postgresql', schema: './src/db/schema.ts', out: './drizzle',
         dbCredentials: { url: process.env.GUIDE_CORP_DATABASE_URL! } });`,
    );
    await fleet.neon.seedProjects(['Guide Corp', 'Guide without config']);
    const run = await fleet.run(
      'migrate',
      { tenants: 'Guide*', engine: 'drizzle-kit', 'drizzle-config': 'configs/*/drizzle.config.ts' },
      { cwd },
    );
    expect(statuses(run)).toEqual({ 'Guide Corp': 'succeeded', 'Guide without config': 'failed' });
  });
});
