import { execFileSync } from 'node:child_process';
import { gunzipSync } from 'node:zlib';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { gzipMembers } from '../../../src/dump/gzip.js';
import { RowCounter } from '../../../src/dump/row-counter.js';
import { DumpWatch } from '../../../src/dump/trailer.js';
import { withoutLines } from '../../../src/dump/without-lines.js';

async function* inPieces(body: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (let turn = 0; at < body.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield await Promise.resolve(body.subarray(at, at + size));
    at += size;
  }
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 });

describe('gzipMembers', () => {
  test('gives what gunzip gives back, however it was cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        sizes,
        fc.integer({ min: 1, max: 9 }),
        async (bytes, cuts, level) => {
          const body = Buffer.from(bytes);
          const packed = await collect(gzipMembers(inPieces(body, cuts), { level, blockBytes: 64, inFlight: 3 }));
          expect(gunzipSync(packed).equals(body)).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('is read by the gunzip program', async () => {
    const body = Buffer.from('a line of a dump\n'.repeat(200_000));
    const packed = await collect(gzipMembers(inPieces(body, [60_000]), { level: 6 }));
    const unpacked = execFileSync('gzip', ['-dc'], { input: packed, maxBuffer: 1e8 });
    expect(unpacked.equals(body)).toBe(true);
  });

  test('throws what its source throws', async () => {
    const source = async function* () {
      yield await Promise.resolve(Buffer.alloc(200));
      throw new Error('pg_dump failed');
    };
    await expect(collect(gzipMembers(source(), { level: 1, blockBytes: 64 }))).rejects.toThrow('pg_dump failed');
  });
});

describe('DumpWatch', () => {
  const TRAILER = '\n--\n-- PostgreSQL database dump complete\n--\n\n';
  test.each([
    ['a plain dump', `SELECT 1;${TRAILER}`, true],
    ['one of a newer minor', `SELECT 1;${TRAILER}\\unrestrict aBc123\n\n`, true],
    ['one that ends early', 'SELECT 1;\n', false],
    ['one whose trailer is cut', `SELECT 1;${TRAILER}`.slice(0, -6), false],
    ['one whose data has the trailer', `${TRAILER}more data\n`, false],
    ['nothing', '', false],
  ])('takes %s for what it is', async (_, text, whole) => {
    for (const size of [1, 7, 1_000]) {
      const watch = new DumpWatch();
      for await (const chunk of inPieces(Buffer.from(text), [size])) watch.add(chunk);
      expect(watch.isWhole()).toBe(whole);
      expect(watch.bytes).toBe(text.length);
    }
  });
});

describe('RowCounter', () => {
  const row = fc.constantFrom('1\\tx', '', '\\\\.', 'COPY public.a (x) FROM stdin;', '\\N', 'a\\.', 'it\'s $$ "');
  const table = fc.record({
    name: fc.constantFrom('public.a', 'public."b (x"', '"ü ""s"."c.d"'),
    rows: fc.array(row, { maxLength: 5 }),
  });
  const noise = fc.constantFrom(
    'SELECT 1;\n',
    "COMMENT ON TABLE t IS 'x\nCOPY public.no (x) FROM stdin;\n';\n",
    '-- COPY\n',
    '\n',
  );

  test('counts the rows of each table, however the stream was cut and whatever the rows look like', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(noise, table), { maxLength: 8 }), sizes, (parts, cuts) => {
        const expected = new Map<string, number>();
        const text = parts.map(([before, { name, rows }]) => {
          expected.set(name, (expected.get(name) ?? 0) + rows.length);
          return `${before}COPY ${name} (x, y) FROM stdin;\n${rows.map((each) => `${each}\n`).join('')}\\.\n`;
        });
        const body = Buffer.from(text.join(''));
        const counter = new RowCounter();
        for (let at = 0, turn = 0; at < body.length; turn += 1) {
          const size = cuts[turn % cuts.length] ?? 1;
          counter.add(body.subarray(at, at + size));
          at += size;
        }
        expect(counter.rows).toEqual(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  test('notes what sequences are set to, where that is a statement and no data', () => {
    const counter = new RowCounter();
    const set = "SELECT pg_catalog.setval('public.\"o''dd\"', 10, true);\n";
    counter.add(Buffer.from(`COPY public.a (x) FROM stdin;\n${set}\\.\n${set.replace('10, true', '-3, false')}`));
    expect([...counter.sequences]).toEqual([['public."o\'dd"', { value: '-3', called: false }]]);
    expect([...counter.rows]).toEqual([['public.a', 1]]);
  });
});

describe('withoutLines', () => {
  const UNWANTED = new Set(['BEGIN;', 'COMMIT;']);
  const keep = [
    'SELECT 1;\n',
    'COPY public."a;b" (x) FROM stdin;\nBEGIN;\nCOMMIT;\nx\\\\.\n\\.\n',
    'COPY public.empty (x) FROM stdin;\n\\.\n',
    "COMMENT ON TABLE t IS 'it''s\nCOMMIT;\n';\n",
    "CREATE FUNCTION f() AS $$\nBEGIN;\nCOMMIT;\n'\n$$;\n",
    'CREATE FUNCTION f() AS $_$\nCOMMIT;\n$$\n$_$;\n',
    'CREATE TABLE "a\nCOMMIT;\n" (x int);\n',
    'CREATE FUNCTION f() BEGIN ATOMIC\nSELECT 1;\nEND;\n',
    "-- Name: o'brien; Type: TABLE\n",
    "\\restrict o'clock\n",
    'CREATE VIEW v AS\n SELECT 1\n;\n',
    '\n',
    'COPYRIGHT;\n',
  ];
  const piece = fc.oneof(fc.constantFrom(...keep), fc.constantFrom('BEGIN;\n', 'COMMIT;\n'));

  test('takes out what stands as a statement, and nothing that stands in data, strings, names and bodies', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 30 }), sizes, async (pieces, cuts) => {
        const given = Buffer.from(pieces.join(''));
        const wanted = pieces.filter((text) => !UNWANTED.has(text.trim())).join('');
        expect((await collect(withoutLines(inPieces(given, cuts), (line) => UNWANTED.has(line)))).toString()).toBe(
          wanted,
        );
      }),
      { numRuns: 2_000 },
    );
  });
});
