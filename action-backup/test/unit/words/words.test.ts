import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';
import { TOOL_VERSION } from '@neon-fleet/shared/version';

import { complaintOf } from '../../../src/dump/dump.js';
import { psqlError } from '../../../src/restore/psql-error.js';
import { sizeWords } from '../../../src/words/sizes.js';

describe('what pg_dump complains of', () => {
  test('is its errors, without warnings and details', () => {
    const stderr = [
      'pg_dump: warning: there are circular foreign-key constraints on this table:',
      'pg_dump: error: query failed: ERROR:  permission denied for table notes',
      'pg_dump: detail: Query was: LOCK TABLE public.notes IN ACCESS SHARE MODE',
    ].join('\n');
    expect(complaintOf(stderr)).toBe('query failed: ERROR:  permission denied for table notes');
  });
});

describe('an error of psql', () => {
  const exit = (stderr: string) => ({ code: 3, signal: null, stderr });

  test('names statement and code, and no literal', () => {
    const error = psqlError(
      exit(
        [
          'psql:<stdin>:52: ERROR:  23514: check constraint "c" of relation "t" is violated by some row',
          'DETAIL:  Failing row contains (jane@example.org).',
          'LOCATION:  ATRewriteTable, tablecmds.c:5900',
          "psql:<stdin>:52: STATEMENT:  ALTER TABLE t ADD CONSTRAINT c CHECK (mail <> 'jane@example.org');",
        ].join('\n'),
      ),
    );
    expect(error.code).toBe('SQLSTATE 23514');
    expect(error.message).toContain("ALTER TABLE t ADD CONSTRAINT c CHECK (mail <> '…');");
    expect(error.message).not.toContain('jane');
  });

  test('of a row names table, line and column, and not the value', () => {
    const error = psqlError(
      exit('psql:<stdin>:9: FEHLER:  22P02: ungültige Syntax: "jane"\nCONTEXT:  COPY t, line 1, column a: "jane"\n'),
    );
    expect(error.message).toContain('COPY t, line 1, column a');
    expect(error.message).not.toContain('jane');
  });

  test('says how psql ended when it said nothing itself', () => {
    expect(psqlError({ code: null, signal: 'SIGKILL', stderr: '' }).message).toContain('was ended by SIGKILL');
  });
});

test.each([
  [812, '812 bytes'],
  [12_345_678, '12.3 MB'],
  [5e15, '5000.0 TB'],
])('%i bytes are %s', (bytes, words) => {
  expect(sizeWords(bytes)).toBe(words);
});

test('the version in manifests is that of the package', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(TOOL_VERSION).toBe(version);
});
