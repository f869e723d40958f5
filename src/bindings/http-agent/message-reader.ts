/** The head of a request as node:http wrote it. */
export interface MessageHead {
  readonly method: string;
  readonly target: string;
  /** Name, value, name, value; names as they were spelled. */
  readonly lines: readonly string[];
  /** Protocol that it wants to switch to, in lower case; `connect` for CONNECT. */
  readonly upgrade: string | undefined;
}

/** Hears what a reader finds. */
export interface MessageEvents {
  head(head: MessageHead): void;
  data(chunk: Buffer): void;
  /** The message is complete; `trailers` are name, value, name, value. */
  end(trailers: readonly string[]): void;
  /** Bytes after the message: of a tunnel, if there is one. */
  beyond(chunk: Buffer): void;
}

type State = 'head' | 'length' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'beyond';

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Takes the bytes of node:http's own client apart into requests. The writer is Node itself, in this process, so this need
 * not guard against what no OutgoingMessage writes; it does follow the framing byte by byte, however the writes are cut.
 */
export class MessageReader {
  readonly #events: MessageEvents;
  #state: State = 'head';
  /** The beginning of a head or line whose end has not come yet. */
  #partial: Buffer | undefined;
  /** Bytes left of the body, or of its chunk. */
  #left = 0;
  #trailers: string[] = [];
  /** What follows this message is a tunnel's, not the next message. */
  #isLast = false;

  constructor(events: MessageEvents) {
    this.#events = events;
  }

  /** There is no tunnel after all: what follows is the next message. */
  noTunnel(): void {
    if (this.#state === 'beyond') this.#state = 'head';
  }

  read(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) rest = this.#step(rest);
  }

  /** Reads as far as its state goes and gives back what is left. */
  #step(bytes: Buffer): Buffer {
    switch (this.#state) {
      case 'head':
        return this.#until(HEAD_END, bytes, (text) => this.#head(text));
      case 'length':
      case 'chunk':
        return this.#body(bytes);
      case 'chunk-size':
        return this.#until('\r\n', bytes, (line) => this.#chunkSize(line));
      case 'chunk-end':
        return this.#until('\r\n', bytes, () => {
          this.#state = 'chunk-size';
        });
      case 'trailers':
        return this.#until('\r\n', bytes, (line) => this.#trailer(line));
      case 'beyond':
        this.#events.beyond(bytes);
        return bytes.subarray(bytes.length);
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
    const { lines, length, isChunked, upgrade: wanted } = readRows(rows);
    const space = first.indexOf(' ');
    const method = first.slice(0, space);
    const upgrade = method === 'CONNECT' ? 'connect' : wanted;
    this.#isLast = upgrade !== undefined;
    const target = first.slice(space + 1, first.lastIndexOf(' '));
    this.#left = isChunked || length === undefined ? 0 : Number(length);
    this.#events.head({ method, target, lines, upgrade });
    if (isChunked) this.#state = 'chunk-size';
    else if (this.#left > 0) this.#state = 'length';
    else this.#end();
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
    this.#trailers.push(line.slice(0, colon), line.slice(colon + 1).trim());
  }

  #end(): void {
    const trailers = this.#trailers;
    this.#trailers = [];
    this.#state = this.#isLast ? 'beyond' : 'head';
    this.#events.end(trailers);
  }
}

/** The header lines, and what they say of the framing. */
function readRows(rows: readonly string[]) {
  const lines: string[] = [];
  let length: string | undefined;
  let isChunked = false;
  let upgrade: string | undefined;
  let connection = '';
  for (const row of rows) {
    const colon = row.indexOf(':');
    const name = row.slice(0, colon);
    const value = row.slice(colon + 1).trim();
    lines.push(name, value);
    switch (name.toLowerCase()) {
      case 'content-length':
        length = value;
        break;
      case 'transfer-encoding':
        isChunked = /chunked\s*$/i.test(value);
        break;
      case 'upgrade':
        upgrade = value.toLowerCase();
        break;
      case 'connection':
        connection = value;
    }
  }
  // Envoy: an upgrade is asked for by both headers together.
  if (!/\bupgrade\b/i.test(connection)) upgrade = undefined;
  return { lines, length, isChunked, upgrade };
}
