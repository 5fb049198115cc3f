/** One page of a listing that goes on as long as it names a cursor. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly cursor?: string | undefined;
}

/**
 * Reads a listing to its end. The end is a page without a cursor, never a short page; a cursor that was used before
 * ends it as well, since some listings repeat the last one for ever.
 */
export async function* readPages<T>(fetchPage: (cursor: string | undefined) => Promise<Page<T>>): AsyncGenerator<T[]> {
  const used = new Set<string | undefined>();
  let cursor: string | undefined;
  do {
    used.add(cursor);
    const page = await fetchPage(cursor);
    yield [...page.items];
    // Some listings end with an empty cursor instead of none; sent back, it would ask for the first page again.
    cursor = page.cursor === '' ? undefined : page.cursor;
  } while (!used.has(cursor));
}
