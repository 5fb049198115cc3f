import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FinishedAction } from '@neon-fleet/local-runner';

import type { ActionName } from '../../scripts/actions.js';
import { TestFleet, outcomeOf } from '../support/fleet.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';
import { descendantsOf, listProcesses, type ProcessInfo } from '../support/processes.js';
import { passwordsSeenBy, placesThatShow } from '../support/secrets.js';
import { isPart, S3Proxy, StoreInspector } from '../support/store.js';

let fleet: TestFleet;
let store: StoreInspector;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
  store = new StoreInspector(fleet.neon.s3);
});
afterAll(async () => {
  store[Symbol.dispose]();
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  fleet.neon.faults.clear();
  count += 1;
});

/** A step that has ended, with all that could be seen of it. */
interface Watched {
  readonly finished: FinishedAction;
  /** Every process that it had below itself, as often as one was looked at. */
  readonly children: readonly ProcessInfo[];
  /** Where everything lies that the runner gave it and that it wrote. */
  readonly folder: string;
}

/**
 * Runs a step to its end, and looks at its processes all the while.
 *
 * @param onChild called with each child when it is seen first.
 */
async function watch(
  action: ActionName,
  inputs: Record<string, string>,
  onChild: (child: ProcessInfo) => void = () => undefined,
): Promise<Watched> {
  const folder = await mkdtemp(path.join(fleet.folder, 'runner-'));
  const run = await fleet.start(action, inputs, { folder });
  const children: ProcessInfo[] = [];
  const seen = new Set<number>();
  // The step itself ends before its output is read to the end, and its children with it.
  while (run.process.exitCode === null && run.process.signalCode === null) {
    for (const child of descendantsOf(await listProcesses(), run.process.pid ?? 0)) {
      children.push(child);
      // Between fork and exec a child has the command line of its parent.
      if (seen.has(child.pid) || child.commandLine.includes('dist/')) continue;
      seen.add(child.pid);
      onChild(child);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { finished: await run.finished, children, folder };
}

/** Where a secret shows: places of the step, arguments of its children, and files. */
async function whereItShows(secret: string, { finished, children, folder }: Watched, secretOutputs: string[] = []) {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const contents = await Promise.all(
    files
      .filter((file) => file.isFile())
      // What the outputs are written to is looked at output by output.
      .filter(({ name, parentPath }) => !(name === 'output' && parentPath === folder))
      .map(async ({ name, parentPath }) => [name, await readFile(path.join(parentPath, name), 'latin1')] as const),
  );
  return [
    ...placesThatShow(secret, finished, secretOutputs),
    ...children.filter(({ commandLine }) => commandLine.includes(secret)).map(() => 'an argument'),
    ...contents.filter(([, text]) => text.includes(secret)).map(([name]) => `the file ${name}`),
  ];
}

/** Whose environment holds a secret, among the programs that were started. */
function environmentsWith(secret: string, children: readonly ProcessInfo[]): string[] {
  return children
    .filter(({ commandLine, environment }) => !commandLine.includes('dist/') && environment.includes(secret))
    .map(({ commandLine }) => commandLine);
}

const keys = () => [fleet.neon.apiKey, fleet.neon.s3.secretAccessKey];

/** Expects that neither the passwords of the tenants nor a key show anywhere, and gives the passwords. */
async function expectNoSecret(watched: Watched, passwords = passwordsSeenBy(watched.finished)): Promise<void> {
  expect(passwords).not.toEqual([]);
  for (const secret of [...passwords, ...keys()]) expect(await whereItShows(secret, watched)).toEqual([]);
  for (const key of keys()) expect(environmentsWith(key, watched.children)).toEqual([]);
}

async function seed(...names: string[]): Promise<string[]> {
  return fleet.neon.seedProjects(names.map((name) => `x${count} ${name}`));
}

describe('no secret shows', () => {
  test('when migrate does well, and when it fails in every way', async () => {
    const [, broken = '', deaf = '', refused = ''] = await seed('good', 'broken', 'deaf', 'refused');
    await fleet.query(broken, 'CREATE DOMAIN public.users AS int');
    fleet.neon.faults.set(
      { kind: 'refuse-connections', projectId: deaf },
      { kind: 'wrong-password', projectId: refused },
    );
    const folder = await writeMigrations(path.join(fleet.folder, `drizzle-${count}`), { '0000_init': GUIDE_TABLES });
    const watched = await watch('migrate', { tenants: `x${count} *`, 'migrations-folder': folder });
    expect(watched.finished.outputs).toMatchObject({ succeeded: '1', failed: '3' });
    await expectNoSecret(watched);
    expect(passwordsSeenBy(watched.finished)).toHaveLength(4);
  });

  test('when a migration makes the server say the password', async () => {
    const [id = ''] = await seed('talkative');
    const { password } = new URL(await fleet.uriOf(id));
    const folder = await writeMigrations(path.join(fleet.folder, `drizzle-${count}`), {
      '0000_bad': [`DO $$ BEGIN RAISE EXCEPTION 'no such key: ${password}' USING HINT = '${password}'; END $$`],
    });
    const watched = await watch('migrate', { tenants: id, 'migrations-folder': folder });
    expect(watched.finished.exitCode).toBe(1);
    expect(outcomeOf(watched.finished, `x${count} talkative`).detail).toMatch(/no such key: (npg_)?\*\*\*;/);
    await expectNoSecret(watched, [password]);
  });

  test('when Neon refuses the key', async () => {
    const wrong = 'napi_wrong_wrong_wrong_wrong';
    const folder = await writeMigrations(path.join(fleet.folder, `drizzle-${count}`), { '0000_init': GUIDE_TABLES });
    for (const [action, inputs] of [
      ['migrate', { tenants: '*', 'migrations-folder': folder }],
      ['backup', { tenants: '*', ...fleet.s3Inputs }],
      ['provision', { name: `x${count} new` }],
    ] as const) {
      const watched = await watch(action, { ...inputs, 'neon-api-key': wrong });
      expect(watched.finished.exitCode).toBe(1);
      expect(await whereItShows(wrong, watched)).toEqual([]);
    }
  });

  test.each([
    ['provision', ['neon-api-key', 'catalog-url', 'github-token']],
    ['migrate', ['neon-api-key', 'catalog-url', 'github-token', 'scratch-url']],
    ['backup', ['neon-api-key', 'catalog-url', 'github-token', 'target-url']],
  ] as const)('when the inputs of %s are wrong, and one repeats a secret', async (action, secrets) => {
    for (const input of secrets) {
      const secret = `only-${input}-knows`;
      const run = await fleet.run(action, { [input]: secret, concurrency: secret });
      expect(run.exitCode).toBe(1);
      expect(run.masks).toContain(secret);
      expect(placesThatShow(secret, { ...run, log: '' })).toEqual([]);
    }
  });

  test('when pg_dump is killed', async () => {
    const [id = ''] = await seed('killed');
    await fill(id);
    const watched = await watch('backup', { tenants: id, ...fleet.s3Inputs }, ({ pid, commandLine }) => {
      if (/\bpg_dump\b.*--format/.test(commandLine)) process.kill(pid, 'SIGKILL');
    });
    expect(watched.finished.outputs).toMatchObject({ verdict: 'failed', failed: '1' });
    expect(outcomeOf(watched.finished, `x${count} killed`).detail).toMatch(/pg_dump .*SIGKILL/);
    await expectNoSecret(watched);
  });

  test('when S3 fails', async () => {
    const [id = ''] = await seed('unstored');
    await fill(id);
    await using proxy = await S3Proxy.start(fleet.neon.s3.endpoint, (request) => (isPart(request) ? 500 : 'pass'));
    const watched = await watch('backup', { tenants: id, ...fleet.s3Inputs, 's3-endpoint': proxy.endpoint });
    expect(watched.finished.outputs).toMatchObject({ verdict: 'failed', failed: '1' });
    expect(watched.children.some(({ commandLine }) => commandLine.includes('pg_dump'))).toBe(true);
    await expectNoSecret(watched);
  });

  test.each<[string, (target: URL) => Promise<unknown>, RegExp]>([
    ['does well', () => Promise.resolve(), /^$/],
    ['is refused', (target) => Promise.resolve((target.password = 'wrong-wrong-wrong')), /28P01/],
    ['finds the target in use', (target) => queryAt(target, 'CREATE TABLE mine (id int)'), /is not empty/],
    [
      'fails half way',
      // The index, which comes after all data, is there already.
      (target) => queryAt(target, 'CREATE TABLE other (id int); CREATE INDEX bulk_n ON other (id)'),
      /42P07/,
    ],
  ])('when a restore %s', async (what, prepare, words) => {
    const [id = '', targetId = ''] = await seed('source', 'target');
    await fill(id);
    await fleet.query(id, 'CREATE INDEX bulk_n ON bulk (n)');
    await fleet.run('backup', { ...fleet.s3Inputs, tenants: id });
    const target = new URL(await fleet.uriOf(targetId));
    await prepare(target);

    const watched = await watch('backup', {
      ...fleet.s3Inputs,
      command: 'restore',
      tenant: id,
      backup: 'latest',
      'target-url': target.href,
      'allow-non-empty': String(what === 'fails half way'),
    });
    const { finished, children } = watched;
    expect(finished.exitCode).toBe(what === 'does well' ? 0 : 1);
    if (what !== 'does well') expect(finished.log).toMatch(words);
    await expectNoSecret(watched, [target.password]);
    expect(await whereItShows(target.href, watched)).toEqual([]);

    const psql = children.filter(({ commandLine }) => /\bpsql\b.*--file/.test(commandLine));
    // It is told the password, and the URI is not handed on.
    const isTold = psql.some(({ environment }) => environment.includes(target.password));
    expect(isTold).toBe(what === 'does well' || what === 'fails half way');
    expect(environmentsWith(target.href, children)).toEqual([]);
    for (const key of (await store.keys(id)).filter((name) => name.endsWith('.json'))) {
      expect((await store.read(key)).toString('utf8')).not.toContain(target.password);
    }
  });
});

/** Makes a tenant's dump so large that one can watch it being made: tens of megabytes that do not compress well. */
async function fill(id: string): Promise<void> {
  await fleet.query(
    id,
    `CREATE TABLE bulk AS SELECT n, (SELECT string_agg(md5(random()::text || n || part), '') FROM generate_series(1, 32) part) AS body
       FROM generate_series(1, 20000) n`,
  );
}

async function queryAt(target: URL, sql: string): Promise<unknown> {
  const { default: pg } = await import('pg');
  const address = new URL(target);
  address.search = '';
  const client = new pg.Client({ connectionString: address.href, ssl: { rejectUnauthorized: false } });
  await client.connect();
  return client.query(sql).finally(() => client.end());
}
