import { type BodyEnd, Framing, type MessageParts } from '../http1/framing.js';

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

/** Takes the bytes of node:http's own client apart into requests. */
export class MessageReader implements MessageParts {
  readonly #events: MessageEvents;
  readonly #framing = new Framing(this);
  /** What follows this message is a tunnel's, not the next message. */
  #isLast = false;
  #isBeyond = false;

  constructor(events: MessageEvents) {
    this.#events = events;
  }

  /** There is no tunnel after all: what follows is the next message. */
  noTunnel(): void {
    this.#isBeyond = false;
  }

  read(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && !this.#isBeyond) rest = this.#framing.read(rest);
    if (rest.length > 0) this.#events.beyond(rest);
  }

  head(start: string, rows: readonly string[]): BodyEnd {
    const { lines, length, isChunked, upgrade: wanted } = readRows(rows);
    const space = start.indexOf(' ');
    const method = start.slice(0, space);
    const upgrade = method === 'CONNECT' ? 'connect' : wanted;
    this.#isLast = upgrade !== undefined;
    const target = start.slice(space + 1, start.lastIndexOf(' '));
    this.#events.head({ method, target, lines, upgrade });
    if (isChunked) return 'chunks';
    return length === undefined ? 'none' : Number(length);
  }

  data(chunk: Buffer): void {
    this.#events.data(chunk);
  }

  end(trailers: readonly string[]): void {
    this.#isBeyond = this.#isLast;
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
