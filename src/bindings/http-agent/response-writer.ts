import { STATUS_CODES } from 'node:http';
import { type Body, type BodyControl, type BodySink, discardBody, iterateBody } from '../../service/body.js';
import type { HeaderMap } from '../../service/headers.js';
import type { Response } from '../../service/service.js';
import type { AgentSocket } from './socket.js';

const CRLF = Buffer.from('\r\n');
const LAST_CHUNK = Buffer.from('0\r\n\r\n');
/** Below this, a chunk and its frame go out as one piece: a copy costs less than three calls of the parser. */
const SMALL_CHUNK_BYTES = 4096;

/**
 * Writes one response to the socket of node:http's client. The header lines are those that came from upstream, with
 * their spelling; only what says where the body ends may be added.
 */
export class ResponseWriter implements BodySink {
  readonly #socket: AgentSocket;
  readonly #over: (error: unknown) => void;
  #control: BodyControl | undefined;
  #isChunked = false;
  #isOver = false;

  /** `over` is told when the last byte is written, or why there is none. */
  constructor(socket: AgentSocket, over: (error: unknown) => void) {
    this.#socket = socket;
    this.#over = over;
  }

  write(response: Response, method: string): void {
    const { status, headers, body } = response;
    const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
    if (response.tunnel !== undefined) {
      this.#socket.deliver(headText(response, 'length', false));
      this.end(undefined);
      return;
    }
    const framing = framingOf(headers, body);
    this.#isChunked = hasBody && (framing === 'chunked' || framing === 'none');
    const head = headText(response, framing, hasBody);
    if (!hasBody) {
      this.#socket.deliver(head);
      discardBody(body);
      this.end(undefined);
      return;
    }
    switch (body.kind) {
      case 'empty':
        this.#socket.deliver(head);
        this.end(undefined);
        return;
      case 'bytes':
        this.#socket.deliver(head);
        this.data(Buffer.from(body.bytes));
        this.end(undefined);
        return;
      case 'push':
        this.#socket.deliver(head);
        this.#control = body.attach(this);
        return;
      case 'native':
        this.#socket.deliver(head);
        void this.#pull(iterateBody(body));
    }
  }

  data(chunk: Uint8Array): boolean {
    if (this.#isOver || chunk.byteLength === 0) return true;
    const bytes = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (!this.#isChunked) return this.#socket.deliver(bytes);
    const size = Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1');
    if (bytes.length <= SMALL_CHUNK_BYTES) return this.#socket.deliver(Buffer.concat([size, bytes, CRLF]));
    this.#socket.deliver(size);
    this.#socket.deliver(bytes);
    return this.#socket.deliver(CRLF);
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#isChunked) this.#socket.deliver(lastChunk(trailers));
    this.#over(undefined);
  }

  error(cause: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#over(cause);
  }

  /** The reader wants more. */
  resume(): void {
    if (!this.#isOver) this.#control?.resume();
  }

  cancel(reason: unknown): void {
    if (this.#isOver) return;
    if (this.#control !== undefined) this.#control.cancel(reason);
    else this.error(reason);
  }

  async #pull(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of chunks) {
        if (this.#isOver) return;
        if (!this.data(chunk)) await this.#drained();
      }
      this.end(undefined);
    } catch (error) {
      this.error(error);
    }
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#control = {
        resume: () => {
          this.#control = undefined;
          resolve();
        },
        cancel: (reason) => {
          this.#control = undefined;
          this.error(reason);
          resolve();
        },
      };
    });
  }
}

/**
 * What tells where the body ends: its length, the chunked coding, or nothing (HTTP/2, HTTP/1.0, answers made here), whether
 * there is a body or not.
 */
type Framing = 'length' | 'chunked' | 'none' | 'empty';

function framingOf(headers: HeaderMap, { kind }: Body): Framing {
  if (headers.has('transfer-encoding')) return 'chunked';
  if (headers.has('content-length')) return 'length';
  return kind === 'empty' ? 'empty' : 'none';
}

function headText(
  { status, statusText, headers, tunnel }: Response,
  framing: Framing,
  hasBody: boolean,
): Buffer {
  const reason = statusText === '' ? (STATUS_CODES[status] ?? '') : statusText;
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  const raw = headers.toRaw();
  for (let i = 0; i < raw.length; i += 2) {
    const name = latin1(raw[i]);
    if (tunnel === undefined && isOfOtherHop(name)) continue;
    // RFC 9112 §6.3: the chunked coding overrides the length, and both together are refused by parsers.
    if (framing === 'chunked' && name.length === 14 && name.toLowerCase() === 'content-length') continue;
    text += `${name}: ${latin1(raw[i + 1])}\r\n`;
  }
  if (framing === 'none' && hasBody) text += 'transfer-encoding: chunked\r\n';
  else if (framing === 'empty' && hasBody) text += 'content-length: 0\r\n';
  return Buffer.from(`${text}\r\n`, 'latin1');
}

/** RFC 9110 §7.6.1: these speak of the connection to the endpoint, not of the one that the caller sees. */
function isOfOtherHop(name: string): boolean {
  // Both names, and few others, have ten letters.
  if (name.length !== 10) return false;
  const lower = name.toLowerCase();
  return lower === 'connection' || lower === 'keep-alive';
}

function lastChunk(trailers: HeaderMap | undefined): Buffer {
  if (trailers === undefined || trailers.size === 0) return LAST_CHUNK;
  let text = '0\r\n';
  const raw = trailers.toRaw();
  for (let i = 0; i < raw.length; i += 2) text += `${latin1(raw[i])}: ${latin1(raw[i + 1])}\r\n`;
  return Buffer.from(`${text}\r\n`, 'latin1');
}

function latin1(piece: string | Buffer | undefined): string {
  if (piece === undefined) return '';
  return typeof piece === 'string' ? piece : piece.toString('latin1');
}
