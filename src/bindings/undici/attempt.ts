import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Unsubscribe } from '../../runtime/abort.js';
import { codeOf } from '../../runtime/errors.js';
import { type BodyControl, BodyQueue, EMPTY_BODY, isReplayable } from '../../service/body.js';
import { Completion } from '../../service/completion.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request, Response } from '../../service/service.js';
import { TransportError, type TransportFailure } from '../../service/transport-error.js';
import { isParserError } from '../account.js';
import { watchTunnel } from '../tunnels.js';
import { ConnectionGone } from './connection.js';
import { undici } from './library.js';
import type { Lease, PooledExchange } from './pooled-exchange.js';
import { type SentBody, sentBody } from './request-body.js';

/** Error codes of undici and the platform for connections that never came to be. */
const CONNECT_CODES = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Codes of undici for requests that can't be sent, whatever the host: no host is to blame, no other would help. */
const CALLER_CODES = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
]);

/** What undici and the platform say of a connection that its peer ended. */
const ENDED_CODES = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'ECONNABORTED']);

/** RFC 9110 §9.2.1: methods that change nothing at the server. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** What an exchange was asked with, and who hears of it. */
export interface Asked {
  readonly request: Request;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: TransportError) => void;
}

/** Headers of one connection, which undici writes itself. */
const REFUSED_HEADERS = ['transfer-encoding', 'keep-alive', 'upgrade'];

/** The endpoint of an attempt. */
export interface AttemptPeer {
  /** Who it proved to be. */
  readonly peerId: string | undefined;
  /** A connection to it has left HTTP. */
  tunnelled(tunnel: Duplex): void;
}

/**
 * One request on an undici client: the handler that undici calls, and the control of the response's body.
 * It speaks undici's first handler generation, which its core uses inside, so nothing is converted.
 */
export class UndiciAttempt implements BodyControl, Dispatcher.DispatchHandler, PooledExchange {
  lease: Lease | undefined;
  readonly #request: Request;
  readonly #peer: AttemptPeer;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: TransportError) => void;
  #body: SentBody | undefined;
  #abort: ((error?: Error) => void) | undefined;
  #resumeSocket: (() => void) | undefined;
  #queue: BodyQueue | undefined;
  #completion: Completion | undefined;
  #unlink: Unsubscribe | undefined;
  #settled = false;
  /** Something of an answer came. */
  #isHeard = false;
  #wasSentAgain = false;

  constructor(
    request: Request,
    peer: AttemptPeer,
    resolve: (response: Response) => void,
    reject: (error: TransportError) => void,
  ) {
    this.#request = request;
    this.#peer = peer;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#unlink = request.abort.onAbort((reason) => this.#cancelled(reason));
  }

  options(impliedHost: string): Dispatcher.DispatchOptions {
    this.#body = sentBody(this.#request.body);
    return dispatchOptions(this.#request, this.#body.value, impliedHost);
  }

  get handler(): Dispatcher.DispatchHandler {
    return this;
  }

  /** undici refuses these, whatever the connection: no host need be asked. */
  refusal(): Error | undefined {
    const { headers } = this.#request;
    for (const name of REFUSED_HEADERS) {
      if (headers.has(name)) return new undici.errors.InvalidArgumentError(`invalid ${name} header`);
    }
    return headers.has('expect')
      ? new undici.errors.NotSupportedError('expect header not supported')
      : undefined;
  }

  get isOver(): boolean {
    return this.#settled;
  }

  failed(error: Error): void {
    this.#finish();
    this.#fail(error);
  }

  /** Before it is sent: it is to be sent elsewhere. */
  withdraw(): Asked {
    this.#unlink?.();
    return { request: this.#request, resolve: this.#resolve, reject: this.#reject };
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#settled) {
      abort();
      return;
    }
    this.#abort = abort;
    const { context } = this.#request;
    context.requestBytes = 0;
    context.upstreamProtocol = 'HTTP/1.1';
    context.requestStarted?.settle();
  }

  onBodySent(chunk: unknown): void {
    this.#request.context.requestBytes += sizeOf(chunk);
  }

  onRequestSent(): void {
    // Envoy: a request that switches its protocol is complete when its tunnel ends.
    if (this.#request.context.upgrade === undefined) this.#request.context.requestSent?.settle();
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, statusText: string): boolean {
    this.#isHeard = true;
    if (status < 200) return true;
    this.#resumeSocket = resume;
    this.#queue = new BodyQueue(this);
    this.#completion = new Completion();
    this.#settled = true;
    // An answer ends the wait for the request's last byte, too.
    const { context } = this.#request;
    context.requestSent?.settle();
    context.peerId = this.#peer.peerId;
    this.#resolve({
      status,
      statusText,
      headers: HeaderMap.fromRaw(raw),
      body: this.#queue,
      completion: this.#completion,
    });
    return true;
  }

  onUpgrade(status: number, raw: Buffer[] | string[] | null, tunnel: Duplex): void {
    const { context } = this.#request;
    const completion = new Completion();
    this.#settled = true;
    context.requestSent?.settle();
    context.peerId = this.#peer.peerId;
    this.#finish();
    watchTunnel(tunnel, this.#request, completion);
    this.#peer.tunnelled(tunnel);
    const headers = HeaderMap.fromRaw(raw ?? []);
    this.#resolve({ status, statusText: '', headers, body: EMPTY_BODY, completion, tunnel });
  }

  onData(chunk: Buffer): boolean {
    // undici's parser may give an empty chunk whenever it is resumed: to pause again for that would never end.
    if (chunk.byteLength === 0) return true;
    this.#request.context.responseBytes += chunk.byteLength;
    // undici calls onData only after onHeaders.
    return this.#queue?.push(chunk) ?? true;
  }

  onComplete(rawTrailers: string[] | Buffer[] | null): void {
    const trailers =
      rawTrailers === null || rawTrailers.length === 0 ? undefined : HeaderMap.fromRaw(rawTrailers);
    this.#finish();
    this.#queue?.end(trailers);
    this.#completion?.settle(trailers);
  }

  onError(error: Error): void {
    if (this.lease !== undefined && this.#maySendAgain(error, this.lease)) {
      this.#wasSentAgain ||= this.#abort !== undefined;
      this.#abort = undefined;
      this.lease.sendAgain();
      return;
    }
    this.#finish();
    if (this.#queue === undefined) {
      this.#fail(error);
      return;
    }
    this.#request.context.bodyFailure = isParserError(error) ? 'protocol' : 'reset';
    // First, because who reads the body may give the whole exchange up when it breaks.
    this.#completion?.settle(undefined, error);
    this.#queue.fail(error);
  }

  resume(): void {
    this.#resumeSocket?.();
  }

  cancel(reason: unknown): void {
    this.#abort?.(toError(reason));
  }

  #cancelled(reason: unknown): void {
    if (this.#abort !== undefined) this.#abort(toError(reason));
    else if (!this.#settled) {
      // Still waiting for a connection: undici can't take a request out of its queue, onConnect refuses it later.
      this.#settled = true;
      this.#reject(new TransportError('aborted', false, reason));
    }
  }

  #fail(error: Error): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#request.context.requestSent?.settle();
    const started = this.#abort !== undefined;
    this.#reject(new TransportError(this.#classify(error, started), started, error));
  }

  /**
   * A server that closes a connection as idle may do so while a request is on its way to it. Nobody is to blame, and
   * what was not written, or changes nothing, can be sent once more (as browsers and Go do).
   */
  #maySendAgain(error: Error, { isReused }: Lease): boolean {
    const { abort, body, context, method } = this.#request;
    if (this.#settled || abort.aborted) return false;
    if (error instanceof ConnectionGone) return true;
    if (!isReused || this.#isHeard || this.#wasSentAgain || this.#abort === undefined) return false;
    if (!SAFE_METHODS.has(method) || context.upgrade !== undefined) return false;
    return isReplayable(body) && ENDED_CODES.has(codeOf(error) ?? '');
  }

  #classify(error: Error, started: boolean): TransportFailure {
    const code = codeOf(error) ?? '';
    if (this.#request.abort.aborted || CALLER_CODES.has(code) || this.#body?.failed(error) === true)
      return 'aborted';
    if (!started || CONNECT_CODES.has(code)) return 'connect';
    return isParserError(error) ? 'protocol' : 'reset';
  }

  #finish(): void {
    this.#unlink?.();
    this.#unlink = undefined;
    this.lease?.release();
    this.lease = undefined;
  }
}

function dispatchOptions(request: Request, body: unknown, impliedHost: string): Dispatcher.DispatchOptions {
  const { headers, authority, context } = request;
  // undici checks and parses a Host header each time, so it is left to undici where it writes the same.
  if (authority !== impliedHost && !headers.has('host')) headers.append('host', authority);
  const options: Dispatcher.DispatchOptions = {
    method: request.method,
    // RFC 9110 §9.3.6: CONNECT asks for an authority.
    path: context.upgrade === 'connect' ? authority : request.path,
    // undici only reads the array.
    headers: headers.toSpelled() as string[],
    // undici takes every form of body that its callers may give, and ours come from there.
    body: body as NonNullable<Dispatcher.DispatchOptions['body']> | null,
  };
  if (context.upgrade !== undefined && context.upgrade !== 'connect') options.upgrade = context.upgrade;
  // Timeouts are the mesh's; these two are kept when the caller asked for them.
  const caller = context.callerOptions as CallerOptions | undefined;
  if (caller?.headersTimeout !== undefined) options.headersTimeout = caller.headersTimeout;
  if (caller?.bodyTimeout !== undefined) options.bodyTimeout = caller.bodyTimeout;
  return options;
}

/** The caller's own undici options that concern the wire. */
interface CallerOptions {
  readonly headersTimeout?: number | null;
  readonly bodyTimeout?: number | null;
}

/** undici's types promise a number, its code gives the chunk. */
function sizeOf(chunk: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk);
  return chunk instanceof Uint8Array ? chunk.byteLength : Number(chunk);
}

function toError(reason: unknown): Error {
  return reason instanceof Error
    ? reason
    : new DOMException(typeof reason === 'string' ? reason : 'This operation was aborted', 'AbortError');
}
