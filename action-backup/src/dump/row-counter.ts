import { DumpReader } from './dump-reader.js';
import { lineBreaks } from './end-of-rows.js';

/** What a sequence was set to: its value, and whether that value has been given out. */
export interface SequenceState {
  readonly value: string;
  readonly called: boolean;
}

/**
 * Counts the rows of a plain dump as it streams by, and notes what its sequences are set to: what is recorded is what is
 * in the dump, not what was in the database at some other moment.
 */
export class RowCounter {
  /** By table, as the dump names it: `public."Kunden"`. */
  readonly rows = new Map<string, number>();
  /** By sequence, as the dump names it. */
  readonly sequences = new Map<string, SequenceState>();
  readonly #reader = new DumpReader();
  #table = '';
  #lines = 0;

  add(chunk: Buffer): void {
    for (const part of this.#reader.read(chunk)) {
      if (part.kind === 'rows') {
        this.#lines += lineBreaks(part.bytes);
        if (part.over) this.#count();
      } else if (part.rowsFollow) {
        this.#table = nameOf(part.bytes);
        this.#lines = 0;
      } else if (part.isTop && part.text.startsWith(SETVAL)) {
        this.#note(part.bytes.toString('utf8'));
      }
    }
  }

  #count(): void {
    // The last line is the one that ends the rows.
    this.rows.set(this.#table, (this.rows.get(this.#table) ?? 0) + this.#lines - 1);
  }

  #note(line: string): void {
    const found = /^SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d+), (true|false)\);$/.exec(line.trim());
    if (found?.[1] === undefined || found[2] === undefined) return;
    this.sequences.set(found[1].replaceAll("''", "'"), { value: found[2], called: found[3] === 'true' });
  }
}

const SETVAL = 'SELECT pg_catalog.setval(';

/** The table of `COPY schema."table" (columns) FROM stdin;`. */
function nameOf(line: Buffer): string {
  return /^COPY ((?:"(?:[^"]|"")*"|[^\s."(])+\.(?:"(?:[^"]|"")*"|[^\s."(])+)/.exec(line.toString('utf8'))?.[1] ?? '';
}
