import { describe, expect, test } from '@jest/globals';

import { findTransactionControl } from '../../../src/drizzle/transaction-control.js';

function commandsOf(...statements: string[]): string[] {
  return findTransactionControl([{ tag: '0000_x', statements }]).map(({ command }) => command);
}

describe('statements that would end the transaction of a migration', () => {
  test.each([
    ['COMMIT', 'COMMIT'],
    ['CREATE TABLE a (id int); commit; CREATE TABLE b (id int)', 'COMMIT'],
    ['/* first */ BEGIN;', 'BEGIN'],
    ["/* don't -- */ COMMIT; SELECT 'x'", 'COMMIT'],
    ['-- a comment\nSTART   TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'START TRANSACTION'],
    ['ROLLBACK', 'ROLLBACK'],
    ['SELECT 1;END', 'END'],
    ['ABORT', 'ABORT'],
    ["PREPARE TRANSACTION 'x'", 'PREPARE TRANSACTION'],
  ])('are found: %s', (sql, command) => {
    expect(commandsOf(sql)).toEqual([command]);
  });

  test.each([
    "INSERT INTO log VALUES ('x; COMMIT; y')",
    "INSERT INTO log VALUES (E'it\\'s; COMMIT;')",
    '-- COMMIT;\nSELECT 1',
    '/* ; COMMIT; */ SELECT 1',
    '/* outer /* inner */ ; COMMIT; */ SELECT 1',
    "/* don't; COMMIT; */ SELECT 'x'",
    'CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN; COMMIT; END; $$',
    'DO $body$ BEGIN PERFORM 1; COMMIT; END $body$',
    'CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3',
    'SAVEPOINT a; ROLLBACK TO SAVEPOINT a; ROLLBACK TO a; RELEASE a',
    'CREATE TABLE "a;COMMIT;b" (id int)',
    'CREATE TABLE commits (id int); ALTER TABLE commits ADD begin_at date',
    'PREPARE q AS SELECT 1',
  ])('are not seen where there are none: %s', (sql) => {
    expect(commandsOf(sql)).toEqual([]);
  });

  test('are named with the migration and the part they stand in', () => {
    const migrations = [
      { tag: '0000_a', statements: ['SELECT 1'] },
      { tag: '0001_b', statements: ['SELECT 1', 'COMMIT'] },
    ];
    expect(findTransactionControl(migrations)).toEqual([{ tag: '0001_b', part: 2, command: 'COMMIT' }]);
  });
});
