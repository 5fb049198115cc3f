import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { DRIZZLE_TABLE, readMigrations } from '@neon-fleet/shared/drizzle';
import type { TenantResult } from '@neon-fleet/shared/fleet';

import { ROOT } from '../../../scripts/actions.js';
import { descendantsOf, listProcesses } from '../../../test/support/processes.js';
import { baselineDatabase, openReferences } from '../../src/baseline/index.js';
import { findDrizzleKit } from '../../src/kit/find-kit.js';
import { openKitEngine, runDrizzleKit, type KitEngine, type KitEngineOptions } from '../../src/kit/index.js';
import { DrizzleApp, USERS } from '../support/drizzle-app.js';
import { MigrateFleet } from '../support/migrate-fleet.js';

let fleet: MigrateFleet;
beforeAll(async () => {
  fleet = await MigrateFleet.start();
});
afterAll(() => fleet[Symbol.asyncDispose]());

let tenants = 0;
const newTenant = (sql = '') => fleet.tenant(`Tenant ${tenants++}`, sql);

/** What a step has around it: what a child may see of it, and what it may not. */
function surroundings(): Record<string, string | undefined> {
  return {
    PATH: process.env['PATH'],
    NODE_EXTRA_CA_CERTS: fleet.local.caFile,
    'INPUT_NEON-API-KEY': fleet.local.apiKey,
    AWS_SECRET_ACCESS_KEY: 'a-secret-of-the-step',
  };
}

function optionsOf(app: DrizzleApp): KitEngineOptions {
  return {
    drizzleConfig: undefined,
    drizzleUrlVariable: undefined,
    cwd: app.folder,
    env: surroundings(),
    timeLimitMs: 600_000,
    lockWaitMs: 60_000,
    lockTimeoutMs: 5_000,
    statementTimeoutMs: 600_000,
    authorities: fleet.authorities,
    signal: new AbortController().signal,
  };
}

describe.each(['0', '1'] as const)('engine drizzle-kit with drizzle %s', (major) => {
  let app: DrizzleApp;
  beforeEach(async () => {
    app = await DrizzleApp.create(major);
    await app.kit(['generate', '--name', 'init']);
  });
  afterEach(() => app[Symbol.asyncDispose]());

  const open = (overrides: Partial<KitEngineOptions> = {}): Promise<KitEngine> =>
    openKitEngine({ ...optionsOf(app), ...overrides });

  async function migrate(
    projectId: string,
    overrides: Partial<KitEngineOptions> = {},
    name = 'Tenant',
  ): Promise<TenantResult> {
    const engine = await open(overrides);
    return engine.migrate(await fleet.uriOf(projectId), name, { note: () => undefined });
  }

  test('applies what is pending, reads it back, and starts nothing where nothing is pending', async () => {
    const id = await newTenant();
    const { migrations } = await readMigrations(path.join(app.folder, 'drizzle'));
    const [init] = migrations;
    expect(await migrate(id)).toMatchObject({
      status: 'succeeded',
      detail: expect.stringContaining(`applied ${init?.tag ?? ''}`),
      migration: { to: init?.tag, applied: [init?.tag] },
    });
    expect(await fleet.record(id)).toMatchObject([{ hash: init?.hash, created_at: String(init?.when) }]);
    const { direct } = await fleet.local.connections(id);
    expect(await migrate(id)).toMatchObject({ status: 'unchanged', detail: `at ${init?.tag ?? ''}` });
    // Ours alone, and none of a drizzle-kit; the test's own look at the record is not one of these.
    expect((await fleet.local.connections(id)).direct - direct).toBe(1);
  });

  test('a migration that fails leaves everything as it was, and no secret anywhere', async () => {
    const id = await newTenant();
    await migrate(id);
    await app.addSql('broken', `INSERT INTO users (id, name) VALUES (7, 'x'), (7, 'y');`);
    const result = await migrate(id);
    expect(result).toMatchObject({ status: 'failed', migration: { applied: [] } });
    expect(JSON.stringify(result)).toMatch(/drizzle-kit ended with exit code 1/);
    const uri = new URL(await fleet.uriOf(id));
    expect(JSON.stringify(result)).not.toContain(uri.password);
    // What PostgreSQL quotes of rows stays out; 0.31 says nothing at all, and that is told.
    expect(JSON.stringify(result)).not.toContain('Key (id)');
    expect(JSON.stringify(result)).toContain(major === '1' ? 'users_pkey' : 'does not say why');
    expect(await fleet.record(id)).toHaveLength(1);
    expect(await fleet.query(id, 'SELECT * FROM users')).toEqual([]);
  });

  test('the URL is in the child’s environment alone: not on a command line, in no file, and beside it nothing of the step', async () => {
    const id = await newTenant();
    await migrate(id);
    await app.addSql('slow', 'SELECT pg_sleep(600);');
    const stop = new AbortController();
    const running = migrate(id, { signal: stop.signal });
    running.catch(() => undefined);
    await sleepingSession();
    const children = descendantsOf(await listProcesses(), process.pid);
    const { password } = new URL(await fleet.uriOf(id));
    const kits = children.filter(({ commandLine }) => commandLine.includes('migrate --config'));
    expect(kits).not.toEqual([]);
    for (const { commandLine, environment } of kits) {
      expect(commandLine).not.toContain(password);
      expect(environment).toContain(`DATABASE_URL=postgresql://`);
      expect(environment).toContain(password);
      expect(environment).not.toContain('napi_');
      expect(environment).not.toContain('a-secret-of-the-step');
    }
    expect(Object.values(await app.contents()).join('\n')).not.toContain(password);

    // A run that is stopped: the child is gone, its session on the server too, and nothing was applied.
    stop.abort(new Error('stopped'));
    await expect(running).rejects.toThrow('stopped');
    const left = descendantsOf(await listProcesses(), process.pid).map(({ pid }) => pid);
    expect(kits.filter(({ pid }) => left.includes(pid))).toEqual([]);
    expect(await sessions()).toEqual([]);
    expect(await fleet.record(id)).toHaveLength(1);
  });

  test('in the guide’s layout each tenant has its own config, folder and variable', async () => {
    const id = await newTenant();
    await app.writeConfig('configs/acme-corp/drizzle.config.ts', 'ACME_CORP_DATABASE_URL', './drizzle/acme-corp');
    await app.kit(['generate', '--config', 'configs/acme-corp/drizzle.config.ts'], { ACME_CORP_DATABASE_URL: 'x' });
    const overrides = { drizzleConfig: 'configs/*/drizzle.config.ts' };
    expect(await migrate(id, overrides, 'ACME Corp')).toMatchObject({ status: 'succeeded' });
    expect(await fleet.query(id, 'SELECT * FROM users')).toEqual([]);
    await expect(migrate(id, overrides, 'Payroll Inc')).rejects.toThrow(/"payroll-inc"/);
  });

  test('what was pushed can be adopted, and drizzle-kit goes on from there', async () => {
    const id = await newTenant();
    const url = await fleet.uriOf(id);
    await app.kit(['push', '--force'], {
      DATABASE_URL: url.replace('&channel_binding=require', ''),
      NODE_EXTRA_CA_CERTS: fleet.local.caFile,
    });
    const folder = await readMigrations(path.join(app.folder, 'drizzle'));
    const at = folder.migrations[0];
    if (at === undefined) throw new Error('there is no migration');
    const scope = { table: DRIZZLE_TABLE, ignoredSchemas: [] };
    const common = { authorities: fleet.authorities, signal: new AbortController().signal, statementTimeoutMs: 60_000 };
    const { result } = await baselineDatabase(url, {
      ...common,
      folder,
      at,
      scope,
      references: openReferences({ ...common, folder, at, scope }),
      dryRun: false,
      lockWaitMs: 60_000,
      lockTimeoutMs: 5_000,
      note: () => undefined,
    });
    expect(result).toEqual({ status: 'succeeded', detail: `adopted at ${at.tag}` });

    // The rows are those that drizzle-kit itself writes for another tenant.
    const other = await newTenant();
    await migrate(other);
    const withoutTime = (rows?: Record<string, unknown>[]) => rows?.map((row) => ({ ...row, applied_at: undefined }));
    expect(withoutTime(await fleet.record(id))).toEqual(withoutTime(await fleet.record(other)));

    await app.writeSchema(`${USERS}\nexport const tasks = pgTable('tasks', { id: serial('id').primaryKey() });`);
    await delay(1_100); // so that 1.0 sees a later second
    await app.kit(['generate', '--name', 'tasks']);
    expect(await migrate(id)).toMatchObject({ status: 'succeeded', migration: { from: at.tag } });
    expect(await fleet.query(id, 'SELECT * FROM tasks')).toEqual([]);
  });

  // What does not depend on drizzle's version.
  if (major === '1') return;

  test('ends what takes too long, on the server as well', async () => {
    const id = await newTenant();
    await migrate(id);
    await app.addSql('slow', 'SELECT pg_sleep(600);');
    const engine = await open();
    const configured = await engine.configured('Tenant');
    const result = await runDrizzleKit(await fleet.uriOf(id), {
      ...optionsOf(app),
      ...configured,
      kit: await findDrizzleKit(app.folder),
      urlVariables: ['DATABASE_URL'],
      timeLimitMs: 6_000,
      note: () => undefined,
    });
    expect(result).toMatchObject({ status: 'failed', error: { code: 'timeout' }, migration: { applied: [] } });
    expect(await sessions()).toEqual([]);
    expect(await fleet.record(id)).toHaveLength(1);
  });

  test('leaves a database alone that contradicts the folder, or that somebody works on', async () => {
    const pushed = await newTenant('CREATE TABLE users (id int)');
    expect(await migrate(pushed)).toMatchObject({ status: 'skipped', reason: 'drift' });
    expect(await migrate(pushed, { onDrift: 'fail' })).toMatchObject({ status: 'failed', stopsRollout: true });
    const locked = await newTenant();
    const lock = await fleet.holdLock(locked);
    expect(await migrate(locked, { lockWaitMs: 1 })).toMatchObject({ status: 'skipped', reason: 'locked' });
    await lock.release();
    expect(await fleet.record(locked)).toBeUndefined();
  });

  test('two at once: each migration is applied once', async () => {
    const id = await newTenant();
    await app.addSql('count', `INSERT INTO users (name) VALUES ('once');`);
    const results = await Promise.all([migrate(id), migrate(id)]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(['succeeded', 'unchanged']);
    expect(await fleet.query(id, 'SELECT name FROM users')).toEqual([{ name: 'once' }]);
    expect(await fleet.record(id)).toHaveLength(2);
  });

  test('a check of the user’s own has the last word', async () => {
    const id = await newTenant();
    expect(await migrate(id, { postCheck: 'SELECT count(*) > 0 FROM users' })).toMatchObject({
      status: 'failed',
      error: { message: expect.stringContaining('post-check') },
      migration: { applied: [expect.any(String)] },
    });
  });

  test('does not go on without a parent that was killed', async () => {
    const id = await newTenant();
    await migrate(id);
    await app.addSql('slow', 'SELECT pg_sleep(600);');
    const script = `
      import { openKitEngine } from ${JSON.stringify(path.join(ROOT, 'action-migrate/src/kit/index.ts'))};
      const options = JSON.parse(process.env.OPTIONS);
      const engine = await openKitEngine({ ...options, signal: new AbortController().signal });
      await engine.migrate(process.env.URI, 'Tenant', { note: () => undefined });`;
    const options = {
      cwd: app.folder,
      env: surroundings(),
      timeLimitMs: 600_000,
      lockWaitMs: 60_000,
      lockTimeoutMs: 5_000,
      statementTimeoutMs: 600_000,
      authorities: [await readFile(fleet.local.caFile, 'utf8')],
    };
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], URI: await fleet.uriOf(id), OPTIONS: JSON.stringify(options) },
      stdio: 'ignore',
    });
    const gone = new Promise<never>((_, reject) =>
      parent.once('exit', (code) => reject(new Error(`the parent ended with ${code ?? 'a signal'}`))),
    );
    await Promise.race([sleepingSession(), gone]);
    gone.catch(() => undefined);
    const kits = descendantsOf(await listProcesses(), parent.pid ?? 0).map(({ pid }) => pid);
    expect(kits).not.toEqual([]);
    parent.kill('SIGKILL');
    const alive = async () =>
      (await listProcesses()).filter(({ pid, commandLine }) => kits.includes(pid) && commandLine !== '');
    while ((await alive()).length > 0) await delay(20);
    // The server ends the session of nobody by itself.
    while ((await sessions()).length > 0) await delay(50);
    expect(await fleet.record(id)).toHaveLength(1);
  });
});

/** The sessions of drizzle-kit on the server. */
function sessions(): Promise<Record<string, unknown>[]> {
  return fleet.admin("SELECT pid, query FROM pg_stat_activity WHERE application_name LIKE 'neon-fleet drizzle-kit%'");
}

async function sleepingSession(): Promise<void> {
  for (;;) {
    if ((await sessions()).some(({ query }) => String(query).startsWith('SELECT pg_sleep'))) return;
    await delay(20);
  }
}
