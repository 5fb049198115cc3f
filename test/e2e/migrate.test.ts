import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { TestFleet, outcomeOf, reportOf, statuses } from '../support/fleet.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';

let fleet: TestFleet;
let folder: string;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(async () => {
  fleet.neon.faults.clear();
  count += 1;
  folder = await writeMigrations(path.join(fleet.folder, `drizzle-${count}`), { '0000_init': GUIDE_TABLES });
});

/** Tenants of one test only, selected by a prefix that no other test uses. */
async function seed(...names: string[]): Promise<{ ids: string[]; tenants: string; name: (short: string) => string }> {
  const prefix = `t${count} `;
  const ids = await fleet.neon.seedProjects(names.map((name) => prefix + name));
  return { ids, tenants: `${prefix}*`, name: (short) => prefix + short };
}

describe('migrate', () => {
  test('brings every selected tenant to the folder’s version, and finds nothing to do the second time', async () => {
    const { ids, tenants } = await seed('ACME Corp', 'Payroll Inc', 'Finance Co');
    const inputs = { tenants, 'migrations-folder': folder };

    const first = await fleet.run('migrate', inputs);
    expect(first.log).toContain('3/3');
    expect(first.exitCode).toBe(0);
    expect(first.outputs).toMatchObject({
      verdict: 'succeeded',
      succeeded: '3',
      unchanged: '0',
      failed: '0',
      skipped: '0',
    });
    for (const id of ids) {
      expect(await fleet.tables(id)).toEqual([
        'drizzle.__drizzle_migrations',
        'public.projects',
        'public.tasks',
        'public.users',
      ]);
    }

    const second = await fleet.run('migrate', inputs);
    expect(second.exitCode).toBe(0);
    expect(second.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '0', unchanged: '3' });
  });

  test('applies only what is new when a migration is added', async () => {
    const { ids, tenants } = await seed('ACME Corp');
    await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    await writeMigrations(folder, { '0000_init': GUIDE_TABLES, '0001_due': ['ALTER TABLE tasks ADD due date'] });

    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    expect(reportOf(run).outcomes).toMatchObject([{ status: 'succeeded', detail: 'applied 0001_due' }]);
    const rows = await fleet.query(ids[0] ?? '', 'SELECT id FROM drizzle.__drizzle_migrations');
    expect(rows).toHaveLength(2);
  });

  test('goes on after a tenant that refuses connections and one whose migration fails half way', async () => {
    const { ids, tenants, name } = await seed('good-1', 'deaf', 'broken', 'good-2', 'good-3');
    const [good1 = '', deaf = '', broken = '', good2 = '', good3 = ''] = ids;
    await fleet.query(broken, 'CREATE DOMAIN public.occupied AS int');
    fleet.neon.faults.set({ kind: 'refuse-connections', projectId: deaf });
    await writeMigrations(folder, {
      '0000_init': GUIDE_TABLES,
      '0001_second': [
        'CREATE TABLE fine (id int)',
        'CREATE DOMAIN public.occupied AS text',
        'CREATE TABLE late (id int)',
      ],
    });

    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder, transaction: 'all' });

    expect(run.exitCode).toBe(1);
    expect(run.outputs).toMatchObject({ verdict: 'failed', succeeded: '3', failed: '2' });
    expect(statuses(run)).toEqual({
      [name('good-1')]: 'succeeded',
      [name('good-2')]: 'succeeded',
      [name('good-3')]: 'succeeded',
      [name('deaf')]: 'failed',
      [name('broken')]: 'failed',
    });
    for (const id of [good1, good2, good3]) expect(await fleet.tables(id)).toContain('public.late');
    // Left exactly as they were: not even drizzle's own table is there.
    fleet.neon.faults.clear();
    expect(await fleet.tables(broken)).toEqual([]);
    expect(await fleet.tables(deaf)).toEqual([]);

    expect(outcomeOf(run, name('broken'))).toMatchObject({
      error: {
        code: 'SQLSTATE 42710',
        message: expect.stringContaining('0001_second.sql, statement 2 of 3') as unknown,
      },
    });
    for (const shown of [run.log, run.summary]) {
      expect(shown).toContain(name('deaf'));
      expect(shown).toContain('0001_second.sql, statement 2 of 3');
    }
    const annotations = run.log.split('\n').filter((line) => line.startsWith('::error'));
    expect(annotations.join('\n')).toMatch(/deaf[^]*broken|broken[^]*deaf/);
    expect(run.outputs['message']).toContain('2 of 5 tenants failed');
  });

  test('leaves a failed tenant at the migration before the one that failed, as drizzle’s table says', async () => {
    const { ids, tenants } = await seed('half', 'whole');
    const [half = '', whole = ''] = ids;
    await fleet.query(half, 'CREATE DOMAIN public.occupied AS int');
    await writeMigrations(folder, {
      '0000_init': GUIDE_TABLES,
      '0001_second': ['CREATE TABLE fine (id int)', 'CREATE DOMAIN public.occupied AS text'],
      '0002_third': ['CREATE TABLE late (id int)'],
    });

    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    expect(run.outputs).toMatchObject({ verdict: 'failed', succeeded: '1', failed: '1' });
    expect(await fleet.tables(half)).toEqual([
      'drizzle.__drizzle_migrations',
      'public.projects',
      'public.tasks',
      'public.users',
    ]);
    expect(await fleet.query(half, 'SELECT id FROM drizzle.__drizzle_migrations')).toHaveLength(1);
    expect(await fleet.query(whole, 'SELECT id FROM drizzle.__drizzle_migrations')).toHaveLength(3);
    const failed = reportOf(run).outcomes.find(({ projectId }) => projectId === half);
    expect(failed).toMatchObject({ status: 'failed', migration: { applied: ['0000_init'], to: '0000_init' } });

    // Once the cause is gone, only what is left is done.
    await fleet.query(half, 'DROP DOMAIN public.occupied');
    const again = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    expect(again.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '1', unchanged: '1' });
    expect(await fleet.tables(half)).toContain('public.late');
  });

  test('leaves a database alone that has tables but no record of drizzle’s', async () => {
    const { ids, tenants, name } = await seed('pushed', 'fresh');
    await fleet.query(ids[0] ?? '', 'CREATE TABLE made_by_hand (id int)');

    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    expect(run.exitCode).toBe(1);
    expect(run.outputs['verdict']).toBe('incomplete');
    expect(statuses(run)).toEqual({ [name('pushed')]: 'skipped: drift', [name('fresh')]: 'succeeded' });
    expect(outcomeOf(run, name('pushed')).detail).toContain('public.made_by_hand');
    expect(await fleet.tables(ids[0] ?? '')).toEqual(['public.made_by_hand']);

    const allowed = await fleet.run('migrate', { tenants, 'migrations-folder': folder, 'allow-skipped': 'drift' });
    expect(allowed).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded', skipped: '1' } });
  });

  test('is incomplete, not green, when Neon can list only a part of the projects', async () => {
    const { ids, tenants, name } = await seed('seen', 'unseen');
    fleet.neon.faults.set({ kind: 'unavailable-projects', ids: [ids[1] ?? ''] });

    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    expect(run.exitCode).toBe(1);
    expect(run.outputs).toMatchObject({ verdict: 'incomplete', succeeded: '1', skipped: '1' });
    expect(statuses(run)).toEqual({ [name('seen')]: 'succeeded', [ids[1] ?? '']: 'skipped: unlisted' });
  });

  test('skips tenants whose quota is used up or whose project is gone, each with its own reason', async () => {
    const { ids, tenants, name } = await seed('used up', 'deleted', 'fine');
    const [usedUp = '', deleted = ''] = ids;
    fleet.neon.faults.set(
      { kind: 'quota-suspended', projectId: usedUp },
      { kind: 'status', status: 404, path: `/projects/${deleted}/**` },
    );
    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    expect(run.outputs['verdict']).toBe('incomplete');
    expect(statuses(run)).toEqual({
      [name('used up')]: 'skipped: quota-suspended',
      [name('deleted')]: 'skipped: gone',
      [name('fine')]: 'succeeded',
    });
  });

  test('waits while another session holds the tenant’s lock, and skips it when that takes too long', async () => {
    const { ids, tenants } = await seed('busy');
    await using holder = await holdLock(ids[0] ?? '');

    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder, 'lock-wait': '300ms' });
    expect(reportOf(run).outcomes).toMatchObject([{ status: 'skipped', reason: 'locked' }]);
    expect(run.outputs['verdict']).toBe('incomplete');

    await holder.release();
    const again = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    expect(again.outputs['verdict']).toBe('succeeded');
  });

  test('does not wait longer than lock-timeout for a table that somebody uses', async () => {
    const { ids, tenants } = await seed('in use');
    await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    await writeMigrations(folder, { '0000_init': GUIDE_TABLES, '0001_due': ['ALTER TABLE tasks ADD due date'] });
    await using holder = await holdLock(ids[0] ?? '', 'BEGIN; LOCK TABLE tasks IN ACCESS SHARE MODE');

    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder, 'lock-timeout': '200ms' });
    expect(reportOf(run).outcomes).toMatchObject([{ status: 'failed', error: { code: 'SQLSTATE 55P03' } }]);
    await holder.release();
  });

  test('ends a statement that runs longer than statement-timeout', async () => {
    const { tenants } = await seed('slow');
    await writeMigrations(folder, { '0000_slow': ['CREATE TABLE a (id int)', 'SELECT pg_sleep(60)'] });
    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder, 'statement-timeout': '300ms' });
    expect(reportOf(run).outcomes).toMatchObject([{ status: 'failed', error: { code: 'SQLSTATE 57014' } }]);
  });

  test.each([20, 40, 60, 80])('agrees with the database when the connection is cut after %d ms', async (ms) => {
    const { ids, tenants } = await seed('cut');
    const [id = ''] = ids;
    await fleet.tables(id); // the database is there before the clock starts
    await writeMigrations(folder, { '0000_init': ['CREATE TABLE a (id int)'] });
    fleet.neon.faults.set({ kind: 'drop-after-ms', ms, projectId: id, times: 1 });

    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    const [outcome] = reportOf(run).outcomes;
    expect((await fleet.tables(id)).includes('public.a')).toBe(outcome?.status === 'succeeded');
    expect(outcome?.status).toMatch(/^(succeeded|failed)$/);
  });

  test('refuses wrong inputs all at once, and does nothing', async () => {
    const before = fleet.neon.requests().length;
    const run = await fleet.run('migrate', {
      'neon-api-key': '',
      'neon-api-url': 'http://example.com/api/v2',
      'neon-org-id': 'my org',
      tenants: '',
      concurrency: 'many',
      'allow-skipped': 'drift, whatever',
      'lock-timeout': '5',
    });
    expect(run.exitCode).toBe(1);
    for (const input of [
      'neon-api-key',
      'neon-api-url',
      'neon-org-id',
      'tenants',
      'concurrency',
      'allow-skipped',
      'lock-timeout',
    ]) {
      expect(run.log).toMatch(new RegExp(`${input}: given .*; accepted: `));
    }
    expect(run.log).toContain('given "many"; accepted: a whole number from 1 to 200');
    expect(fleet.neon.requests()).toHaveLength(before);
  });

  test.each<[string, Record<string, string>, RegExp[]]>([
    [
      'a folder that is not there',
      { 'migrations-folder': './nowhere' },
      [/migrations-folder: given "\.\/nowhere", and there is no such folder; accepted: a folder that drizzle-kit/],
    ],
    [
      'a folder that drizzle-kit did not write',
      { 'migrations-folder': '.' },
      [/migrations-folder: given "\.", and it has no meta\/_journal\.json; accepted: /],
    ],
    ['a migration to stop at that there is not', { to: '0009' }, [/to: given "0009", and no migration .*0000_init/]],
    [
      'a migration to have that there is not',
      { command: 'assert', 'at-least': '0009' },
      [/at-least: given "0009", and no migration is called "0009"/],
    ],
    [
      'a migration to be at that there is not',
      { command: 'baseline', at: '0009' },
      [/at: given "0009", and no migration is called "0009"/],
    ],
    [
      'a plan that is not there',
      { command: 'apply', plan: 'no.json', shard: '1', 'migrations-folder': './nowhere' },
      [/plan: given "no\.json", and there is no plan/, /migrations-folder: given "\.\/nowhere"/],
    ],
    [
      'a plan that is not there',
      { command: 'report', plan: 'no.json', reports: 'no' },
      [/plan: given "no\.json", and /],
    ],
    [
      'a report that is not there',
      { command: 'undo', 'undo-report': 'no.json' },
      [/undo-report: given "no\.json", and there is no report to read/],
    ],
  ])('tells of %s together with all the rest, and does nothing', async (_, inputs, words) => {
    const before = fleet.neon.requests().length;
    const run = await fleet.run('migrate', {
      tenants: '*',
      'migrations-folder': folder,
      concurrency: 'x',
      ...inputs,
    });
    expect(run.exitCode).toBe(1);
    for (const word of [...words, /concurrency: given "x"; accepted: /]) expect(run.log).toMatch(word);
    expect(run.log).toContain(`${words.length + 1} inputs are wrong; nothing was done`);
    expect(fleet.neon.requests()).toHaveLength(before);
  });

  test('goes on with a glob that leaves nobody out, and tells of it in log and summary', async () => {
    const { ids, tenants } = await seed('there');
    const run = await fleet.run('migrate', { tenants: `${tenants}\n!stagign-<b>*`, 'migrations-folder': folder });
    expect(run.exitCode).toBe(0);
    expect(run.log).toMatch(/^::warning.*no project matches "!stagign-<b>\*"/m);
    expect(run.summary).toContain('no project matches &quot;!stagign-&lt;b&gt;*&quot;');
    expect(await fleet.tables(ids[0] ?? '')).toContain('public.tasks');
  });

  test.each([
    ['a pattern that matches nothing', { tenants: 'nobody-*' }, /no project matches "nobody-\*"/],
    ['a name to be left out that nobody has', { tenants: '*\n!ACME Crop' }, /no project matches "!ACME Crop"/],
    ['a folder that is not there', { tenants: '*', 'migrations-folder': './nowhere' }, /there is no such folder/],
    [
      'a key that Neon refuses',
      { tenants: '*', 'neon-api-key': 'napi_wrong_wrong_wrong' },
      /HTTP 401[^]*The API key was refused/,
    ],
  ])('refuses %s with what to do', async (_, inputs, message) => {
    await seed('untouched');
    const run = await fleet.run('migrate', { 'migrations-folder': folder, ...inputs });
    expect(run.exitCode).toBe(1);
    expect(run.log).toMatch(message);
  });

  test('refuses a folder with a COMMIT of its own before any tenant is touched', async () => {
    const { ids, tenants } = await seed('whole');
    await writeMigrations(folder, { '0000_init': ['CREATE TABLE a (id int); COMMIT; SELECT 1 / 0'] });
    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    expect(run.exitCode).toBe(1);
    expect(run.log).toMatch(/0000_init\.sql, statement 1, has a COMMIT of its own/);
    expect(await fleet.tables(ids[0] ?? '')).toEqual([]);
  });

  test('prints no value of a row when a migration fails over one', async () => {
    const { ids, tenants } = await seed('valued');
    await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    await fleet.query(ids[0] ?? '', `INSERT INTO users (name) VALUES ('private-value'), ('private-value')`);
    for (const bad of [
      'ALTER TABLE users ALTER name TYPE int USING name::int',
      'ALTER TABLE users ADD UNIQUE (name)',
    ]) {
      await writeMigrations(folder, { '0000_init': GUIDE_TABLES, '0001_bad': [bad] });
      const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
      expect(run.exitCode).toBe(1);
      expect(run.log + run.summary + (run.report ?? '')).not.toContain('private-value');
    }
  });

  test('treats names of tenants as data in the log, the summary and the outputs', async () => {
    const hostile = `::error::x <script>alert(1)</script> | "q" 'a' $(id) \`b\` ${'é'.repeat(20)} 🦊`;
    const { tenants, name } = await seed(hostile);
    const run = await fleet.run('migrate', { tenants, 'migrations-folder': folder });
    expect(run.exitCode).toBe(0);
    expect(statuses(run)).toEqual({ [name(hostile)]: 'succeeded' });
    expect(run.summary).not.toContain('<script>');
    expect(run.log.split('\n').filter((line) => line.trim().startsWith('::error'))).toEqual([]);
  });
});

async function holdLock(projectId: string, sql = 'SELECT pg_advisory_lock(1852141422, 1718379877)') {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: await fleet.neon.adminUrlFor(projectId) });
  await client.connect();
  await client.query(sql);
  let released: Promise<void> | undefined;
  const release = () => (released ??= client.end());
  return { release, [Symbol.asyncDispose]: release };
}
