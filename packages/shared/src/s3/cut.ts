/** Cuts a stream into pieces of equal size; only the last one may be smaller. An empty stream gives no piece. */
export async function* cut(source: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Buffer, void, void> {
  let piece = Buffer.allocUnsafe(sizeBytes);
  let filled = 0;
  for await (const chunk of source) {
    let taken = 0;
    while (taken < chunk.length) {
      const step = Math.min(chunk.length - taken, sizeBytes - filled);
      piece.set(chunk.subarray(taken, taken + step), filled);
      filled += step;
      taken += step;
      if (filled === sizeBytes) {
        yield piece;
        piece = Buffer.allocUnsafe(sizeBytes);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
