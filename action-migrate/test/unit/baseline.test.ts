import { describe, expect, jest, test } from '@jest/globals';
import { parseConnectionUri } from '@neon-fleet/shared/postgres';

import {
  compareCatalogs,
  differenceWords,
  ReferenceError,
  renderBaseline,
  renderDifferences,
  type Catalog,
  type CatalogObject,
  type Difference,
} from '../../src/baseline/index.js';
import { keepReferences } from '../../src/baseline/reference.js';
import { scratchName } from '../../src/baseline/scratch.js';

const BESIDE = parseConnectionUri('postgresql://u:p@h/d');

function catalog(...objects: CatalogObject[]): Catalog {
  return { serverMajor: 17, objects };
}
const table = (name: string): CatalogObject => ({
  kind: 'table',
  parent: 'public',
  name: `public.${name}`,
  definition: '',
});
const column = (of: string, name: string, definition = 'text'): CatalogObject => ({
  kind: 'column',
  parent: `public.${of}`,
  name: `public.${of}.${name}`,
  definition,
});

describe('compareCatalogs', () => {
  test('finds nothing between equals in another order', () => {
    const [a, b] = [column('t', 'a'), column('t', 'b')];
    expect(compareCatalogs(catalog(table('t'), a, b), catalog(b, a, table('t')))).toEqual([]);
  });

  test('does not list the parts of what is missing or extra as a whole', () => {
    expect(
      compareCatalogs(
        catalog(table('gone'), column('gone', 'a'), table('t')),
        catalog(table('new'), column('new', 'a'), table('t'), column('t', 'a')),
      ),
    ).toEqual([
      { is: 'missing', kind: 'table', name: 'public.gone', expected: '' },
      { is: 'extra', kind: 'table', name: 'public.new', actual: '' },
      { is: 'extra', kind: 'column', name: 'public.t.a', actual: 'text' },
    ]);
  });

  test('takes a table and a view of one name for two things', () => {
    const view = { kind: 'view', parent: 'public', name: 'public.t', definition: 'AS SELECT 1' };
    expect(compareCatalogs(catalog(table('t')), catalog(view)).map(({ is, kind }) => `${is} ${kind}`)).toEqual([
      'missing table',
      'extra view',
    ]);
  });
});

describe('the words for differences', () => {
  const many = Array.from({ length: 100 }, (_, index): Difference => {
    return {
      is: 'different',
      kind: 'column',
      name: `public.t.c${index}`,
      expected: 'x'.repeat(10_000),
      actual: 'text',
    };
  });

  test('name the first few and count the rest', () => {
    expect(differenceWords(many)).toBe(
      '100 different (different column public.t.c0; different column public.t.c1; different column public.t.c2; different column public.t.c3; different column public.t.c4; and 95 more)',
    );
  });

  test('show both definitions, within bounds, without secrets', () => {
    const text = renderDifferences([
      {
        is: 'different',
        kind: 'function',
        name: 'f()',
        expected: 'a\nb',
        actual: "SELECT 'postgres://u:hunter22@h/d'",
      },
      ...many,
    ]);
    expect(text).toContain("different function f()\n  - a\n  - b\n  + SELECT 'postgres://u:***@h/d'");
    expect(text).toContain('and 81 more');
    expect(text.length).toBeLessThan(20_000);
  });

  test('cannot leave their place in the summary', () => {
    const markdown = renderBaseline([
      { name: '</summary><script>', differences: [{ is: 'extra', kind: 'view', name: 'v', actual: '````\n# out' }] },
      { name: 'equal', differences: [] },
    ]);
    expect(markdown).toContain('<summary>&lt;/summary&gt;&lt;script&gt;</summary>');
    expect(markdown).toContain('`````diff');
    expect(markdown).not.toContain('equal</summary>');
  });

  test('stay within bounds for thousands of tenants', () => {
    const markdown = renderBaseline(Array.from({ length: 5_000 }, (_, n) => ({ name: `t${n}`, differences: many })));
    expect(Buffer.byteLength(markdown)).toBeLessThan(210 * 1024);
    expect(markdown).toMatch(/and \d+ more; see the report/);
  });
});

describe('the scratch database', () => {
  test('has a name that says when it was made', () => {
    const now = new Date('2026-11-25T10:00:00Z');
    const name = scratchName(now);
    expect(name).toMatch(/^neon_fleet_scratch_1795600800_[0-9a-f]{16}$/);
    expect(scratchName(now)).not.toBe(name);
  });
});

describe('references', () => {
  test('are built once for each version, however many ask at once', async () => {
    const build = jest.fn(() => Promise.resolve(catalog()));
    const references = keepReferences(build);
    await Promise.all([1, 2, 3].map(() => references.forServer(17, BESIDE)));
    await references.forServer(17, BESIDE);
    expect(build).toHaveBeenCalledTimes(1);
  });

  test('are not compared across versions', async () => {
    const references = keepReferences(() => Promise.resolve(catalog()));
    await expect(references.forServer(16, BESIDE)).rejects.toThrow(/PostgreSQL 17, and the tenant on 16/);
  });

  test('that fail because of one server are built beside the next that waits', async () => {
    let attempts = 0;
    const references = keepReferences(() => {
      attempts += 1;
      return attempts === 1 ? Promise.reject(new Error('unreachable')) : Promise.resolve(catalog());
    });
    const asked = await Promise.allSettled([1, 2, 3].map(() => references.forServer(17, BESIDE)));
    expect(asked.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(attempts).toBe(2);
  });

  test('that fail because of the migrations are not built again', async () => {
    const build = jest.fn(() => Promise.reject(new ReferenceError({ message: 'broken' })));
    const references = keepReferences(build);
    await Promise.allSettled([1, 2].map(() => references.forServer(17, BESIDE)));
    await expect(references.forServer(17, BESIDE)).rejects.toThrow('broken');
    expect(build).toHaveBeenCalledTimes(1);
  });
});
