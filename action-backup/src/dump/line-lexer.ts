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
