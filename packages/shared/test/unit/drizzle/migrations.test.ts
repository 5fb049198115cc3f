import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { findMigration, readMigrations, renderPendingSql } from '../../../src/drizzle/index.js';
import { ExplainedError } from '../../../src/errors/index.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'neon-fleet-migrations-'));
});
afterAll(() => rm(root, { recursive: true }));

let folders = 0;

/** Writes a folder with these files. */
async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = path.join(root, `folder ${folders++}`);
  for (const [name, text] of Object.entries({ ...files })) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  return folder;
}

function journal(tags: readonly string[], more: object = {}): string {
  const entries = tags.map((tag, idx) => ({
    idx,
    version: '7',
    when: 1_700_000_000_000 + idx,
    tag,
    breakpoints: true,
  }));
  return JSON.stringify({ version: '7', dialect: 'postgresql', entries, ...more });
}

const JOURNAL = 'meta/_journal.json';

describe('a folder of drizzle-kit', () => {
  test('is read in the order of its journal, with drizzle’s hashes and times', async () => {
    const first = 'CREATE TABLE users (id int);\n--> statement-breakpoint\nCREATE TABLE tasks (id int);\n';
    const second = 'ALTER TABLE users ADD name text;';
    const folder = await folderOf({
      [JOURNAL]: journal(['0000_init', '0001_name']),
      '0001_name.sql': second,
      '0000_init.sql': first,
      'README.md': 'not a migration',
    });
    const { format, migrations } = await readMigrations(folder);
    expect(format).toBe('v0');
    expect(migrations).toStrictEqual([
      {
        tag: '0000_init',
        when: 1_700_000_000_000,
        hash: createHash('sha256').update(first).digest('hex'),
        statements: ['CREATE TABLE users (id int);\n', '\nCREATE TABLE tasks (id int);\n'],
        noTransaction: false,
      },
      {
        tag: '0001_name',
        when: 1_700_000_000_001,
        hash: createHash('sha256').update(second).digest('hex'),
        statements: [second],
        noTransaction: false,
      },
    ]);
  });

  test('with line ends of Windows is taken as it is: the hash is of the file', async () => {
    const sql = 'SELECT 1;\r\n--> statement-breakpoint\r\nSELECT 2;\r\n';
    const folder = await folderOf({ [JOURNAL]: journal(['0000_a']).replaceAll(',', ',\r\n'), '0000_a.sql': sql });
    const [migration] = (await readMigrations(folder)).migrations;
    expect(migration?.hash).toBe(createHash('sha256').update(sql).digest('hex'));
    expect(migration?.statements.map((statement) => statement.trim())).toStrictEqual(['SELECT 1;', 'SELECT 2;']);
  });

  test('of an old drizzle-kit calls PostgreSQL pg', async () => {
    const folder = await folderOf({ [JOURNAL]: journal(['0000_a'], { dialect: 'pg' }), '0000_a.sql': 'SELECT 1' });
    expect((await readMigrations(folder)).migrations).toHaveLength(1);
  });
});

describe('a folder of drizzle-kit 1.0', () => {
  const files = {
    '20260203040506_second/migration.sql': 'ALTER TABLE users ADD name text;',
    '20260102030405_first/migration.sql': 'CREATE TABLE users (id int);\n--> statement-breakpoint\nSELECT 1;\n',
    '20260102030405_first/snapshot.json': '{"version":"8","dialect":"postgres"}',
    'README.md': 'not a migration',
  };

  test('is read in the order of its names, with drizzle’s hashes and times', async () => {
    const { format, migrations } = await readMigrations(await folderOf(files));
    expect(format).toBe('v1');
    expect(migrations).toStrictEqual([
      {
        tag: '20260102030405_first',
        when: Date.UTC(2026, 0, 2, 3, 4, 5),
        hash: createHash('sha256').update(files['20260102030405_first/migration.sql']).digest('hex'),
        statements: ['CREATE TABLE users (id int);\n', '\nSELECT 1;\n'],
        noTransaction: false,
      },
      {
        tag: '20260203040506_second',
        when: Date.UTC(2026, 1, 3, 4, 5, 6),
        hash: createHash('sha256').update(files['20260203040506_second/migration.sql']).digest('hex'),
        statements: ['ALTER TABLE users ADD name text;'],
        noTransaction: false,
      },
    ]);
  });
});

describe('the digest of a folder', () => {
  const of = async (files: Readonly<Record<string, string>>) => (await readMigrations(await folderOf(files))).digest;
  const files = { [JOURNAL]: journal(['0000_a', '0001_b']), '0000_a.sql': 'SELECT 1', '0001_b.sql': 'SELECT 2' };

  test('is the same wherever the folder is, and another when anything in it is', async () => {
    const digest = await of(files);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(await of({ ...files, 'README.md': 'x' })).toBe(digest);
    expect(await of({ ...files, '0001_b.sql': 'SELECT 3' })).not.toBe(digest);
    expect(await of({ ...files, [JOURNAL]: journal(['0001_b', '0000_a']) })).not.toBe(digest);
    expect(await of({ ...files, [JOURNAL]: journal(['0000_a']) })).not.toBe(digest);
  });
});

describe('a file that runs outside a transaction', () => {
  const of = (sql: string) => folderOf({ [JOURNAL]: journal(['0000_a']), '0000_a.sql': sql });

  test('is taken apart into single statements; its hash is of the file as it is', async () => {
    const sql =
      '-- neon-fleet: no-transaction\nCREATE INDEX CONCURRENTLY a ON t (x); VACUUM t;\n--> statement-breakpoint\nANALYZE t;';
    const { migrations } = await readMigrations(await of(sql));
    expect(migrations).toMatchObject([
      {
        noTransaction: true,
        hash: createHash('sha256').update(sql).digest('hex'),
        statements: ['-- neon-fleet: no-transaction\nCREATE INDEX CONCURRENTLY a ON t (x)', 'VACUUM t', 'ANALYZE t'],
      },
    ]);
    expect(renderPendingSql(migrations)).toBe(
      '-- 0000_a.sql (outside a transaction)\n-- neon-fleet: no-transaction\nCREATE INDEX CONCURRENTLY a ON t (x);\nVACUUM t;\nANALYZE t;',
    );
  });

  test.each([
    [
      '-- neon-fleet: no-transaction\nVACUUM a; UPDATE a SET b = 1',
      /0000_a\.sql, statement 2, cannot safely be run a second/,
    ],
    [
      '-- neon-fleet: no-transaction\nCREATE INDEX CONCURRENTLY ON a (b)',
      /statement 1, builds an index without a name/,
    ],
    ['-- neon-fleet: no-transaction\nBEGIN; VACUUM a', /statement 1, has a BEGIN of its own/],
    [
      'VACUUM a;\n-- neon-fleet: no-transaction',
      /has the line "-- neon-fleet: no-transaction", which would be ignored/,
    ],
    ['-- neon-fleet: notransaction\nVACUUM', /has the line "-- neon-fleet: notransaction"/],
    ['SELECT 1;\n--> statement-breakpoint\n-- neon-fleet: no-transaction\nVACUUM', /which would be ignored/],
    ['COPY a FROM STDIN;', /statement 1, copies from STDIN/],
  ])('is refused before anything is done: %j', async (sql, message) => {
    await expect(readMigrations(await of(sql))).rejects.toThrow(message);
  });
});

describe('the migration that somebody means', () => {
  const read = async () =>
    readMigrations(
      await folderOf({
        [JOURNAL]: journal(['0001_a', '0001_ab', '0002_c']),
        '0001_a.sql': 'SELECT 1',
        '0001_ab.sql': 'SELECT 2',
        '0002_c.sql': 'SELECT 3',
      }),
    );
  test.each([
    ['0002', '0002_c'],
    ['0002_c', '0002_c'],
    ['0001_a', '0001_a'],
    ['0001_ab', '0001_ab'],
  ])('by %j is %s', async (text, tag) => {
    expect(findMigration(await read(), text).tag).toBe(tag);
  });

  test.each([
    ['0001', /^2 migrations begin with "0001"; nothing was done$/, /0001_a, 0001_ab$/],
    ['0009', /^no migration is called "0009"/, /0001_a, 0001_ab, 0002_c$/],
    ['', /^no migration is called ""/, /0002_c$/],
    ['c', /^no migration is called "c"/, /0002_c$/],
  ])('by %j is not known', async (text, message, hint) => {
    const folder = await read();
    expect(() => findMigration(folder, text)).toThrow(
      expect.objectContaining({ message: expect.stringMatching(message), hint: expect.stringMatching(hint) }),
    );
  });
});

describe('a folder that cannot be used is refused:', () => {
  test.each<[string, Record<string, string> | undefined, RegExp, RegExp | undefined]>([
    ['not there', undefined, /there is no such folder/, /checked out/],
    ['without a journal', { '0000_a.sql': 'SELECT 1' }, /it has no meta\/_journal\.json/, /npx drizzle-kit generate/],
    [
      'of both formats',
      { [JOURNAL]: journal(['0000_a']), '0000_a.sql': 'SELECT 1', '20260101000000_a/migration.sql': 'SELECT 1' },
      /both a meta\/_journal\.json and folders of drizzle-kit 1\.0/,
      /npx drizzle-kit up/,
    ],
    ['of 1.0 without a time', { 'first/migration.sql': 'SELECT 1' }, /the folder "first" does not begin/, /YYYYMMDD/],
    [
      'of 1.0 for another database',
      { '20260101000000_a/migration.sql': 'SELECT 1', '20260101000000_a/snapshot.json': '{"dialect":"mysql"}' },
      /for "mysql", not for PostgreSQL/,
      undefined,
    ],
    ['with a journal that is no JSON', { [JOURNAL]: '{' }, /is not a journal of drizzle/, undefined],
    ['with a journal of something else', { [JOURNAL]: '{"entries": 5}' }, /is not a journal of drizzle/, undefined],
    ['with an entry without tag', { [JOURNAL]: journal(['']) }, /is not a journal of drizzle/, undefined],
    [
      'for another database',
      { [JOURNAL]: journal(['0000_a'], { dialect: 'sqlite' }) },
      /for "sqlite", not for PostgreSQL/,
      undefined,
    ],
    ['that is empty', { [JOURNAL]: journal([]) }, /it holds no migration yet/, undefined],
    [
      'with a file missing',
      { [JOURNAL]: journal(['0000_a', '0001_b']), '0000_a.sql': 'SELECT 1' },
      /0001_b\.sql/,
      undefined,
    ],
  ])('%s', async (_, files, message, hint) => {
    const folder = files === undefined ? path.join(root, 'nowhere') : await folderOf(files);
    const reading = readMigrations(folder);
    await expect(reading).rejects.toBeInstanceOf(ExplainedError);
    await expect(reading).rejects.toMatchObject({
      message: expect.stringMatching(message),
      ...(hint === undefined ? {} : { hint: expect.stringMatching(hint) }),
    });
    await expect(reading).rejects.toThrow(/^migrations-folder: ".*" cannot be used: .*; nothing was done$/);
  });

  test('a file in place of a folder', async () => {
    const folder = await folderOf({ file: '' });
    await expect(readMigrations(path.join(folder, 'file'))).rejects.toMatchObject({
      name: 'ExplainedError',
      message: expect.stringMatching(/: it is not a folder that can be read; nothing was done$/),
    });
  });
});
