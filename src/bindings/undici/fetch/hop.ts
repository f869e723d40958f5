import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { type BodyOwner, BodyStream } from './body-stream.js';
import { codingsOf, decode, decodersOf, MAX_CODINGS } from './decode.js';
import type { FetchInternals, HeadersList } from './internals.js';
import { type FetchTiming, requestStarted } from './timing.js';

/** What a hop tells the fetch it belongs to. */
export interface HopOwner {
  readonly internals: FetchInternals;
  readonly timing: FetchTiming;
  /** The head of the answer came. */
  answered(hop: Hop, status: number, headers: HeadersList, statusText: string): void;
  /** There is no answer, or it broke off. */
  failed(hop: Hop, error: unknown): void;
  /** The reader of the body wants no more. */
  bodyCancelled(reason: unknown): void;
  /** The body was read to its end, or broke off. */
  bodyOver(decodedBytes: number): void;
}

/** Bytes of an answer that nobody wants which are read so that its connection can be used again. */
const MAX_DISCARDED_BYTES = 128 * 1024;

/** One request of a fetch and its answer: a fetch that is redirected has several. */
export class Hop implements Dispatcher.DispatchHandler, BodyOwner {
  /** What the caller gets, for the mesh to note whose it is. Soon dropped: nobody but the caller may keep it alive. */
  res: object | undefined;
  readonly #owner: HopOwner;
  #abort: ((error?: Error) => void) | undefined;
  #resumeSocket: (() => void) | undefined;
  #destroyed = false;
  #body: BodyStream | undefined;
  #encoded: Readable | undefined;
  #decoded: Readable | undefined;
  #complete = false;
  /** Set when the answer's body is of no interest. */
  #discarded: number | undefined;

  constructor(owner: HopOwner) {
    this.#owner = owner;
  }

  /** Whether the whole answer came. */
  get isComplete(): boolean {
    return this.#complete;
  }

  /** Ends the exchange; later calls do nothing. */
  destroy(reason?: unknown): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    // undici passes whatever the caller gave.
    this.#abort?.((reason ?? aborted()) as Error);
  }

  /** Lets the answer go by, so that its connection can be used again. */
  discard(): void {
    this.#discarded ??= 0;
  }

  /** Makes the body of the answer, as it was before it was encoded. */
  openBody(encoding: string | null): BodyStream | undefined {
    const codings = codingsOf(encoding);
    if (codings.length > MAX_CODINGS) {
      const reason = `too many content-encodings in response: ${codings.length}, maximum allowed is ${MAX_CODINGS}`;
      this.#abort?.(new Error(reason));
      return undefined;
    }
    const body = new BodyStream(this);
    this.#body = body;
    const decoders = codings.length === 0 ? [] : decodersOf(codings, this.#owner.internals);
    if (decoders.length > 0) this.#decodeInto(body, decoders);
    return body;
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#destroyed) {
      abort(aborted());
      return;
    }
    this.#abort = abort;
    requestStarted(this.#owner.timing);
  }

  onResponseStarted(): void {
    this.#owner.timing.finalNetworkResponseStartTime = performance.now();
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, statusText: string): boolean {
    if (status < 200) return true;
    const { timing, internals } = this.#owner;
    if (timing.finalNetworkResponseStartTime < timing.finalNetworkRequestStartTime) this.onResponseStarted();
    this.#resumeSocket = resume;
    try {
      this.#owner.answered(this, status, headersOf(raw, internals), statusText);
    } catch (error) {
      this.destroy(error);
      this.#owner.failed(this, error);
    }
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (this.#discarded !== undefined) {
      this.#discarded += chunk.byteLength;
      if (this.#discarded > MAX_DISCARDED_BYTES) this.destroy();
      return true;
    }
    if (this.#body === undefined) return true;
    this.#owner.timing.encodedBodySize += chunk.byteLength;
    return this.#encoded === undefined ? this.#body.push(chunk) : this.#encoded.push(chunk);
  }

  onComplete(): void {
    this.#complete = true;
    if (this.#encoded === undefined) this.#body?.end();
    else this.#encoded.push(null);
  }

  onError(error: Error): void {
    this.#encoded?.destroy(error);
    this.#owner.failed(this, error);
  }

  #decodeInto(body: BodyStream, decoders: readonly NodeJS.ReadWriteStream[]): void {
    this.#encoded = new Readable({ read: () => this.#resumeSocket?.() });
    const failed = (error: Error): void => {
      // node:zlib takes no bytes at all for a broken stream.
      if (this.#complete && this.#owner.timing.encodedBodySize === 0) body.end();
      else this.onError(error);
    };
    const decoded = decode(this.#encoded, decoders, failed);
    this.#decoded = decoded;
    decoded.on('data', (chunk: Buffer) => {
      if (!body.push(chunk)) decoded.pause();
    });
    decoded.on('end', () => body.end());
  }

  cancelled(reason: unknown): void {
    this.#owner.bodyCancelled(reason);
  }

  over(decodedBytes: number): void {
    this.#owner.bodyOver(decodedBytes);
  }

  resume(): void {
    if (this.#decoded !== undefined) this.#decoded.resume();
    else this.#resumeSocket?.();
  }
}

function aborted(): DOMException {
  return new DOMException('The operation was aborted.', 'AbortError');
}

function headersOf(
  raw: readonly (Buffer | string | readonly (Buffer | string)[])[],
  internals: FetchInternals,
) {
  const list = new internals.HeadersList();
  for (let i = 0; i < raw.length; i += 2) {
    const name = latin1(raw[i] as Buffer | string).toLowerCase();
    const value = raw[i + 1];
    // A composed dispatcher gives the lines of one header as one array.
    if (Array.isArray(value)) for (const one of value) list.append(name, latin1(one), true);
    else list.append(name, latin1(value as Buffer | string), true);
  }
  return list;
}

function latin1(piece: Buffer | string): string {
  return typeof piece === 'string' ? piece : piece.toString('latin1');
}
