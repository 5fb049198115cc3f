import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { readInputs } from '@neon-fleet/shared/actions';

import { cleanOutput } from '../../src/kit/clean-output.js';
import { kitEnvironment, urlForKit } from '../../src/kit/environment.js';
import { findConfigs } from '../../src/kit/find-configs.js';
import { findDrizzleKit } from '../../src/kit/find-kit.js';
import { kitInputs } from '../../src/kit/index.js';
import { configFor, safeName, urlVariables } from '../../src/kit/tenant-config.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(file: string, text = ''): Promise<void> {
  await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
  await writeFile(path.join(folder, file), text);
}

describe('the guide’s layout', () => {
  test.each([
    ['ACME Corp', 'acme-corp', 'ACME_CORP_DATABASE_URL'],
    ['Finance  Co', 'finance-co', 'FINANCE_CO_DATABASE_URL'],
    ['payroll', 'payroll', 'PAYROLL_DATABASE_URL'],
  ])('%s has the folder %s and the variable %s', (name, safe, variable) => {
    expect(safeName(name)).toBe(safe);
    expect(urlVariables(name, undefined, 'each')).toEqual(['DATABASE_URL', variable]);
  });

  test.each(['PATH=/evil:', "O'Reilly", 'a\nb=c', '1st', 'LD_PRELOAD=x'])(
    'the name %j makes no variable that it could do harm with',
    (name) => {
      for (const variable of urlVariables(name, undefined, 'each'))
        expect(variable).toMatch(/^[\p{L}_][\p{L}\p{N}_]*$/u);
    },
  );

  test('one config for all has the usual variable and the one that was asked for', () => {
    expect(urlVariables('ACME Corp', 'TENANT_URL', 'one')).toEqual(['DATABASE_URL', 'TENANT_URL']);
    expect(urlVariables('x', 'DATABASE_URL', 'one')).toEqual(['DATABASE_URL']);
  });

  const configs = ['configs/acme-corp/drizzle.config.ts', 'configs/payroll/drizzle.config.ts'];

  test('the config of a tenant is the one in the folder of its name', () => {
    expect(configFor('ACME Corp', configs, 'configs/*/drizzle.config.ts')).toBe(configs[0]);
  });

  test('a tenant without a config, or with two, is told what there is', () => {
    expect(() => configFor('Talent Biz', configs, 'p')).toThrow(/no file of drizzle-config \(p\) .* "talent-biz"/);
    expect(() => configFor('payroll', [...configs, 'old/payroll/drizzle.config.ts'], 'p')).toThrow(
      /more than one file .* configs\/payroll\/drizzle.config.ts, old\/payroll\/drizzle.config.ts/,
    );
    expect(() => configFor('../acme-corp', configs, 'p')).toThrow(/no file/);
  });
});

describe('findConfigs', () => {
  test('takes a path as it is, whatever characters are in it', async () => {
    await write('apps/[web]/drizzle.config.ts');
    expect(await findConfigs('apps/[web]/drizzle.config.ts', folder)).toEqual({
      kind: 'one',
      file: 'apps/[web]/drizzle.config.ts',
    });
  });

  test('finds what a glob names, and nothing in node_modules', async () => {
    for (const file of ['configs/b/drizzle.config.ts', 'configs/a/drizzle.config.ts', 'configs/a/other.ts'])
      await write(file);
    await write('configs/node_modules/drizzle.config.ts');
    for (const pattern of ['configs/*/drizzle.config.ts', './configs/*/drizzle.config.ts', '**/drizzle.config.ts']) {
      expect(await findConfigs(pattern, folder)).toEqual({
        kind: 'each',
        pattern,
        files: ['configs/a/drizzle.config.ts', 'configs/b/drizzle.config.ts'],
      });
    }
  });

  test('finds drizzle-kit’s own default, and says so when there is none', async () => {
    await expect(findConfigs(undefined, folder)).rejects.toThrow(/no drizzle.config.ts/);
    await write('drizzle.config.js');
    expect(await findConfigs(undefined, folder)).toEqual({ kind: 'one', file: 'drizzle.config.js' });
  });

  test('a path that is not there is an error', async () => {
    await expect(findConfigs('drizzle.config.mts', folder)).rejects.toThrow(/there is no file "drizzle.config.mts"/);
  });
});

describe('findDrizzleKit', () => {
  test('finds the nearest one upwards, by what its package says', async () => {
    await write('node_modules/drizzle-kit/package.json', '{"version":"0.31.0","bin":{"drizzle-kit":"./bin.cjs"}}');
    await mkdir(path.join(folder, 'packages', 'app'), { recursive: true });
    expect(await findDrizzleKit(path.join(folder, 'packages', 'app'))).toEqual({
      program: path.join(folder, 'node_modules', 'drizzle-kit', 'bin.cjs'),
      version: '0.31.0',
    });
  });

  test('says how to install it when it is missing or broken', async () => {
    await expect(findDrizzleKit(folder)).rejects.toMatchObject({
      message: expect.stringContaining('drizzle-kit is not installed'),
      hint: expect.stringContaining('npm install --save-dev drizzle-kit'),
    });
    await write('node_modules/drizzle-kit/package.json', '{"version":"1"}');
    await expect(findDrizzleKit(folder)).rejects.toThrow(/names no program/);
  });
});

describe('the environment of drizzle-kit', () => {
  test('holds nothing of the step but what every program needs', () => {
    const env = kitEnvironment(
      {
        PATH: '/bin',
        HOME: '/root',
        'INPUT_NEON-API-KEY': 'napi_secret',
        AWS_SECRET_ACCESS_KEY: 'x',
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'x',
        GITHUB_TOKEN: 'x',
        DATABASE_URL: 'postgres://somebody:else@h/d',
        NODE_OPTIONS: '--require /evil',
        RUNNER_TRACKING_ID: 'github_1',
        NODE_EXTRA_CA_CERTS: '/ca.pem',
      },
      { DATABASE_URL: 'postgres://this:one@h/d' },
    );
    expect(env).toEqual({
      PATH: '/bin',
      HOME: '/root',
      CI: 'true',
      NO_COLOR: '1',
      RUNNER_TRACKING_ID: 'github_1',
      NODE_EXTRA_CA_CERTS: '/ca.pem',
      DATABASE_URL: 'postgres://this:one@h/d',
    });
  });

  test('tells Node whom libpq was told to trust', () => {
    expect(kitEnvironment({ PGSSLROOTCERT: '/own.pem' })).toMatchObject({ NODE_EXTRA_CA_CERTS: '/own.pem' });
    expect(kitEnvironment({ PGSSLROOTCERT: 'system' })).not.toHaveProperty('NODE_EXTRA_CA_CERTS');
  });

  test.each([
    ['sslmode=require&channel_binding=require', 'sslmode=verify-full'],
    ['sslmode=verify-ca', 'sslmode=verify-full'],
    ['sslmode=disable', 'sslmode=disable'],
    ['sslmode=no-verify&options=-c%20x%3D1', 'sslmode=no-verify&options=-c+x%3D1'],
  ])('a URL with %s has %s', (query, expected) => {
    expect(urlForKit(`postgresql://u:p%40ss@h.neon.tech:5432/d?${query}`)).toBe(
      `postgresql://u:p%40ss@h.neon.tech:5432/d?${expected}`,
    );
  });

  test.each(['TENANT_URL', '_x', 'a1'])('%s is a variable for the URL', (name) => {
    const read = (input: string) => (input === 'drizzle-url-variable' ? name : '');
    expect(readInputs(kitInputs, read).drizzleUrlVariable).toBe(name);
  });
  test.each(['PATH', 'NODE_OPTIONS', 'LD_PRELOAD', 'PGHOST', 'A=B', 'A B', '1A', 'HOME'])('%s is none', (name) => {
    const read = (input: string) => (input === 'drizzle-url-variable' ? name : '');
    expect(() => readInputs(kitInputs, read)).toThrow(/drizzle-url-variable/);
  });
});

describe('what drizzle-kit wrote', () => {
  const FAILURE = `No config path provided
\u001b[2K[⣷] applying migrations...\u001b[1G[⣷] applying migrations...

error: duplicate key value violates unique constraint "users_email_key"
    at /app/node_modules/pg/lib/client.js:694:17
    at async migrate (file:///app/node_modules/drizzle-orm/x.js:6:9) {
  length: 180,
  severity: 'ERROR',
  code: '23505',
  detail: 'Key (email)=(bob@example.com) already exists, and this is long enough' +
    ' for a second line with alice@example.com',
  hint: undefined,
  where: 'COPY users, line 1: "carol@example.com"',
  constraint: 'users_email_key'
}
[✗] Error during migration:
Failed query: 
INSERT INTO users SELECT 1`;

  test('is shown without sequences for a terminal, stacks and rows of customers', () => {
    expect(cleanOutput(FAILURE)).toBe(
      [
        'No config path provided',
        'applying migrations...applying migrations...',
        '',
        'error: duplicate key value violates unique constraint "users_email_key"',
        "  severity: 'ERROR',",
        "  code: '23505',",
        "  constraint: 'users_email_key'",
        '}',
        '[✗] Error during migration:',
        'Failed query:',
        'INSERT INTO users SELECT 1',
      ].join('\n'),
    );
  });

  test('does not quote the value that an error is about', () => {
    const text = cleanOutput(`error: invalid input syntax for type integer: "bob's number"\n  code: '22P02',`);
    expect(text).toContain('invalid input syntax for type integer: "…"');
    expect(text).not.toContain('bob');
  });

  test('holds no secret, in whatever form', () => {
    const text = cleanOutput('url: postgresql://u:s3cr%40t@h/d and s3cr@t and s3cr%40t', ['s3cr@t', 's3cr%40t']);
    expect(text).toBe('url: postgresql://u:***@h/d and *** and ***');
  });

  test('is no longer than somebody reads, and what is kept is the end', () => {
    const lines = Array.from({ length: 5_000 }, (_, index) => `line ${index} ${'x'.repeat(200)}`).join('\n');
    const text = cleanOutput(`${lines}\nthe end`);
    expect(text.length).toBeLessThan(3_100);
    expect(text).toMatch(/^….*the end$/s);
  });
});
