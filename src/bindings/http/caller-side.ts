import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { BodyChange } from '../../service/head-change.js';
import { HeaderMap } from '../../service/headers.js';
import type { LocalReply } from '../../service/local-reply.js';
import type { Response } from '../../service/service.js';
import type { AnswerChange } from './answer-change.js';
import { bodyBytes } from './count-bytes.js';
import { changeArguments, headersOf } from './head-change.js';
import { cutShort, rawReply, writeReply } from './reply.js';
import { ignore } from './sniff.js';
import { WrittenBody } from './written-body.js';

/** The half of an exchange that goes back to the caller. */
export interface CallerSide {
  readonly status: number;
  readonly headSent: boolean;
  readonly finished: boolean;
  readonly gone: boolean;
  /** Bytes of the response's body so far. */
  readonly bytesSent: number;
  headers(): HeaderMap;
  /** Calls back when the exchange is over, well or not. */
  onClose(listener: () => void): void;
  /** Calls back when the application has written its head; `change` may change it just before. */
  onHead(listener: () => void, change?: AnswerChange): void;
  /** Just before the application gets it. */
  release(): void;
  reply(response: Response): Promise<void>;
  /** Ends the exchange whatever the application does: with the answer if there is none yet. */
  cut(reply: LocalReply, end: (socket: Duplex) => void): void;
  destroy(): void;
}

/** The caller of a plain request, behind Node's ServerResponse. */
export class ResponseSide implements CallerSide {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get status(): number {
    return this.#response.statusCode;
  }

  get headSent(): boolean {
    return this.#response.headersSent;
  }

  get finished(): boolean {
    return this.#response.writableFinished;
  }

  get bytesSent(): number {
    const { statusCode, req } = this.#response;
    // RFC 9110 §6.4.1: these have no body, whatever the application wrote.
    const isBare = req.method === 'HEAD' || statusCode === 204 || statusCode === 304;
    return isBare ? 0 : bodyBytes(this.#response);
  }

  get gone(): boolean {
    return this.#response.closed || this.#response.destroyed;
  }

  headers(): HeaderMap {
    return headersOf(this.#response);
  }

  onClose(listener: () => void): void {
    this.#response.once('close', listener);
  }

  onHead(listener: () => void, change?: AnswerChange): void {
    const response = this.#response;
    const { writeHead } = response;
    const written = change?.changesBody === true ? new WrittenBody(response) : undefined;
    // Node calls `writeHead` for an implicit head too.
    response.writeHead = (...args: unknown[]) => {
      if (change === undefined || response.headersSent) Reflect.apply(writeHead, response, args);
      else {
        let changes: readonly BodyChange[] = [];
        const rest = changeArguments(response, args, (head) => {
          changes = change.change(head);
        });
        Reflect.apply(writeHead, response, rest);
        written?.change(changes);
      }
      listener();
      return response;
    };
  }

  release(): void {}

  reply(response: Response): Promise<void> {
    return writeReply(this.#response, response);
  }

  cut(reply: LocalReply, end: (socket: Duplex) => void): void {
    // A response that waits for the one before it has no socket yet.
    const { socket, headersSent } = this.#response;
    if (socket === null || headersSent) {
      this.#response.req.socket.destroy();
      return;
    }
    cutShort(socket, reply);
    end(socket);
  }

  destroy(): void {
    this.#response.destroy();
  }
}

/** The caller of an upgrade or CONNECT, behind the bare socket. */
export class TunnelSide implements CallerSide {
  status = 101;
  /** Whether it went to the application or was answered here. */
  headSent = false;
  /** What runs through a tunnel is no body. */
  readonly bytesSent = 0;
  readonly #socket: Duplex;

  constructor(socket: Duplex) {
    this.#socket = socket;
    // Node has taken its own listeners off; without one an error would end the process.
    socket.on('error', ignore);
  }

  get finished(): boolean {
    return this.headSent;
  }

  get gone(): boolean {
    return this.#socket.destroyed;
  }

  headers(): HeaderMap {
    return HeaderMap.empty();
  }

  onClose(listener: () => void): void {
    this.#socket.once('close', listener);
  }

  onHead(listener: () => void): void {
    // The application writes raw bytes: the hand-over stands for the head.
    listener();
  }

  release(): void {
    this.headSent = true;
    this.#socket.removeListener('error', ignore);
    this.#readStatus();
  }

  /** The application writes its answer to the socket itself: the first bytes say what it is. */
  #readStatus(): void {
    const socket = this.#socket;
    const { write, end } = socket;
    const read = (chunk: unknown) => {
      socket.write = write;
      socket.end = end;
      const [, status] = /^HTTP\/1\.\d (\d{3})/.exec(textOf(chunk)) ?? [];
      if (status !== undefined) this.status = Number(status);
    };
    // The same arguments go on, whichever overload they are of.
    socket.write = (...args: unknown[]) => {
      read(args[0]);
      return Reflect.apply(write, socket, args) as boolean;
    };
    socket.end = (...args: unknown[]) => {
      read(args[0]);
      return Reflect.apply(end, socket, args) as Duplex;
    };
  }

  reply(response: Response): Promise<void> {
    this.headSent = true;
    this.status = response.status;
    return rawReply(this.#socket, response);
  }

  cut(reply: LocalReply, end: (socket: Duplex) => void): void {
    const socket = this.#socket;
    if (this.headSent) socket.destroy();
    else {
      this.headSent = true;
      this.status = reply.status;
      cutShort(socket, reply);
      end(socket);
    }
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** The beginning of what is written, as text. */
function textOf(chunk: unknown): string {
  if (typeof chunk === 'string') return chunk;
  return chunk instanceof Uint8Array ? Buffer.from(chunk.subarray(0, 16)).toString('latin1') : '';
}
