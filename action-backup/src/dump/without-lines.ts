import { DumpReader } from './dump-reader.js';

/**
 * Takes whole lines out of a plain dump as it streams by, but only where they are statements of the dump itself: never
 * inside the rows of a COPY, a string, a quoted name or the body of a function, where the same text is somebody's data.
 */
export async function* withoutLines(
  source: AsyncIterable<Buffer>,
  isUnwanted: (line: string) => boolean,
): AsyncGenerator<Buffer, void, void> {
  const reader = new DumpReader();
  for await (const chunk of source) {
    const kept: Buffer[] = [];
    for (const part of reader.read(chunk)) {
      if (part.kind === 'line' && part.isTop && isUnwanted(part.text.slice(0, -1))) continue;
      kept.push(part.bytes);
    }
    const [only] = kept;
    if (only !== undefined) yield kept.length === 1 ? only : Buffer.concat(kept);
  }
  const rest = reader.rest();
  if (rest.length > 0) yield rest;
}
