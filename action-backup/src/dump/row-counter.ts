import { END_OF_ROWS, LineLexer, NEWLINE } from './without-lines.js';

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
  readonly #lexer = new LineLexer();
  #rest: Buffer = Buffer.alloc(0);
  #table = '';
  #count = 0;

  add(chunk: Buffer): void {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      if (this.#lexer.inRows) {
        const end = data.indexOf(END_OF_ROWS);
        // What may be the beginning of the end is looked at again with what follows it.
        const settled = end === -1 ? Math.max(0, data.length - (END_OF_ROWS.length - 1)) : end + 1;
        this.#count += newlines(data, settled);
        if (end === -1) {
          data = data.subarray(settled);
          break;
        }
        // One of them is that of the COPY line.
        this.rows.set(this.#table, (this.rows.get(this.#table) ?? 0) + this.#count - 1);
        this.#lexer.inRows = false;
        data = data.subarray(end + END_OF_ROWS.length);
        continue;
      }
      const length = data.indexOf(NEWLINE) + 1;
      if (length === 0) break;
      const line = data.toString('latin1', 0, length);
      const isStatement = this.#lexer.isTop;
      if (this.#lexer.read(line)) {
        this.#table = nameOf(data.subarray(0, length));
        this.#count = 0;
        data = data.subarray(length - 1);
        continue;
      }
      if (isStatement && line.startsWith(SETVAL)) this.#note(data.toString('utf8', 0, length));
      data = data.subarray(length);
    }
    // A view would keep the whole chunk in memory.
    this.#rest = Buffer.from(data);
  }

  #note(line: string): void {
    const found = /^SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d+), (true|false)\);$/.exec(line.trim());
    if (found?.[1] === undefined || found[2] === undefined) return;
    this.sequences.set(found[1].replaceAll("''", "'"), { value: found[2], called: found[3] === 'true' });
  }
}

const SETVAL = 'SELECT pg_catalog.setval(';

function newlines(data: Buffer, end: number): number {
  let count = 0;
  for (let at = data.indexOf(NEWLINE); at !== -1 && at < end; at = data.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

/** The table of `COPY schema."table" (columns) FROM stdin;`. */
function nameOf(line: Buffer): string {
  return /^COPY ((?:"(?:[^"]|"")*"|[^\s."(])+\.(?:"(?:[^"]|"")*"|[^\s."(])+)/.exec(line.toString('utf8'))?.[1] ?? '';
}
