/** The line breaks that matter are bytes, whatever the encoding of the dump. */
export const NEWLINE = 0x0a;
const END = Buffer.from('\n\\.\n');

/**
 * Finds the end of the rows of a COPY in a dump that streams by, also where it is cut between two chunks; of a chunk it
 * remembers how much of the end it may have begun with, and no bytes.
 */
export class EndOfRows {
  /** How many bytes of the end were the last ones seen. */
  #matched = 0;

  /** The line of the COPY itself was read: its line break is the beginning of the end when there is no row. */
  begin(): void {
    this.#matched = 1;
  }

  /** Looks for the end from a position on. @returns where it is over, or -1 when it is not in this chunk */
  find(chunk: Buffer, from: number): number {
    const past = this.#goOn(chunk, from);
    if (past !== undefined) return past;
    const end = chunk.indexOf(END, from);
    if (end !== -1) return end + END.length;
    this.#matched = beginningAt(chunk, from);
    return -1;
  }

  /** Goes on with an end that has begun. @returns undefined when it was none after all */
  #goOn(chunk: Buffer, from: number): number | undefined {
    for (let at = from; this.#matched > 0; at += 1) {
      if (at === chunk.length) return -1;
      if (chunk[at] !== END[this.#matched]) {
        // Only its first byte is a line break, so that what follows can begin an end of its own.
        this.#matched = 0;
        return undefined;
      }
      this.#matched += 1;
      if (this.#matched === END.length) {
        this.#matched = 0;
        return at + 1;
      }
    }
    return undefined;
  }
}

/** With how many bytes of the end a chunk ends. */
function beginningAt(chunk: Buffer, from: number): number {
  const longest = Math.min(END.length - 1, chunk.length - from);
  for (let length = longest; length > 0; length -= 1) {
    if (chunk.subarray(chunk.length - length).equals(END.subarray(0, length))) return length;
  }
  return 0;
}

/** The number of line breaks in some bytes. */
export function lineBreaks(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}
