import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { DumpReader, type DumpPart } from '../../../src/dump/dump-reader.js';
import { EndOfRows, lineBreaks } from '../../../src/dump/end-of-rows.js';

const END = '\n\\.\n';

/** Cuts bytes at the given places; a place may come twice, and gives an empty piece then. */
function cutAt(body: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((place) => place % (body.length + 1)).toSorted((a, b) => a - b), body.length];
  return sorted.slice(1).map((place, index) => body.subarray(sorted[index], place));
}

const places = fc.array(fc.nat(200), { maxLength: 12 });

describe('EndOfRows', () => {
  // Of these signs alone, nearly every text has beginnings of an end, and many have an end.
  const text = fc.string({ unit: fc.constantFrom('\n', '\\', '.', 'a'), maxLength: 60 });

  test('finds the first end, wherever the stream was cut, and begins anew behind it', () => {
    fc.assert(
      fc.property(text, places, (rows, cuts) => {
        const body = Buffer.from(`${rows}${END}tail${END}`);
        const end = new EndOfRows();
        // The line break of the COPY line comes before the first row.
        end.begin();
        const found: number[] = [];
        let offset = 0;
        for (const chunk of cutAt(body, cuts)) {
          for (let at = 0; at < chunk.length;) {
            const past = end.find(chunk, at);
            if (past === -1) break;
            found.push(offset + past);
            at = past;
          }
          offset += chunk.length;
        }
        expect(found).toEqual(endsOf(`\n${rows}${END}tail${END}`).map((past) => past - 1));
      }),
      { numRuns: 5_000 },
    );
  });

  /** Where ends are over, each looked for behind the one before. */
  function endsOf(whole: string): number[] {
    const ends: number[] = [];
    for (let at = whole.indexOf(END); at !== -1; at = whole.indexOf(END, at + END.length)) ends.push(at + END.length);
    return ends;
  }
});

test('lineBreaks counts what a loop counts', () => {
  fc.assert(
    fc.property(fc.uint8Array({ max: 12, maxLength: 100 }), (bytes) => {
      expect(lineBreaks(Buffer.from(bytes))).toBe(bytes.filter((byte) => byte === 10).length);
    }),
  );
});

describe('DumpReader', () => {
  const DUMP = Buffer.from(
    [
      'SET x = 1;\n',
      'COPY public.a (x) FROM stdin;\n1\n2\n\\.\n',
      'COPY public.none (x) FROM stdin;\n\\.\n',
      "COMMENT ON TABLE a IS 'ü\nCOPY public.no (x) FROM stdin;\n';\n",
      '-- the end, without a line break',
    ].join(''),
  );

  test('gives every byte once and in order, and the same lines and rows however the stream was cut', () => {
    const whole = told([DUMP]);
    expect(whole.lines).toHaveLength(6);
    expect(whole.rows).toBe('1\n2\n\\.\n\\.\n');
    fc.assert(
      fc.property(places, (cuts) => {
        expect(told(cutAt(DUMP, cuts))).toEqual(whole);
      }),
      { numRuns: 2_000 },
    );
  });

  function told(chunks: readonly Buffer[]) {
    const reader = new DumpReader();
    const parts: DumpPart[] = chunks.flatMap((chunk) => [...reader.read(chunk)]);
    const all = Buffer.concat([...parts.map(({ bytes }) => bytes), reader.rest()]);
    expect(all.equals(Buffer.concat(chunks))).toBe(true);
    return {
      lines: parts.flatMap((part) => (part.kind === 'line' ? [[part.text, part.isTop, part.rowsFollow]] : [])),
      rows: parts.flatMap((part) => (part.kind === 'rows' ? [part.bytes.toString()] : [])).join(''),
      ends: parts.filter((part) => part.kind === 'rows' && part.over).length,
    };
  }

  test('passes rows on where they lie, and keeps nothing of them', () => {
    const reader = new DumpReader();
    expect([...reader.read(Buffer.from('COPY public.a (x) FROM stdin;\n'))]).toMatchObject([{ rowsFollow: true }]);
    const chunk = Buffer.alloc(100_000, 'a row\n');
    const [rows, ...more] = [...reader.read(chunk)];
    expect(more).toEqual([]);
    expect(rows).toMatchObject({ kind: 'rows', over: false });
    expect(rows?.bytes.buffer).toBe(chunk.buffer);
    expect(rows?.bytes.length).toBe(chunk.length);
    expect(reader.rest().length).toBe(0);
  });

  test('puts a line together that comes in very many pieces', () => {
    const reader = new DumpReader();
    const pieces = 20_000;
    const piece = Buffer.alloc(500, 'x');
    for (let index = 0; index < pieces; index += 1) expect([...reader.read(piece)]).toEqual([]);
    const [line] = [...reader.read(Buffer.from(';\n'))];
    expect(line).toMatchObject({ kind: 'line', isTop: true });
    expect(line?.bytes.length).toBe(pieces * piece.length + 2);
  });
});
