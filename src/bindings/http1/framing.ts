/** Where the body of a message ends: nowhere as there is none, after its last chunk, with the connection, or after so many bytes. */
export type BodyEnd = 'none' | 'chunks' | 'close' | number;

/** Hears the parts of messages. */
export interface MessageParts {
  /** The start line and the header lines; says where the body ends. */
  head(start: string, rows: readonly string[]): BodyEnd;
  data(chunk: Buffer): void;
  /** The message is complete; `trailers` are name, value, name, value. */
  end(trailers: readonly string[]): void;
}

type State = 'head' | 'length' | 'until-close' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers';

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Takes messages of HTTP/1.1 apart that Node itself wrote in this process, so it need not guard against what Node never
 * writes; it does follow the framing byte by byte, however the writes are cut.
 */
export class Framing {
  readonly #parts: MessageParts;
  #state: State = 'head';
  /** The beginning of a head or line whose end has not come yet. */
  #partial: Buffer | undefined;
  /** Bytes left of the body, or of its chunk. */
  #left = 0;
  #trailers: string[] = [];
  #isOver = false;

  constructor(parts: MessageParts) {
    this.#parts = parts;
  }

  /** Reads to the end of the message at most, and gives back what follows it. */
  read(bytes: Buffer): Buffer {
    this.#isOver = false;
    let rest = bytes;
    while (rest.length > 0 && !this.#isOver) rest = this.#step(rest);
    return rest;
  }

  /** No more bytes come: a body that ends with its connection is complete. */
  close(): void {
    if (this.#state === 'until-close') this.#end();
  }

  #step(bytes: Buffer): Buffer {
    switch (this.#state) {
      case 'head':
        return this.#until(HEAD_END, bytes, (text) => this.#head(text));
      case 'length':
      case 'chunk':
        return this.#body(bytes);
      case 'until-close':
        this.#parts.data(bytes);
        return bytes.subarray(bytes.length);
      case 'chunk-size':
        return this.#until('\r\n', bytes, (line) => this.#chunkSize(line));
      case 'chunk-end':
        return this.#until('\r\n', bytes, () => {
          this.#state = 'chunk-size';
        });
      case 'trailers':
        return this.#until('\r\n', bytes, (line) => this.#trailer(line));
    }
  }

  #until(mark: Buffer | string, bytes: Buffer, found: (text: string) => void): Buffer {
    const all = this.#partial === undefined ? bytes : Buffer.concat([this.#partial, bytes]);
    const at = all.indexOf(mark);
    if (at < 0) {
      this.#partial = all;
      return all.subarray(all.length);
    }
    this.#partial = undefined;
    found(all.toString('latin1', 0, at));
    return all.subarray(at + mark.length);
  }

  #head(text: string): void {
    const [start = '', ...rows] = text.split('\r\n');
    const end = this.#parts.head(start, rows);
    if (end === 'chunks') this.#state = 'chunk-size';
    else if (end === 'close') this.#state = 'until-close';
    else if (end === 'none' || end === 0) this.#end();
    else {
      this.#left = end;
      this.#state = 'length';
    }
  }

  #body(bytes: Buffer): Buffer {
    const part = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= part.length;
    this.#parts.data(part);
    if (this.#left === 0) {
      if (this.#state === 'chunk') this.#state = 'chunk-end';
      else this.#end();
    }
    return bytes.subarray(part.length);
  }

  #chunkSize(line: string): void {
    this.#left = Number.parseInt(line, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk';
  }

  #trailer(line: string): void {
    if (line === '') {
      this.#end();
      return;
    }
    const colon = line.indexOf(':');
    this.#trailers.push(line.slice(0, colon), line.slice(colon + 1).trim());
  }

  #end(): void {
    const trailers = this.#trailers;
    this.#trailers = [];
    this.#state = 'head';
    this.#isOver = true;
    this.#parts.end(trailers);
  }
}
