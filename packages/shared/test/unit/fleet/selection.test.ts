import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { selectTenants } from '../../../src/fleet/index.js';
import { hostileText } from '../../support/builders.js';

function fleet(...names: string[]) {
  return names.map((name, index) => ({ key: name, name, projectId: `p-${index}` }));
}

/** The names that are selected out of these by the patterns. */
function select(names: readonly string[], ...patterns: string[]): string[] {
  return selectTenants(fleet(...names), patterns).selected.map(({ name }) => name);
}

describe('there is no silent everything', () => {
  test.each<{ patterns: string[] }>([
    { patterns: [] },
    { patterns: ['!acme'] },
    { patterns: ['!acme', '!*'] },
    { patterns: ['!'] },
    { patterns: [''] },
  ])('$patterns selects nobody', ({ patterns }) => {
    expect(select(['acme', 'beta'], ...patterns)).toStrictEqual([]);
  });

  test('exclusions alone never select anybody, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(hostileText), fc.array(hostileText), (names, patterns) => {
        expect(select(names, ...patterns.map((pattern) => `!${pattern}`))).toStrictEqual([]);
      }),
    );
  });
});

describe('a pattern', () => {
  const names = ['acme', 'acme-eu', 'ACME', 'beta/eu/1', '.hidden', 'two\nlines', 'gamma', 'p-0'];

  test.each<[string, string[]]>([
    ['*', names],
    ['**', names],
    ['acme', ['acme']],
    ['acme*', ['acme', 'acme-eu']],
    ['*-eu', ['acme-eu']],
    ['beta*', ['beta/eu/1']],
    ['*/1', ['beta/eu/1']],
    ['b*1', ['beta/eu/1']],
    ['?amma', ['gamma']],
    ['[ag]*', ['acme', 'acme-eu', 'gamma']],
    ['[a-c]*', ['acme', 'acme-eu', 'beta/eu/1']],
    ['{acme,gamma}', ['acme', 'gamma']],
    ['*hidden', ['.hidden']],
    ['two*', ['two\nlines']],
    ['*lines', ['two\nlines']],
    ['p-3', ['beta/eu/1']],
    // Of one project the name, of another the id.
    ['p-0', ['acme', 'p-0']],
    ['acm', []],
    ['cme', []],
    ['Acme', []],
    ['acme ', []],
    [' acme', []],
    ['acme\\*', []],
  ])('%j', (pattern, selected) => {
    expect(select(names, pattern)).toStrictEqual(selected);
  });

  test('that spells out a name selects it, whatever characters it has', () => {
    fc.assert(
      fc.property(hostileText, (name) => {
        fc.pre(name !== '' && !name.startsWith('!'));
        expect(select(['other', name], name)).toContain(name);
      }),
    );
  });

  test.each([
    'C++ (Berlin)',
    '(a|b)',
    '(a+)+',
    '[draft] ACME',
    '{a,b}',
    '"quoted"',
    "it's",
    'a\\b',
    'a|b',
    '@corp @(x) +(y)',
    '$1.00 ^ up',
    '100%',
    '🦊 Füchse GmbH',
    'what?',
    'star*',
    '.. / ..',
    './acme',
    '#1',
    'trailing ',
    'Ünïcode',
    'אבג',
  ])('finds %j by its beginning, its end and its whole', (name) => {
    const others = ['acme', 'aaab', 'Berlin', 'b'];
    const escaped = name.replace(/[[\]{}*?\\]/g, '\\$&');
    expect(select([...others, name], name)).toContain(name);
    for (const pattern of [escaped, `${escaped}*`, `*${escaped}`, `*${escaped}*`]) {
      expect(select([...others, name], pattern)).toStrictEqual([name]);
    }
  });

  test.each(['*', '**', '***'])('%s selects everybody with an id, whatever the name', (pattern) => {
    fc.assert(
      fc.property(fc.array(hostileText), (names) => {
        expect(select(names, pattern)).toStrictEqual(names);
      }),
    );
  });

  test('is compared as it was typed: an accent in two code points is not one in one', () => {
    expect(select(['M\u00fcller', 'Mu\u0308ller'], 'M\u00fcller')).toStrictEqual(['M\u00fcller']);
  });
});

describe('an exclusion', () => {
  test.each<[string[], string[]]>([
    [
      ['*', '!acme'],
      ['acme-eu', 'beta (test)'],
    ],
    [
      ['!acme', '*'],
      ['acme-eu', 'beta (test)'],
    ],
    [['*', '!acme*'], ['beta (test)']],
    [
      ['*', '!p-1'],
      ['acme', 'beta (test)'],
    ],
    [
      ['*', '!* (test)'],
      ['acme', 'acme-eu'],
    ],
    [['*', '! acme*'], ['beta (test)']],
    [['acme', '!acme'], []],
    [
      ['*', '!unknown'],
      ['acme', 'acme-eu', 'beta (test)'],
    ],
    [
      ['*', '!'],
      ['acme', 'acme-eu', 'beta (test)'],
    ],
  ])('%j', (patterns, selected) => {
    expect(select(['acme', 'acme-eu', 'beta (test)'], ...patterns)).toStrictEqual(selected);
  });

  test('wins over every inclusion', () => {
    fc.assert(
      fc.property(fc.array(hostileText), fc.array(hostileText), hostileText, (names, patterns, out) => {
        fc.pre(out.trim() === out && out !== '');
        expect(select([...names, out], '*', ...patterns, `!${out}`)).not.toContain(out);
      }),
    );
  });
});

describe('the result', () => {
  test('keeps the order of the fleet, and names nobody twice', () => {
    expect(select(['c', 'a', 'b'], 'b', '*', 'c', 'b')).toStrictEqual(['c', 'a', 'b']);
  });

  test('keeps two projects of one name apart', () => {
    expect(selectTenants(fleet('acme', 'acme'), ['acme']).selected).toHaveLength(2);
  });

  test('tells which patterns selected nothing', () => {
    expect(selectTenants(fleet('acme'), ['acme', 'acmee', 'x*', '!nobody']).unmatched).toStrictEqual(['acmee', 'x*']);
  });

  test('does not call a pattern unmatched whose tenants were taken out again', () => {
    expect(selectTenants(fleet('acme'), ['acme', '!acme'])).toStrictEqual({ selected: [], unmatched: [] });
  });
});

describe('a hostile pattern neither throws nor takes for ever:', () => {
  test.each([
    ['very long', 'x'.repeat(100_000)],
    ['a range of millions', '{1..100000000}'],
    ['nested braces', '{a,'.repeat(3_000)],
    ['many braces', '{a,b}'.repeat(180)],
    ['open brackets', '['.repeat(900)],
    ['open parentheses', '('.repeat(900)],
    ['many stars', '*'.repeat(900)],
    ['pairs of stars', '**/'.repeat(300)],
    ['a regular expression that backtracks', '(a+)+$'],
    ['another one', '(a|a)*b'],
    ['a range the wrong way round', '[z-a]'],
    ['a class that does not exist', '[[:nope:]]'],
    ['a lone backslash', '\\'],
    ['lookahead', '(?=a)(?<x>'],
    ['NUL', '\0'],
    ['half a character', '\ud83e'],
  ])('%s', (_, pattern) => {
    const started = performance.now();
    selectTenants(fleet('a'.repeat(256), 'b', 'x'), [pattern, `!${pattern}`]);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test('any text', () => {
    fc.assert(
      fc.property(fc.array(hostileText), fc.array(hostileText), (names, patterns) => {
        selectTenants(fleet(...names), patterns);
      }),
    );
  });
});
