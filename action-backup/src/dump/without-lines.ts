/** The line breaks that matter are bytes, whatever the encoding of the dump. */
export const NEWLINE = 0x0a;
export const END_OF_ROWS = Buffer.from('\n\\.\n');

/**
 * Takes whole lines out of a plain dump as it streams by, but only where they are statements of the dump itself: never
 * inside the rows of a COPY, a string, a quoted name or the body of a function, where the same text is somebody's data.
 */
export async function* withoutLines(
  source: AsyncIterable<Buffer>,
  isUnwanted: (line: string) => boolean,
): AsyncGenerator<Buffer, void, void> {
  const lexer = new LineLexer();
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const kept: Buffer[] = [];
    const take = (length: number) => {
      kept.push(data.subarray(0, length));
      data = data.subarray(length);
    };
    for (;;) {
      if (lexer.inRows) {
        const end = data.indexOf(END_OF_ROWS);
        if (end === -1) break;
        take(end + END_OF_ROWS.length);
        lexer.inRows = false;
        continue;
      }
      const length = data.indexOf(NEWLINE) + 1;
      if (length === 0) break;
      const line = data.toString('latin1', 0, length);
      if (lexer.isTop && isUnwanted(line.slice(0, -1))) {
        data = data.subarray(length);
        continue;
      }
      const rowsFollow = lexer.read(line);
      // The line break before the first row is the beginning of the end when there is no row.
      take(rowsFollow ? length - 1 : length);
    }
    // Rows go on as they come, but for what may be the beginning of their end.
    if (lexer.inRows) take(Math.max(0, data.length - (END_OF_ROWS.length - 1)));
    rest = Buffer.from(data);
    if (kept.length > 0) yield Buffer.concat(kept);
  }
  if (rest.length > 0) yield rest;
}

/** Knows, line by line, whether the next line of a dump begins as a statement, a continuation, a string or a row. */
export class LineLexer {
  /** The next line is a row of a COPY, or its end. */
  inRows = false;
  #beginning = '';
  /** What ends the string, name or body that a line ended in. */
  #closing: string | undefined;

  get isTop(): boolean {
    return this.#closing === undefined && this.#beginning === '' && !this.inRows;
  }

  /** Reads the next line. @returns whether rows of a COPY follow it */
  read(line: string): boolean {
    let position = 0;
    while (position < line.length) position = this.#step(line, position);
    return this.inRows;
  }

  /** Goes over one token; gives where the next one begins. */
  #step(line: string, position: number): number {
    if (this.#closing !== undefined) {
      const end = line.indexOf(this.#closing, position);
      if (end === -1) return line.length;
      const past = end + this.#closing.length;
      this.#closing = undefined;
      return past;
    }
    const sign = line.charAt(position);
    if (line.startsWith('--', position)) return line.length;
    // psql's own commands are lines of their own, and end with them.
    if (sign === '\\' && position === 0 && this.isTop) return line.length;
    if (sign === "'" || sign === '"') this.#closing = sign;
    else if (sign === '$') {
      const quote = DOLLAR_QUOTE.exec(line.slice(position))?.[0];
      if (quote !== undefined) {
        this.#closing = quote;
        return position + quote.length;
      }
    } else if (sign === ';') {
      this.inRows = this.#beginning === 'COPY ' && line.slice(0, position + 2).endsWith(' FROM stdin;\n');
      this.#beginning = '';
      return position + 1;
    }
    if (this.#beginning === '' && /\S/.test(sign)) this.#beginning = line.slice(position, position + 5);
    return position + 1;
  }
}

const DOLLAR_QUOTE = /^\$(?:[A-Za-z_\u0080-\u00ff][A-Za-z0-9_\u0080-\u00ff]*)?\$/;
