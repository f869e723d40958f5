/** The head of a response as Node's ServerResponse wrote it. */
export interface ResponseHead {
  readonly status: number;
  /** Name in lower case, value, name, value. */
  readonly lines: readonly string[];
  /** Whether no body follows. */
  readonly isBodiless: boolean;
  /** Whether trailers may follow. */
  readonly isChunked: boolean;
}

/** Hears what a reader finds. */
export interface ResponseEvents {
  /** 100 to 199: the response itself is still to come. */
  informational(head: ResponseHead): void;
  head(head: ResponseHead): void;
  data(chunk: Buffer): void;
  /** The response is complete; `trailers` are name, value, name, value. */
  complete(trailers: readonly string[]): void;
}

type State = 'head' | 'length' | 'until-close' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'done';

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Takes one response apart that Node's own ServerResponse wrote as HTTP/1.1 in this process. It follows the framing byte
 * by byte, however the writes are cut.
 */
export class ResponseReader {
  readonly #events: ResponseEvents;
  readonly #isHead: boolean;
  readonly #isConnect: boolean;
  #state: State = 'head';
  #partial: Buffer | undefined;
  #left = 0;
  #trailers: string[] = [];

  constructor(method: string, events: ResponseEvents) {
    this.#isHead = method === 'HEAD';
    this.#isConnect = method === 'CONNECT';
    this.#events = events;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  read(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && this.#state !== 'done') rest = this.#step(rest);
  }

  /** No more bytes come. False: the response is not complete. */
  finish(): boolean {
    if (this.#state === 'until-close') this.#end();
    return this.#state === 'done';
  }

  #step(bytes: Buffer): Buffer {
    switch (this.#state) {
      case 'head':
        return this.#until(HEAD_END, bytes, (text) => this.#head(text));
      case 'length':
      case 'chunk':
        return this.#body(bytes);
      case 'until-close':
        this.#events.data(bytes);
        return bytes.subarray(bytes.length);
      case 'chunk-size':
        return this.#until('\r\n', bytes, (line) => this.#chunkSize(line));
      case 'chunk-end':
        return this.#until('\r\n', bytes, () => {
          this.#state = 'chunk-size';
        });
      case 'trailers':
        return this.#until('\r\n', bytes, (line) => this.#trailer(line));
      case 'done':
        return bytes;
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
    const [first = '', ...rows] = text.split('\r\n');
    const status = Number(first.slice(9, 12));
    const lines: string[] = [];
    let length: number | undefined;
    let isChunked = false;
    for (const row of rows) {
      const colon = row.indexOf(':');
      const name = row.slice(0, colon).toLowerCase();
      const value = row.slice(colon + 1).trim();
      lines.push(name, value);
      if (name === 'content-length') length = Number(value);
      else if (name === 'transfer-encoding') isChunked = /chunked\s*$/i.test(value);
    }
    if (status < 200 && status !== 101) {
      this.#events.informational({ status, lines, isBodiless: true, isChunked: false });
      return;
    }
    if (status === 101 || (this.#isConnect && status >= 200 && status < 300)) {
      this.#events.head({ status, lines, isBodiless: false, isChunked: false });
      this.#state = 'until-close';
      return;
    }
    const isBodiless = this.#isHead || status === 204 || status === 304 || (length === 0 && !isChunked);
    this.#events.head({ status, lines, isBodiless, isChunked });
    if (isBodiless) this.#end();
    else if (isChunked) this.#state = 'chunk-size';
    else if (length === undefined) this.#state = 'until-close';
    else {
      this.#left = length;
      this.#state = 'length';
    }
  }

  #body(bytes: Buffer): Buffer {
    const part = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= part.length;
    this.#events.data(part);
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
    this.#trailers.push(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }

  #end(): void {
    this.#state = 'done';
    this.#events.complete(this.#trailers);
  }
}
