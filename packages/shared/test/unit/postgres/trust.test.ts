import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import {
  trustedAuthorities,
  trustSource,
  type TrustEnvironment,
  type TrustSource,
} from '../../../src/postgres/index.js';

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-trust-'));
  file = path.join(folder, 'ca.pem');
  await writeFile(file, 'PEM of our own');
});
afterAll(() => rm(folder, { recursive: true }));

describe('whose certificates are believed', () => {
  test.each<[TrustEnvironment, TrustSource]>([
    [{}, { kind: 'public' }],
    [{ PGSSLROOTCERT: '', NODE_EXTRA_CA_CERTS: '' }, { kind: 'public' }],
    [{ PGSSLROOTCERT: 'system' }, { kind: 'public' }],
    [{ PGSSLROOTCERT: '/a' }, { kind: 'file', path: '/a' }],
    [{ NODE_EXTRA_CA_CERTS: '/b' }, { kind: 'public-and-file', path: '/b' }],
    [
      { PGSSLROOTCERT: '/a', NODE_EXTRA_CA_CERTS: '/b' },
      { kind: 'file', path: '/a' },
    ],
    [
      { PGSSLROOTCERT: 'system', NODE_EXTRA_CA_CERTS: '/b' },
      { kind: 'public-and-file', path: '/b' },
    ],
  ])('%j', (env, source) => {
    expect(trustSource(env)).toStrictEqual(source);
  });

  test('is Node’s own list when nobody says otherwise', async () => {
    expect(await trustedAuthorities({})).toBeUndefined();
  });

  test('is one file alone, in place of the public ones', async () => {
    expect(await trustedAuthorities({ PGSSLROOTCERT: file })).toStrictEqual(['PEM of our own']);
  });

  test('is Node’s own list with what Node adds to it by itself', async () => {
    expect(await trustedAuthorities({ NODE_EXTRA_CA_CERTS: file })).toBeUndefined();
  });

  test('is not everybody when the file is missing', async () => {
    await expect(trustedAuthorities({ PGSSLROOTCERT: path.join(folder, 'gone') })).rejects.toThrow(/ENOENT/);
  });
});
