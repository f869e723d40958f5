import { type BodyEnd, Framing, type MessageParts } from '../../http1/framing.js';

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

/** Takes one response apart that Node's own ServerResponse wrote as HTTP/1.1 in this process. */
export class ResponseReader implements MessageParts {
  readonly #events: ResponseEvents;
  readonly #method: string;
  readonly #framing = new Framing(this);
  /** The head that came last was not the response's own. */
  #isInformational = false;
  #isDone = false;

  constructor(method: string, events: ResponseEvents) {
    this.#method = method;
    this.#events = events;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  read(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && !this.#isDone) rest = this.#framing.read(rest);
  }

  /** No more bytes come. False: the response is not complete. */
  finish(): boolean {
    this.#framing.close();
    return this.#isDone;
  }

  head(start: string, rows: readonly string[]): BodyEnd {
    const status = Number(start.slice(9, 12));
    const { lines, length, isChunked } = readRows(rows);
    this.#isInformational = status < 200 && status !== 101;
    if (this.#isInformational) {
      this.#events.informational({ status, lines, isBodiless: true, isChunked: false });
      return 'none';
    }
    if (status === 101 || (this.#method === 'CONNECT' && status >= 200 && status < 300)) {
      this.#events.head({ status, lines, isBodiless: false, isChunked: false });
      return 'close';
    }
    const isBodiless =
      this.#method === 'HEAD' || status === 204 || status === 304 || (length === 0 && !isChunked);
    this.#events.head({ status, lines, isBodiless, isChunked });
    if (isBodiless) return 'none';
    if (isChunked) return 'chunks';
    return length ?? 'close';
  }

  data(chunk: Buffer): void {
    this.#events.data(chunk);
  }

  end(trailers: readonly string[]): void {
    if (this.#isInformational) return;
    this.#isDone = true;
    this.#events.complete(trailers.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text)));
  }
}

/** The header lines, and what they say of the framing. */
function readRows(rows: readonly string[]) {
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
  return { lines, length, isChunked };
}
