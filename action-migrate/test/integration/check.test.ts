import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { checkMigrations, checkProblems, type CheckOptions, type ConfigCheck } from '../../src/check/index.js';
import { DrizzleApp, USERS } from '../support/drizzle-app.js';

const RENAMED = USERS.replace(`name: text('name')`, `title: text('title')`);
const LONGER = `${USERS}\nexport const tasks = pgTable('tasks', { id: serial('id').primaryKey(), title: text('title') });`;

describe.each(['0', '1'] as const)('check with drizzle-kit %s', (major) => {
  let app: DrizzleApp;
  let temporary: string;
  beforeEach(async () => {
    temporary = await mkdtemp(path.join(tmpdir(), 'neon-fleet-test-'));
    app = await DrizzleApp.create(major);
    await app.kit(['generate']);
  });
  afterEach(async () => {
    await app[Symbol.asyncDispose]();
    await rm(temporary, { recursive: true });
  });

  async function check(overrides: Partial<CheckOptions> = {}): Promise<ConfigCheck[]> {
    const before = await app.contents();
    const checks = await checkMigrations({
      drizzleConfig: undefined,
      drizzleUrlVariable: undefined,
      cwd: app.folder,
      env: { PATH: process.env['PATH'], NEON_API_KEY: 'napi_secret_of_the_step', RUNNER_TEMP: temporary },
      signal: new AbortController().signal,
      timeLimitMs: 120_000,
      note: () => undefined,
      ...overrides,
    });
    // Whatever it finds, the repository is as it was, and nothing is left elsewhere.
    expect(await app.contents()).toEqual(before);
    expect(await readdir(temporary)).toEqual([]);
    return checks;
  }

  test('is content where the schema and the migrations are one', async () => {
    const checks = await check();
    expect(checks).toEqual([{ config: 'drizzle.config.ts', folder: 'drizzle', schema: { kind: 'in-step' } }]);
    expect(checkProblems(checks)).toEqual([]);
  });

  test('shows what is in the schema and in no migration', async () => {
    await app.writeSchema(LONGER);
    const [found] = await check();
    expect(found).not.toHaveProperty('objection');
    expect(found?.schema).toMatchObject({
      kind: 'ahead',
      files: [{ sql: expect.stringContaining('CREATE TABLE "tasks"') }],
    });
  });

  test('does not wait for an answer when drizzle-kit would ask whether something was renamed', async () => {
    await app.writeSchema(RENAMED);
    expect((await check())[0]?.schema.kind).toBe('ahead-and-unclear');
  });

  test('takes a repository without migrations for one whose schema is ahead', async () => {
    await using fresh = await DrizzleApp.create(major);
    const [found] = await check({ cwd: fresh.folder });
    expect(found?.schema.kind).toBe('ahead');
  });

  test('checks each config that a glob names', async () => {
    for (const tenant of ['acme-corp', 'payroll']) {
      const variable = `${tenant.replace('-', '_').toUpperCase()}_DATABASE_URL`;
      await app.writeConfig(`configs/${tenant}/drizzle.config.ts`, variable, `./drizzle/${tenant}`);
    }
    await app.copyFolder('drizzle', 'kept');
    await app.copyFolder('kept', 'drizzle/acme-corp');
    const checks = await check({ drizzleConfig: 'configs/*/drizzle.config.ts' });
    await expect(check({ drizzleConfig: 'config/*/drizzle.config.ts' })).rejects.toThrow(/matches no file/);
    expect(checks.map(({ config, schema }) => `${config} ${schema.kind}`)).toEqual([
      'configs/acme-corp/drizzle.config.ts in-step',
      'configs/payroll/drizzle.config.ts ahead',
    ]);
  });

  // What does not depend on drizzle's version.
  if (major === '1') return;

  test('a config that fails, or never ends, is an error that shows what it said', async () => {
    await app.write('drizzle.config.ts', `throw new Error('this config is broken');`);
    await expect(check()).rejects.toThrow(/reading drizzle.config.ts: .*this config is broken/s);
    await app.write('drizzle.config.ts', `while (true);`);
    await expect(check({ timeLimitMs: 3_000 })).rejects.toMatchObject({
      message: expect.stringContaining('was ended after 3 s'),
      code: 'timeout',
    });
  });

  test('the config sees nothing of what the step was given', async () => {
    await app.write(
      'drizzle.config.ts',
      `console.error('Error: env is ' + Object.keys(process.env).sort().join(',')); process.exit(1);`,
    );
    const error = await check().catch((thrown: unknown) => thrown);
    expect(String(error)).toMatch(/env is CI,DATABASE_URL,.*PATH/);
    expect(String(error)).not.toMatch(/NEON_API_KEY/);
  });

  test('a run that is stopped ends drizzle-kit', async () => {
    await app.write('drizzle.config.ts', `while (true);`);
    const stop = new AbortController();
    const running = check({ signal: stop.signal });
    setTimeout(() => stop.abort(new Error('stopped')), 500);
    await expect(running).rejects.toThrow('stopped');
  });
});

describe('what drizzle-kit check finds', () => {
  test('two migrations that were made side by side are an objection', async () => {
    await using app = await DrizzleApp.create('0');
    await app.kit(['generate', '--name', 'first']);
    await app.copyFolder('drizzle/meta/0000_snapshot.json', 'drizzle/meta/0001_snapshot.json');
    const [found] = await checkMigrations({
      drizzleConfig: 'drizzle.config.ts',
      drizzleUrlVariable: undefined,
      cwd: app.folder,
      env: { PATH: process.env['PATH'] },
      signal: new AbortController().signal,
      timeLimitMs: 120_000,
      note: () => undefined,
    });
    expect(found?.objection).toMatch(/drizzle-kit check ended with exit code 1/);
    // A person is told of the repository's folder, not of the copy.
    expect(found?.objection).not.toContain('neon-fleet-kit-');
  });
});
