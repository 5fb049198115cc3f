import { EndOfRows, NEWLINE } from './end-of-rows.js';
import { LineLexer } from './line-lexer.js';

/** A part of a dump: a line that is whole, or rows of a COPY as far as they are here. */
export type DumpPart =
  | {
      readonly kind: 'line';
      /** With its line break. */
      readonly bytes: Buffer;
      /** In latin1, with its line break. */
      readonly text: string;
      /** Whether a statement begins with it: it does not go on with one, with a string, or with the body of a function. */
      readonly isTop: boolean;
      /** It is a COPY whose rows come next. */
      readonly rowsFollow: boolean;
    }
  | {
      readonly kind: 'rows';
      readonly bytes: Buffer;
      /** Whether they end with the `\.` line that ends the rows. */
      readonly over: boolean;
    };

/**
 * Reads a plain dump as it streams by. Rows, which are nearly all of a dump, are passed on as parts of the chunks that
 * they came in; what is put together over several chunks are only lines outside of them.
 */
export class DumpReader {
  readonly #lexer = new LineLexer();
  readonly #end = new EndOfRows();
  /** The beginning of a line whose end has not come yet. */
  #begun: Buffer[] = [];

  *read(chunk: Buffer): Generator<DumpPart, void, void> {
    for (let at = 0; at < chunk.length;) {
      if (this.#lexer.inRows) {
        const end = this.#end.find(chunk, at);
        const over = end !== -1;
        this.#lexer.inRows = !over;
        const next = over ? end : chunk.length;
        yield { kind: 'rows', bytes: chunk.subarray(at, next), over };
        at = next;
        continue;
      }
      const next = chunk.indexOf(NEWLINE, at) + 1;
      if (next === 0) {
        // A view would keep the whole chunk in memory.
        this.#begun.push(Buffer.from(chunk.subarray(at)));
        return;
      }
      yield this.#line(chunk.subarray(at, next));
      at = next;
    }
  }

  /** What came after the last line break. */
  rest(): Buffer {
    return Buffer.concat(this.#begun);
  }

  #line(end: Buffer): DumpPart {
    const bytes = this.#begun.length === 0 ? end : Buffer.concat([...this.#begun, end]);
    this.#begun = [];
    const text = bytes.toString('latin1');
    const { isTop } = this.#lexer;
    const rowsFollow = this.#lexer.read(text);
    if (rowsFollow) this.#end.begin();
    return { kind: 'line', bytes, text, isTop, rowsFollow };
  }
}
