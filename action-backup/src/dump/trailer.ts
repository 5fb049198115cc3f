import { RowCounter } from './row-counter.js';

/** With what a whole plain dump ends; newer minors close their `\restrict` after it. */
const TRAILER = /\n--\n-- PostgreSQL database dump complete\n--\n\n*(\\unrestrict [A-Za-z0-9]+\n+)?$/;
const TAIL_BYTES = 512;

/** Watches a plain dump go by, and knows at its end whether it was whole, and what was in it if it was to count. */
export class DumpWatch {
  readonly counter: RowCounter | undefined;
  #bytes = 0;
  #tail: Buffer = Buffer.alloc(0);

  constructor({ count = false }: { readonly count?: boolean } = {}) {
    this.counter = count ? new RowCounter() : undefined;
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length;
    this.counter?.add(chunk);
    const end = chunk.subarray(-TAIL_BYTES);
    this.#tail = end.length === TAIL_BYTES ? end : Buffer.concat([this.#tail, end]).subarray(-TAIL_BYTES);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the dump ends with PostgreSQL's own trailer. */
  isWhole(): boolean {
    return TRAILER.test(this.#tail.toString('latin1'));
  }
}
