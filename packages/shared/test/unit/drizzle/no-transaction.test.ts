import { describe, expect, test } from '@jest/globals';

import {
  asksForNoTransaction,
  findIgnoredDirective,
  mayWaitForLocks,
  objectionTo,
  repetitionOf,
  statementsOutside,
} from '../../../src/drizzle/no-transaction.js';

describe('the first line of a file', () => {
  test.each([
    '-- neon-fleet: no-transaction\nVACUUM',
    '--neon-fleet:no-transaction\r\nVACUUM',
    '\n\n  -- Neon-Fleet: No-Transaction  \nVACUUM',
    '\uFEFF-- neon-fleet: no-transaction',
  ])('asks for no transaction: %j', (sql) => {
    expect(asksForNoTransaction(sql)).toBe(true);
    expect(findIgnoredDirective(sql, true)).toBeUndefined();
  });

  test.each([
    ['misspelled', '-- neon-fleet: no transaction\nVACUUM', '-- neon-fleet: no transaction'],
    ['with more to it', '-- neon-fleet: no-transaction please\nVACUUM', '-- neon-fleet: no-transaction please'],
    ['too late', 'SELECT 1;\n  -- neon-fleet: no-transaction\nVACUUM', '-- neon-fleet: no-transaction'],
  ])('%s is not passed over in silence', (_, sql, line) => {
    expect(asksForNoTransaction(sql)).toBe(false);
    expect(findIgnoredDirective(sql, true)).toBe(line);
  });

  test('is any other comment', () => {
    const sql = '-- about neon-fleet: nothing\nSELECT 1';
    expect(asksForNoTransaction(sql)).toBe(false);
    expect(findIgnoredDirective(sql, true)).toBeUndefined();
  });
});

test('statements are told apart by semicolons that are meant as such', () => {
  expect(
    statementsOutside([
      "-- neon-fleet: no-transaction\nVACUUM a; -- not; this\nCOMMENT ON TABLE a IS 'x;y';;\n",
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; /* ; */',
      'DO $$ BEGIN NULL; END $$',
    ]),
  ).toEqual([
    '-- neon-fleet: no-transaction\nVACUUM a',
    "-- not; this\nCOMMENT ON TABLE a IS 'x;y'",
    'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END',
    'DO $$ BEGIN NULL; END $$',
  ]);
});

describe('running a statement a second time', () => {
  test.each([
    'CREATE OR REPLACE VIEW v AS SELECT 1',
    'CREATE TABLE IF NOT EXISTS a (id int)',
    'CREATE UNIQUE INDEX IF NOT EXISTS i ON a (id)',
    'CREATE MATERIALIZED VIEW IF NOT EXISTS m AS SELECT 1',
    'DROP TABLE IF EXISTS a',
    'DROP INDEX CONCURRENTLY IF EXISTS i',
    "alter type \"Mood\".mood add value if not exists 'sad' before 'ok'",
    'ALTER TABLE a ADD COLUMN IF NOT EXISTS b int DEFAULT coalesce(1, 2), DROP COLUMN IF EXISTS c',
    'ALTER TABLE IF EXISTS ONLY public.a VALIDATE CONSTRAINT c',
    'ALTER TABLE a ALTER COLUMN b SET NOT NULL, ALTER c DROP DEFAULT',
    'ALTER TABLE a SET (fillfactor = 90)',
    'VACUUM (ANALYZE) a',
    'REINDEX INDEX i',
    'REINDEX (CONCURRENTLY false) TABLE a',
    "SET statement_timeout = '1h'",
    '/* why */ ANALYZE',
  ])('does no harm: %s', (sql) => {
    expect(repetitionOf(sql)).toEqual({ kind: 'repeatable' });
  });

  test.each([
    'CREATE TABLE a (id int)',
    'CREATE INDEX i ON a (id)',
    "CREATE TABLE a (note text DEFAULT 'IF NOT EXISTS')",
    'CREATE TABLE "if not exists" ()',
    'DROP TABLE a',
    'DROP INDEX CONCURRENTLY i',
    "ALTER TYPE mood ADD VALUE 'sad'",
    'ALTER TABLE a ADD COLUMN IF NOT EXISTS b int, ADD COLUMN c int',
    'ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID',
    'ALTER TABLE a DETACH PARTITION b CONCURRENTLY',
    'UPDATE a SET b = b + 1',
    'INSERT INTO a VALUES (1)',
    // With a key that the database gives, nothing ever conflicts.
    'INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING',
    'CALL backfill()',
    'SELECT backfill()',
  ])('may do harm: %s', (sql) => {
    expect(repetitionOf(sql)).toEqual({ kind: 'once' });
  });

  test.each([
    [
      'CREATE INDEX CONCURRENTLY i ON a (id)',
      { unique: false, name: 'i', table: 'a', tableName: 'a', definition: '(id)' },
    ],
    [
      'create unique index concurrently if not exists "I;1" on only public . "A b" using btree (lower("x")) where y',
      {
        unique: true,
        name: '"I;1"',
        table: 'public . "A b"',
        tableName: '"A b"',
        definition: 'using btree (lower("x")) where y',
      },
    ],
  ])('is decided by the index for %s', (sql, index) => {
    expect(repetitionOf(sql)).toEqual({ kind: 'concurrent-index', index });
  });

  test.each([
    ['REINDEX INDEX CONCURRENTLY "I;1"', { scope: 'index', name: '"I;1"' }],
    ['reindex (verbose) table concurrently public . a', { scope: 'table', name: 'public . a' }],
    ['REINDEX (VERBOSE, CONCURRENTLY) TABLE a', { scope: 'table', name: 'a' }],
    ['REINDEX (CONCURRENTLY true) SCHEMA s', { scope: 'schema', name: 's' }],
    ['/* all */ REINDEX DATABASE CONCURRENTLY', { scope: 'database', name: undefined }],
  ])('may leave a copy of an index: %s', (sql, reindex) => {
    expect(repetitionOf(sql)).toEqual({ kind: 'concurrent-reindex', reindex });
  });

  test.each(['CREATE INDEX CONCURRENTLY ON a (id)', 'CREATE UNIQUE INDEX CONCURRENTLY ON ONLY a (id)'])(
    'cannot be decided without a name: %s',
    (sql) => {
      expect(repetitionOf(sql)).toEqual({ kind: 'unnamed-index' });
    },
  );
});

describe('a file', () => {
  const index = 'CREATE INDEX CONCURRENTLY i ON a (id)';
  test.each<[string, string[], number | undefined]>([
    ['of one statement', ['UPDATE a SET b = 1'], undefined],
    ['of statements that can be repeated', [index, 'VACUUM a', 'DROP TABLE IF EXISTS b'], undefined],
    ['of nothing', [], undefined],
    ['of several, one of which cannot be repeated', ['VACUUM a', 'UPDATE a SET b = 1'], 2],
    ['with an index without a name', ['CREATE INDEX CONCURRENTLY ON a (id)'], 1],
  ])('%s', (_, statements, objected) => {
    expect(objectionTo(statements)?.statement).toBe(objected);
  });
});

test.each([
  ['CREATE INDEX CONCURRENTLY i ON a (id)', true],
  ['-- x\nDROP INDEX CONCURRENTLY i', true],
  ['REINDEX (VERBOSE) TABLE CONCURRENTLY a', true],
  ['REINDEX (CONCURRENTLY) TABLE a', true],
  ['REINDEX (CONCURRENTLY off) TABLE a', false],
  ['REINDEX TABLE a', false],
  ['CREATE INDEX i ON a (id)', false],
  ['REFRESH MATERIALIZED VIEW CONCURRENTLY m', false],
  ["ALTER TABLE a ADD b text DEFAULT 'create index concurrently'", false],
])('%s may wait for locks: %s', (sql, expected) => {
  expect(mayWaitForLocks(sql)).toBe(expected);
});
