import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { readPages, type Page } from '../../../src/neon/pages.js';

/** Reads a listing whose pages are given by the cursor that asks for them. */
async function read(pages: ReadonlyMap<string | undefined, Page<number>>) {
  const asked: (string | undefined)[] = [];
  const items: number[] = [];
  const reading = readPages((cursor) => {
    asked.push(cursor);
    const page = pages.get(cursor);
    return page === undefined ? Promise.reject(new Error(`no page ${String(cursor)}`)) : Promise.resolve(page);
  });
  for await (const page of reading) items.push(...page);
  return { asked, items };
}

describe('a listing', () => {
  test.each<[string, [string | undefined, Page<number>][], (string | undefined)[], number[]]>([
    ['of one page', [[undefined, { items: [1] }]], [undefined], [1]],
    ['that is empty', [[undefined, { items: [] }]], [undefined], []],
    [
      'with a short page in it',
      [
        [undefined, { items: [1, 2], cursor: 'a' }],
        ['a', { items: [3], cursor: 'b' }],
        ['b', { items: [4, 5] }],
      ],
      [undefined, 'a', 'b'],
      [1, 2, 3, 4, 5],
    ],
    [
      'with an empty page in it',
      [
        [undefined, { items: [], cursor: 'a' }],
        ['a', { items: [1] }],
      ],
      [undefined, 'a'],
      [1],
    ],
    [
      'that repeats its last cursor for ever',
      [
        [undefined, { items: [1], cursor: 'a' }],
        ['a', { items: [], cursor: 'a' }],
      ],
      [undefined, 'a'],
      [1],
    ],
    [
      'that repeats a cursor when there is nothing more',
      [
        [undefined, { items: [1], cursor: 'a' }],
        ['a', { items: [2], cursor: 'b' }],
        ['b', { items: [], cursor: 'b' }],
      ],
      [undefined, 'a', 'b'],
      [1, 2],
    ],
    ['that ends with an empty cursor', [[undefined, { items: [1], cursor: '' }]], [undefined], [1]],
  ])('%s', async (_, pages, asked, items) => {
    expect(await read(new Map(pages))).toStrictEqual({ asked, items });
  });

  test('that goes round in a circle is an error, since it may not be whole', async () => {
    const pages = new Map<string | undefined, Page<number>>([
      [undefined, { items: [1], cursor: 'a' }],
      ['a', { items: [2], cursor: 'b' }],
      ['b', { items: [3], cursor: 'a' }],
    ]);
    await expect(read(pages)).rejects.toThrow('it repeats a cursor');
  });

  test('that gives nothing but new cursors ends as an error', async () => {
    let page = 0;
    const endless = readPages(() => Promise.resolve({ items: [], cursor: String((page += 1)) }));
    await expect(async () => {
      for await (const items of endless) expect(items).toEqual([]);
    }).rejects.toThrow('pages were empty');
    expect(page).toBeLessThan(100);
  });

  test('loses nothing and asks for each page once, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 8 }), async (cut) => {
        const pages = cut.map((items, index): [string | undefined, Page<number>] => [
          index === 0 ? undefined : `c${index}`,
          { items, cursor: index === cut.length - 1 ? undefined : `c${index + 1}` },
        ]);
        const { asked, items } = await read(new Map(pages));
        expect(items).toStrictEqual(cut.flat());
        expect(asked).toHaveLength(cut.length);
      }),
    );
  });

  test('that fails in the middle is not taken for one that ended', async () => {
    await expect(read(new Map([[undefined, { items: [1], cursor: 'gone' }]]))).rejects.toThrow('no page gone');
  });
});
