import type { OutgoingHttpHeaders } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type RequestText, trailerText } from './request-text.js';
import { type ResponseEvents, type ResponseHead, ResponseReader } from './response-reader.js';

/** RFC 9113 §8.2.2: HTTP/2 has its own ways. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** Error codes of RFC 9113 §7. */
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;
const CANCEL = 8;

type Carrier = Socket | TLSSocket;

/**
 * One stream of an HTTP/2 connection, as a connection of HTTP/1.1 that carries one request: Node's server and whatever
 * framework sits on it see what they know. Envoy does the same in front of applications that speak HTTP/1.1.
 */
export class StreamSocket extends Duplex implements ResponseEvents {
  /** The connection that the stream runs on. */
  readonly carrier: Carrier;
  bytesRead = 0;
  bytesWritten = 0;
  readonly #stream: ServerHttp2Stream;
  readonly #reader: ResponseReader;
  readonly #isChunked: boolean;
  readonly #upgrade: string | undefined;
  #trailers: readonly string[] = [];
  #requestEnded = false;
  #hasTrailers = false;
  #mayWrite = true;
  #drained: (() => void) | undefined;

  constructor(stream: ServerHttp2Stream, carrier: Carrier, request: RequestText, hasBody: boolean) {
    super({ allowHalfOpen: true });
    this.carrier = carrier;
    this.#stream = stream;
    this.#isChunked = request.isChunked;
    this.#upgrade = request.upgrade;
    this.#reader = new ResponseReader(request.method, this);
    stream.on('error', ignore);
    stream.on('close', () => this.destroy());
    stream.on('drain', () => this.#drained?.());
    this.push(Buffer.from(request.head, 'latin1'));
    if (hasBody) this.#readBody();
    else this.#requestEnded = true;
  }

  /** Whether its connection takes no more requests, and waits for those that it has. */
  get isDraining(): boolean {
    return this.#stream.session?.closed !== false;
  }

  get remoteAddress(): string | undefined {
    return this.carrier.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.carrier.remotePort;
  }

  get remoteFamily(): string | undefined {
    return this.carrier.remoteFamily;
  }

  get localAddress(): string | undefined {
    return this.carrier.localAddress;
  }

  get localPort(): number | undefined {
    return this.carrier.localPort;
  }

  /** Frameworks ask for it to tell https from http. */
  get encrypted(): boolean {
    return 'encrypted' in this.carrier;
  }

  get authorized(): boolean {
    return 'authorized' in this.carrier && this.carrier.authorized;
  }

  getPeerCertificate(detailed?: boolean): object {
    return 'getPeerCertificate' in this.carrier ? this.carrier.getPeerCertificate(detailed) : {};
  }

  /** Time limits of single streams are the mesh's and the connection's. */
  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#mayWrite = true;
    this.#reader.read(chunk);
    if (this.#mayWrite || this.#stream.destroyed) done();
    else {
      this.#drained = () => {
        this.#drained = undefined;
        done();
      };
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    // What the server closes early is broken off, not complete.
    if (!this.#reader.finish()) this.#stream.close(INTERNAL_ERROR);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#drained?.();
    if (!this.#stream.closed) this.#stream.close(this.#reader.isDone ? NO_ERROR : CANCEL);
    done(error);
  }

  informational({ status, lines }: ResponseHead): void {
    if (!this.#stream.destroyed) this.#stream.additionalHeaders({ ':status': status, ...headersOf(lines) });
  }

  head({ status, lines, isBodiless, isChunked }: ResponseHead): void {
    if (this.#stream.destroyed || this.#stream.closed) return;
    if (this.#upgrade !== undefined && this.#answerUpgrade(status, lines)) return;
    if (isChunked && !isBodiless) {
      this.#hasTrailers = true;
      this.#stream.once('wantTrailers', () => {
        this.#stream.sendTrailers(headersOf(this.#trailers));
        this.#leaveRest();
      });
    }
    try {
      this.#stream.respond(
        { ':status': this.#statusOf(status), ...headersOf(lines) },
        { endStream: isBodiless, waitForTrailers: isChunked && !isBodiless },
      );
    } catch {
      // A head that HTTP/2 has no words for.
      this.#stream.close(INTERNAL_ERROR);
    }
  }

  /** The application agreed: HTTP/2 says 200 where HTTP/1.1 says 101 (RFC 8441 §4). */
  #answerUpgrade(status: number, lines: readonly string[]): boolean {
    const isAgreed = this.#upgrade === 'connect' ? status >= 200 && status < 300 : status === 101;
    if (!isAgreed) return false;
    // RFC 9110 §9.3.6: no length counts there.
    const { 'content-length': _, ...headers } = headersOf(lines);
    this.#stream.respond({ ':status': 200, ...headers });
    return true;
  }

  /** An answer of 2xx to an upgrade would pass for the consent that it is not. */
  #statusOf(status: number): number {
    const isConsent = status >= 200 && status < 300;
    return isConsent && this.#upgrade !== undefined && this.#upgrade !== 'connect' ? 501 : status;
  }

  data(chunk: Buffer): void {
    if (this.#stream.destroyed || this.#stream.closed) return;
    this.bytesWritten += chunk.length;
    this.#mayWrite = this.#stream.write(chunk);
  }

  complete(trailers: readonly string[]): void {
    this.#trailers = trailers;
    const stream = this.#stream;
    if (!stream.writableEnded && !stream.destroyed) stream.end();
    if (!this.#hasTrailers) stream.once('finish', () => this.#leaveRest());
  }

  /** RFC 9113 §8.1: a response that does not wait for the rest of the request resets the stream without an error. */
  #leaveRest(): void {
    if (this.#requestEnded) return;
    // node:http2 would send the reset ahead of the frame that ends the response, which it writes after this turn.
    setImmediate(() => setImmediate(() => this.#stream.close(NO_ERROR)));
  }

  #readBody(): void {
    const stream = this.#stream;
    let trailers: readonly string[] = [];
    stream.on('data', (chunk: Buffer) => {
      this.bytesRead += chunk.length;
      const goesOn = this.#isChunked ? this.#pushChunk(chunk) : this.push(chunk);
      if (!goesOn) stream.pause();
    });
    stream.on('trailers', (_headers: unknown, _flags: unknown, ...rest: unknown[]) => {
      // Node gives the raw lines as a further argument, which its types leave out.
      trailers = (rest[0] ?? []) as readonly string[];
    });
    stream.on('end', () => {
      // A stream that is reset ends, too.
      if (stream.rstCode !== 0 || stream.aborted) return;
      this.#requestEnded = true;
      if (this.#upgrade !== undefined) this.push(null);
      if (this.#isChunked) this.push(Buffer.from(trailerText(trailers), 'latin1'));
    });
  }

  #pushChunk(chunk: Buffer): boolean {
    if (chunk.length === 0) return true;
    this.push(`${chunk.length.toString(16)}\r\n`, 'latin1');
    this.push(chunk);
    return this.push('\r\n', 'latin1');
  }
}

function headersOf(lines: readonly string[]): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (let i = 0; i < lines.length; i += 2) {
    const [name = '', value = ''] = [lines[i], lines[i + 1]];
    if (OF_THE_CONNECTION.has(name)) continue;
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else headers[name] = [String(before), value];
  }
  return headers;
}

function ignore(): void {}
