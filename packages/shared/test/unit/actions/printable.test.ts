import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { printable, printableLine } from '../../../src/actions/index.js';
import { hostileText } from '../../support/builders.js';

// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]/;
// What .NET, in which the runner is written, takes for white space at the beginning of a line.
const BLANK = /^[\s\u0085]+/;

function expectHarmless(text: string): void {
  expect(text).not.toMatch(CONTROL);
  for (const line of text.split('\n')) {
    expect(line.replace(BLANK, '')).not.toMatch(/^::/);
    expect(line).not.toContain('##[');
  }
}

describe('no text becomes a workflow command', () => {
  test.each([
    '::set-env name=PATH::/tmp',
    '   ::add-mask::x',
    '\t::error::x',
    'fine\n::error::x',
    'fine\r::error::x',
    'fine\r\n::error::x',
    'fine\u2028::error::x',
    '\u0085::error::x',
    '\u00a0::error::x',
    '\ufeff::error::x',
    '\u001b::error::x',
    '\0::error::x',
    '\u000c::error::x',
    '::::',
    ':::error::',
    'x ##[error]x',
    '###[error]x',
    '##\u0000[error]',
    '##[##[error]',
  ])('%j', (text) => {
    expectHarmless(printable(text));
    expectHarmless(printableLine(text));
  });

  test('of any form', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        expectHarmless(printable(text));
        expectHarmless(printableLine(text));
      }),
      { numRuns: 500 },
    );
  });
});

test.each([
  ['red \u001b[31mtext\u001b[0m', 'red  [31mtext [0m'],
  ['bell\u0007 back\b delete\u007f', 'bell  back  delete '],
  ['tabs\tstay', 'tabs\tstay'],
  ['a\r\nb\rc\nd', 'a\nb\nc\nd'],
  ['a::b and a: b', 'a::b and a: b'],
  ['##', '##'],
  ['Ünïcode 🦊 {"a":[1]}', 'Ünïcode 🦊 {"a":[1]}'],
])('%j is printed as %j', (text, printed) => {
  expect(printable(text)).toBe(printed);
});

test('a line is one line, without blanks at its ends', () => {
  expect(printableLine('  a \n\n b\tc\r\n')).toBe('a b c');
  fc.assert(
    fc.property(hostileText, (text) => {
      expect(printableLine(text)).not.toMatch(/[\r\n\t]/);
    }),
  );
});
