/** What the first piece begins with: most streams of a fleet are small, and memory that is only reserved costs time too. */
const FIRST_BYTES = 64 * 1024;

/**
 * Cuts a stream into pieces of equal size; only the last one may be smaller. An empty stream gives no piece.
 *
 * @param spare gives memory of the size of a piece that nobody needs any more, if there is some.
 */
export async function* cut(
  source: AsyncIterable<Uint8Array>,
  sizeBytes: number,
  spare: () => Buffer | undefined = () => undefined,
): AsyncGenerator<Buffer, void, void> {
  let piece: Buffer = Buffer.allocUnsafe(Math.min(FIRST_BYTES, sizeBytes));
  let filled = 0;
  for await (const chunk of source) {
    let taken = 0;
    while (taken < chunk.length) {
      const step = Math.min(chunk.length - taken, sizeBytes - filled);
      if (filled + step > piece.length) piece = grown(piece, filled, Math.min(sizeBytes, 2 * (filled + step)));
      piece.set(chunk.subarray(taken, taken + step), filled);
      filled += step;
      taken += step;
      if (filled === sizeBytes) {
        yield piece;
        piece = spare() ?? Buffer.allocUnsafe(sizeBytes);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

function grown(piece: Buffer, filled: number, sizeBytes: number): Buffer {
  const larger = Buffer.allocUnsafe(sizeBytes);
  piece.copy(larger, 0, 0, filled);
  return larger;
}
