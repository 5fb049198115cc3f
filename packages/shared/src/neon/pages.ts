import { ExplainedError } from '../errors/index.js';

/** One page of a listing that goes on as long as it names a cursor. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly cursor?: string | undefined;
}

/** So many pages in a row without an item are taken as a listing that never ends. */
const MOST_EMPTY_PAGES = 20;

/**
 * Reads a listing to its end. The end is a page without a cursor, never a short page. Some listings repeat their last
 * cursor for ever: a cursor that was used before ends the listing when its page is empty.
 *
 * @throws ExplainedError when the listing goes round in a circle or gives nothing but cursors: what was read would not be
 *   the whole.
 */
export async function* readPages<T>(fetchPage: (cursor: string | undefined) => Promise<Page<T>>): AsyncGenerator<T[]> {
  const used = new Set<string>();
  let cursor: string | undefined;
  let emptyPages = 0;
  for (;;) {
    const page = await fetchPage(cursor);
    yield [...page.items];
    emptyPages = page.items.length === 0 ? emptyPages + 1 : 0;
    // Some listings end with an empty cursor instead of none; sent back, it would ask for the first page again.
    cursor = page.cursor === '' ? undefined : page.cursor;
    if (cursor === undefined) return;
    if (used.has(cursor)) {
      if (page.items.length === 0) return;
      throw endless('it repeats a cursor');
    }
    if (emptyPages >= MOST_EMPTY_PAGES) throw endless(`its last ${emptyPages} pages were empty`);
    used.add(cursor);
  }
}

function endless(why: string): ExplainedError {
  return new ExplainedError({
    message: `Neon API: a listing does not come to an end (${why}), so that it may not be whole`,
    hint: 'Run again. If it stays so, report it to Neon, with the time of this run.',
  });
}
