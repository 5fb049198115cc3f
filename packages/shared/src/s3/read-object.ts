import type { ObjectStore } from './store.js';

export interface ObjectToRead {
  readonly key: string;
  readonly sizeBytes: number;
  /** The object must still be the one with this ETag. */
  readonly etag?: string | undefined;
}

const RANGE_BYTES = 8 * 1024 * 1024;

/**
 * Reads an object in ranges, one ahead of its reader.
 *
 * Not as one long answer: a reader that pauses for minutes (PostgreSQL building an index) would have it closed by the
 * store, and a broken connection would mean to begin again. A range is simply asked for again.
 */
export async function* readObject(
  store: Pick<ObjectStore, 'getRange'>,
  { key, sizeBytes, etag }: ObjectToRead,
  signal: AbortSignal,
  rangeBytes: number = RANGE_BYTES,
): AsyncGenerator<Buffer, void, void> {
  const ask = (first: number): Promise<Buffer> | undefined => {
    if (first >= sizeBytes) return undefined;
    const asked = store.getRange(key, { first, last: Math.min(first + rangeBytes, sizeBytes) - 1 }, etag, signal);
    // It may fail while its reader is busy elsewhere; the reader learns of it when it comes back.
    asked.catch(() => undefined);
    return asked;
  };
  let next = ask(0);
  for (let first = 0; next !== undefined;) {
    const current = await next;
    first += rangeBytes;
    next = ask(first);
    yield current;
  }
}
