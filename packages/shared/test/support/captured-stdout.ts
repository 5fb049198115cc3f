/** What is written to the standard output, kept from it until it is given back. */
export class CapturedStdout {
  /** Each piece that was written. */
  readonly pieces: string[] = [];
  readonly #write = process.stdout.write.bind(process.stdout);

  constructor() {
    process.stdout.write = (text: string | Uint8Array) => {
      this.pieces.push(text.toString());
      return true;
    };
  }

  get text(): string {
    return this.pieces.join('');
  }

  giveBack(): void {
    process.stdout.write = this.#write;
  }
}
