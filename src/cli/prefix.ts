/** Puts a prefix before each line of a stream of chunks; a line is written when it is complete. */
export class LinePrefixer {
  readonly #prefix: string;
  readonly #write: (text: string) => void;
  #rest = '';

  constructor(prefix: string, write: (text: string) => void) {
    this.#prefix = prefix;
    this.#write = write;
  }

  /** Takes a chunk; a line that is cut at its end waits for the next one. */
  push(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    if (lines.length > 0) this.#write(lines.map((line) => `${this.#prefix}${line}\n`).join(''));
  }

  /** Writes what is left without a line end. */
  end(): void {
    if (this.#rest !== '') this.#write(`${this.#prefix}${this.#rest}\n`);
    this.#rest = '';
  }
}
