import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { cut } from '../../src/s3/index.js';

async function* from(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(chunk);
}

async function pieces(source: AsyncIterable<Uint8Array>, size: number, spare?: () => Buffer | undefined) {
  const all: Buffer[] = [];
  for await (const piece of cut(source, size, spare)) all.push(Buffer.from(piece));
  return all;
}

describe('cut', () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 12 });

  test('gives pieces of one size, the last one smaller, which together are the stream', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, fc.integer({ min: 1, max: 50 }), async (given, size) => {
        const all = await pieces(from(given), size);
        expect(Buffer.concat(all).equals(Buffer.concat(given))).toBe(true);
        expect(all.slice(0, -1).every(({ length }) => length === size)).toBe(true);
        expect(all.every(({ length }) => length > 0 && length <= size)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('is right also where a piece is larger than the memory that it began with', async () => {
    const body = Buffer.from(Array.from({ length: 700_001 }, (_, index) => index % 251));
    for (const step of [1_000, 65_536, 300_000]) {
      const given = Array.from({ length: Math.ceil(body.length / step) }, (_, index) =>
        body.subarray(index * step, (index + 1) * step),
      );
      const all = await pieces(from(given), 300_000);
      expect(all.map(({ length }) => length)).toEqual([300_000, 300_000, 100_001]);
      expect(Buffer.concat(all).equals(body)).toBe(true);
    }
  });

  test('reserves little for a small stream, although its pieces may be large', async () => {
    for await (const piece of cut(from([Buffer.from('small')]), 8 * 1024 * 1024)) {
      expect(piece.toString()).toBe('small');
      expect(piece.buffer.byteLength).toBeLessThanOrEqual(64 * 1024);
    }
  });

  test('uses the memory that it is given back', async () => {
    const spare: Buffer[] = [];
    const seen = new Set<ArrayBufferLike>();
    const text: string[] = [];
    const size = 10_000;
    const given = Array.from({ length: 20 }, (_, index) => Buffer.alloc(size, `${index}`));
    for await (const piece of cut(from(given), size, () => spare.pop())) {
      seen.add(piece.buffer);
      text.push(piece.toString());
      spare.push(piece);
    }
    expect(text).toEqual(given.map(String));
    expect(seen.size).toBeLessThanOrEqual(2);
  });
});
