import { cp, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ActionRun } from '@neon-fleet/local-runner';
import { createApiClient } from '@neondatabase/api-client';

import { silentServer } from '../../packages/shared/test/support/silent-server.js';
import { ROOT } from '../../scripts/actions.js';
import { TestFleet, outcomeOf, reportOf, statuses } from '../support/fleet.js';
import { writeMigrations } from '../support/migrations.js';
import { Workflow } from '../support/workflow.js';
import { descendantsOf, listProcesses, type ProcessInfo } from '../support/processes.js';

let fleet: TestFleet;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  fleet.neon.faults.clear();
  count += 1;
});

/** How long a run may take to end itself after the first signal. */
const MAX_STOP_MS = 5_000;

/** Resolves when the tenant's database runs no statement like this any more. */
async function noStatementRuns(projectId: string, like: string): Promise<void> {
  for (;;) {
    const running = await fleet.query(
      projectId,
      `SELECT FROM pg_stat_activity WHERE state <> 'idle' AND query LIKE '${like}'
          AND pid <> pg_backend_pid() AND datname = current_database()`,
    );
    if (running.length === 0) return;
  }
}

describe('a cancelled run', () => {
  test('rolls back what is in flight, starts nothing new, and reports every tenant within five seconds', async () => {
    const names = Array.from({ length: 6 }, (_, index) => `c${count}-${index}`);
    const ids = await fleet.neon.seedProjects(names);
    const folder = await writeMigrations(path.join(fleet.folder, `slow-${count}`), {
      '0000_slow': ['CREATE TABLE half_done (id int)', 'SELECT pg_sleep(120)'],
    });

    const run = await fleet.start('migrate', {
      tenants: `c${count}-*`,
      'migrations-folder': folder,
      concurrency: '2',
    });
    await Promise.all([
      fleet.statementRuns(ids[0] ?? '', '%pg_sleep%'),
      fleet.statementRuns(ids[1] ?? '', '%pg_sleep%'),
    ]);
    const cancelledAtMs = performance.now();
    run.cancel();
    const finished = await run.finished;

    expect(performance.now() - cancelledAtMs).toBeLessThan(MAX_STOP_MS);
    expect(finished).toMatchObject({ exitCode: 1, signal: null, outputs: { verdict: 'incomplete', skipped: '6' } });
    expect(Object.values(statuses(finished))).toEqual(Array(6).fill('skipped: cancelled'));
    expect(finished.summary).toContain('6 skipped');
    for (const id of ids) {
      expect(await fleet.tables(id)).toEqual([]);
      // The statement was ended on the server too: nobody is left working for a run that is over.
      expect(
        await fleet.query(
          id,
          `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()`,
        ),
      ).toEqual([]);
    }
  });

  test('ends in the same good order when its time limit is reached', async () => {
    const [id = ''] = await fleet.neon.seedProjects([`c${count}-limited`]);
    const folder = await writeMigrations(path.join(fleet.folder, `slow-${count}`), {
      '0000_slow': ['SELECT pg_sleep(120)'],
    });
    const run = await fleet.run('migrate', { tenants: `c${count}-*`, 'migrations-folder': folder, 'time-limit': '1s' });
    expect(run.exitCode).toBe(1);
    expect(reportOf(run).outcomes).toMatchObject([{ projectId: id, status: 'skipped', reason: 'deadline' }]);
  });

  test('reports its shard although the catalog takes the connection and never answers', async () => {
    const [id = ''] = await fleet.neon.seedProjects([`c${count}-silent`]);
    const folder = await writeMigrations(path.join(fleet.folder, `one-${count}`), {
      '0000_one': ['CREATE TABLE never_made (id int)'],
    });
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `workflow-${count}`), {
      'migrations-folder': folder,
    });
    expect(await workflow.plan({ tenants: `c${count}-*` })).toMatchObject({ exitCode: 0, outputs: { tenants: '1' } });

    await using catalog = await silentServer();
    const job = await workflow.startApply(1, { 'catalog-url': catalog.catalogUrl });
    await catalog.asked;
    job.cancel();
    const finished = await job.finished;

    expect(finished).toMatchObject({ exitCode: 1, signal: null, outputs: { verdict: 'incomplete', skipped: '1' } });
    expect(Object.values(statuses(finished))).toEqual(['skipped: cancelled']);
    expect(finished.outputs['catalog-replay']).toBeDefined();
    expect(finished.log).not.toContain('The failures of the other shards are not known');
    expect(await fleet.tables(id)).toEqual([]);
  });

  test('leaves no child process', async () => {
    // drizzle-kit is a process of its own, with one of its own in turn.
    const [id = ''] = await fleet.neon.seedProjects([`c${count}-child`]);
    const app = await repository();
    await writeFile(
      path.join(app, 'drizzle.config.ts'),
      `import { defineConfig } from 'drizzle-kit';
       export default defineConfig({ dialect: 'postgresql', out: './drizzle', dbCredentials: { url: process.env.DATABASE_URL! } });`,
    );
    await writeMigrations(path.join(app, 'drizzle'), { '0000_slow': ['SELECT pg_sleep(120)'] });
    const inputs = { tenants: `c${count}-*`, engine: 'drizzle-kit', 'drizzle-config': 'drizzle.config.ts' };
    const run = await fleet.start('migrate', inputs, { cwd: app });
    await fleet.statementRuns(id, '%pg_sleep%');
    const children = descendantsOf(await listProcesses(), run.process.pid ?? 0);
    expect(children.map(({ commandLine }) => commandLine).join('\n')).toContain('drizzle-kit');

    run.cancel();
    const finished = await run.finished;
    expect(finished).toMatchObject({ exitCode: 1, signal: null });
    expect(Object.values(statuses(finished))).toEqual(['skipped: cancelled']);
    expect(await stillThere(children)).toEqual([]);
  });
});

describe.each<[string, (run: ActionRun) => void]>([
  ['as a runner cancels', (run) => run.cancel()],
  ['by a SIGTERM alone', (run) => void run.process.kill('SIGTERM')],
])('told to end %s,', (_, end) => {
  test('provision leaves nothing half done, names the project, and the next run does the rest', async () => {
    const [slow, late] = [`c${count} slow`, `c${count} late`];
    const folder = await writeMigrations(path.join(fleet.folder, `slow-${count}`), {
      '0000_slow': ['CREATE TABLE half_done (id int)', 'SELECT pg_sleep(120)'],
    });
    const inputs = { name: `${slow}\n${late}`, 'migrations-folder': folder, concurrency: '1' };
    const run = await fleet.start('provision', inputs);
    const id = await projectNamed(slow);
    await fleet.statementRuns(id, '%pg_sleep%');
    end(run);
    const finished = await run.finished;

    expect(finished).toMatchObject({ exitCode: 1, signal: null, outputs: { verdict: 'incomplete', skipped: '2' } });
    expect(statuses(finished)).toEqual({ [slow]: 'skipped: cancelled', [late]: 'skipped: cancelled' });
    expect(outcomeOf(finished, slow).projectId).toBe(id);
    expect(finished.summary).toContain('2 skipped');
    expect(await fleet.tables(id)).toEqual([]);

    await writeMigrations(folder, { '0000_slow': ['CREATE TABLE half_done (id int)'] });
    const again = await fleet.run('provision', inputs);
    expect(again).toMatchObject({ exitCode: 0, outputs: { succeeded: '2' } });
    expect(outcomeOf(again, slow).projectId).toBe(id);
    expect(await fleet.tables(id)).toContain('public.half_done');
  });

  test('a restore leaves the target as it was, and no psql', async () => {
    const { run, id, psql, target } = await restoreUnderWay();
    end(run);
    const finished = await run.finished;

    expect(finished).toMatchObject({ exitCode: 1, signal: null, outputs: { verdict: 'incomplete', skipped: '1' } });
    expect(reportOf(finished).outcomes).toMatchObject([{ projectId: id, status: 'skipped', reason: 'cancelled' }]);
    expect(finished.outputs['restored-from']).toBeUndefined();
    expect(await stillThere([psql])).toEqual([]);
    expect(await fleet.tables(target)).toEqual([]);
  });
});

describe('killed', () => {
  test('a provision leaves nothing half done, and the next run makes no second project', async () => {
    const name = `c${count} killed`;
    const folder = await writeMigrations(path.join(fleet.folder, `slow-${count}`), {
      '0000_slow': ['CREATE TABLE half_done (id int)', 'SELECT pg_sleep(3)'],
    });
    const run = await fleet.start('provision', { name, 'migrations-folder': folder });
    const id = await projectNamed(name);
    await fleet.statementRuns(id, '%pg_sleep%');
    run.process.kill('SIGKILL');
    expect(await run.finished).toMatchObject({ signal: 'SIGKILL' });
    // The server ends what nobody waits for any more once the statement is done.
    await noStatementRuns(id, '%pg_sleep%');
    expect(await fleet.tables(id)).not.toContain('public.half_done');

    await writeMigrations(folder, { '0000_slow': ['CREATE TABLE half_done (id int)'] });
    const again = await fleet.run('provision', { name, 'migrations-folder': folder });
    expect(again).toMatchObject({ exitCode: 0, outputs: { created: 'false', 'project-id': id } });
    expect(await fleet.tables(id)).toContain('public.half_done');
  });

  test('a restore commits nothing, and its psql ends by itself', async () => {
    const { run, psql, target } = await restoreUnderWay();
    run.process.kill('SIGKILL');
    expect(await run.finished).toMatchObject({ signal: 'SIGKILL' });
    while ((await stillThere([psql])).length > 0);
    await noStatementRuns(target, '%COPY%');
    expect(await fleet.tables(target)).toEqual([]);
  });
});

/** The id of a project once there is one of this name. */
async function projectNamed(name: string): Promise<string> {
  const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
  for (;;) {
    const { data } = await api.listProjects({ search: name, limit: 400 });
    const found = data.projects.find((project) => project.name === name);
    if (found !== undefined) return found.id;
  }
}

/** A restore whose psql is in the middle of the rows: S3 has not given all of the dump. */
async function restoreUnderWay() {
  const [id = '', target = ''] = await fleet.neon.seedProjects([`c${count} source`, `c${count} target`]);
  await fleet.query(
    id,
    `CREATE TABLE bulk AS SELECT n, (SELECT string_agg(md5(random()::text || n || part), '') FROM generate_series(1, 32) part) AS body
       FROM generate_series(1, 30000) n`,
  );
  await fleet.run('backup', { ...fleet.s3Inputs, tenants: id });
  const run = await fleet.start('backup', {
    ...fleet.s3Inputs,
    command: 'restore',
    tenant: id,
    backup: 'latest',
    'target-url': await fleet.uriOf(target),
  });
  await fleet.statementRuns(target, 'COPY %');
  const psql = descendantsOf(await listProcesses(), run.process.pid ?? 0).find(({ commandLine }) =>
    /\bpsql\b/.test(commandLine),
  );
  if (psql === undefined) throw new Error('psql is not running');
  return { run, id, psql, target };
}

/** Those of some processes that still run. A zombie that nobody has collected yet has no command line, and runs no more. */
async function stillThere(processes: readonly ProcessInfo[]): Promise<string[]> {
  const now = await listProcesses();
  return processes
    .filter(({ pid, commandLine }) => now.some((info) => info.pid === pid && info.commandLine === commandLine))
    .map(({ commandLine }) => commandLine);
}

/** A repository as a user has it: the example app with its packages installed. */
async function repository(): Promise<string> {
  const folder = path.join(fleet.folder, `app-${count}`);
  await cp(path.join(ROOT, 'examples', 'app'), folder, { recursive: true });
  await rm(path.join(folder, 'drizzle'), { recursive: true });
  await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  return folder;
}
