import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { libpqEnvironment, parseConnectionUri, prepareLibpqTrust } from '../../src/postgres/index.js';
import { childEnvironment } from '../../src/processes/index.js';

const SETTINGS = { rootCertificates: 'system', applicationName: 'neon-fleet backup' };

describe('libpqEnvironment', () => {
  test("verifies a Neon server, and insists on channel binding as Neon's URIs do", () => {
    const uri = 'postgresql://neondb_owner:p%40ss@ep-x.aws.neon.tech/neondb?sslmode=require&channel_binding=require';
    expect(libpqEnvironment(parseConnectionUri(uri), SETTINGS)).toEqual({
      PGHOST: 'ep-x.aws.neon.tech',
      PGPORT: '5432',
      PGUSER: 'neondb_owner',
      PGPASSWORD: 'p@ss',
      PGDATABASE: 'neondb',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: 'system',
      PGCHANNELBINDING: 'require',
      PGCONNECT_TIMEOUT: '30',
      PGAPPNAME: 'neon-fleet backup',
    });
  });

  test.each([
    ['disable', 'disable'],
    ['prefer', 'prefer'],
    ['no-verify', 'require'],
    ['verify-ca', 'verify-full'],
  ])('takes sslmode=%s as %s', (given, mode) => {
    const target = parseConnectionUri(`postgresql://u:p@h/d?sslmode=${given}`);
    expect(libpqEnvironment(target, SETTINGS)['PGSSLMODE']).toBe(mode);
  });

  test('hands on the options of a URI', () => {
    const target = parseConnectionUri('postgresql://u:p@h/d?options=project%3Dx');
    expect(libpqEnvironment(target, SETTINGS)['PGOPTIONS']).toBe('project=x');
  });
});

test('a child inherits nothing but where it is and what language it speaks', () => {
  const env = {
    PATH: '/bin',
    HOME: '/root',
    LANG: 'C',
    AWS_SECRET_ACCESS_KEY: 's',
    PGPASSWORD: 'other',
    GITHUB_TOKEN: 't',
    TZ: '',
  };
  expect(childEnvironment(env, { PGHOST: 'h' })).toEqual({ PATH: '/bin', HOME: '/root', LANG: 'C', PGHOST: 'h' });
});

describe('prepareLibpqTrust', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'libpq-trust-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('takes the file that PGSSLROOTCERT names', async () => {
    const trust = await prepareLibpqTrust({ PGSSLROOTCERT: '/ca.pem', NODE_EXTRA_CA_CERTS: '/other.pem' });
    expect(trust.rootCertificatesFor(17)).toBe('/ca.pem');
  });

  test("takes the system's authorities, in the way that the version understands", async () => {
    const bundle = path.join(folder, 'bundle.crt');
    await writeFile(bundle, 'certificates');
    const trust = await prepareLibpqTrust({}, [path.join(folder, 'missing'), bundle]);
    expect([trust.rootCertificatesFor(15), trust.rootCertificatesFor(16)]).toEqual([bundle, 'system']);
  });

  test.each([
    ['there are none on the machine', {}],
    ['a file is believed besides the public ones', { NODE_EXTRA_CA_CERTS: 'extra.pem' }],
  ])('writes them out when %s, and removes them at the end', async (_, env) => {
    const extra = path.join(folder, 'extra.pem');
    await writeFile(extra, 'the extra one');
    const own = 'NODE_EXTRA_CA_CERTS' in env ? { NODE_EXTRA_CA_CERTS: extra } : {};
    const trust = await prepareLibpqTrust({ ...own, RUNNER_TEMP: folder }, []);
    const file = trust.rootCertificatesFor(17);
    const text = await readFile(file, 'utf8');
    expect(text.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(50);
    expect(text.includes('the extra one')).toBe('NODE_EXTRA_CA_CERTS' in env);
    await trust.dispose();
    await expect(stat(file)).rejects.toThrow(/ENOENT/);
  });
});
