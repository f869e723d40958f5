import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { Timer } from '../../runtime/clock.js';
import { codeOf, MeshError } from '../../runtime/errors.js';
import { type BodyControl, BodyQueue, EMPTY_BODY } from '../../service/body.js';
import { Completion } from '../../service/completion.js';
import { createGrpcMessages } from '../../service/grpc-messages.js';
import { HeaderMap } from '../../service/headers.js';
import { isGrpc } from '../../service/local-reply.js';
import type { Request, Response } from '../../service/service.js';
import { TransportError, type TransportFailure } from '../../service/transport-error.js';
import { watchTunnel } from '../tunnels.js';
import type { Asked } from '../undici/attempt.js';
import { abandon } from './abandon.js';
import { BodySender } from './body-sender.js';
import {
  BODY_TIMEOUT,
  type CallerLimits,
  type CallerTimeout,
  callerLimits,
  HEADERS_TIMEOUT,
} from './caller-limits.js';
import { CODES } from './codes.js';
import { http2Head } from './request-head.js';
import type { Http2Session } from './session.js';
import { listen, type StreamEvents } from './stream-events.js';
import { StreamTunnel } from './stream-tunnel.js';
import { connectHead, describeUpgrade, isAgreed, needsExtendedConnect } from './upgrade.js';

/** Errors of node:http2 that say: not on this connection any more. Nothing was sent. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'ERR_HTTP2_GOAWAY_SESSION',
  'ERR_HTTP2_INVALID_SESSION',
  'ERR_HTTP2_OUT_OF_STREAMS',
]);

/** One request on an HTTP/2 connection: its stream, and the control of the response's body. */
export class Http2Attempt implements BodyControl, StreamEvents {
  readonly #request: Request;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: TransportError) => void;
  readonly #tunnelled: (tunnel: Duplex, expiresAtMs: number) => void;
  #tunnel: StreamTunnel | undefined;
  #session: Http2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #sender: BodySender | undefined;
  #queue: BodyQueue | undefined;
  #completion: Completion | undefined;
  #trailers: HeaderMap | undefined;
  /** What came of the body before node:http2 told of its head. */
  #early: Buffer[] | undefined;
  #unlink: Unsubscribe | undefined;
  #error: Error | undefined;
  #limits: CallerLimits | undefined;
  #timer: Timer | undefined;
  /** Bytes that the response's head announced. */
  #expectedBytes: number | undefined;
  /** Its head, or its trailers, can't be sent: node:http2 says so as if the server had refused the stream. */
  #isUnsendable = false;
  /** The stream was reset from here. */
  #gaveUp = false;
  /** The caller has its response, or its error. */
  #settled = false;
  /** The response is complete, or broke off. */
  #ended = false;

  constructor(
    request: Request,
    resolve: (response: Response) => void,
    reject: (error: TransportError) => void,
    tunnelled: (tunnel: Duplex, expiresAtMs: number) => void = () => {},
  ) {
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#tunnelled = tunnelled;
    this.#unlink = request.abort.onAbort((reason) => this.#cancelled(reason));
  }

  /** Whether nobody waits for it any more. */
  get isOver(): boolean {
    return this.#settled;
  }

  /** Before it is sent: it is to be sent elsewhere. */
  withdraw(): Asked {
    this.#unlink?.();
    return { request: this.#request, resolve: this.#resolve, reject: this.#reject };
  }

  /** No connection could be made for it. */
  failed(failure: TransportFailure, error: Error): void {
    this.#finish();
    this.#fail(failure, error);
  }

  /** Sends it. False when the connection takes no stream after all, so that another must. */
  run(session: Http2Session): boolean {
    const { body, context } = this.#request;
    const { upgrade } = context;
    if (upgrade !== undefined && needsExtendedConnect(upgrade) && !session.allowsUpgrades) {
      this.failed('aborted', notOverHttp2(this.#request));
      return true;
    }
    const head = http2Head(this.#request);
    let stream: ClientHttp2Stream;
    try {
      stream =
        upgrade === undefined
          ? session.request(
              head,
              body.kind === 'empty',
              body.kind === 'push' && body.withoutTrailers !== true,
            )
          : session.request(connectHead(head, this.#request), false, false);
    } catch (error) {
      if (ELSEWHERE.has(codeOf(error) ?? '')) return false;
      // A head that can't be sent: no host is to blame, no other would help.
      this.failed('aborted', error instanceof Error ? error : new Error(String(error)));
      return true;
    }
    this.#session = session;
    this.#stream = stream;
    context.requestBytes = 0;
    context.resetCode = undefined;
    // gRPC is POST; everything else need not be looked at.
    context.grpcMessages =
      this.#request.method === 'POST' && isGrpc(this.#request) ? createGrpcMessages() : undefined;
    context.upstreamProtocol = 'HTTP/2';
    context.requestStarted?.settle();
    listen(stream, this);
    // Envoy: a request that switches its protocol is complete when its tunnel ends.
    if (upgrade === undefined && body.kind === 'empty') context.requestSent?.settle();
    else if (upgrade === undefined) this.#sender = new BodySender(stream, this.#request);
    // Whatever a binding leaves there is an object of this form or another's.
    this.#limits = callerLimits(context.callerOptions);
    if (this.#limits !== undefined) this.#wait(this.#limits.headersTimeout, HEADERS_TIMEOUT);
    return true;
  }

  resume(): void {
    this.#stream?.resume();
  }

  cancel(reason: unknown): void {
    this.#gaveUp = true;
    this.#error = toError(reason);
    if (this.#stream !== undefined) abandon(this.#stream);
  }

  onResponse(status: number, raw: readonly string[], headers: IncomingHttpHeaders, isWhole: boolean): void {
    if (this.#settled) return;
    this.#settled = true;
    const { upgrade } = this.#request.context;
    if (upgrade !== undefined) {
      if (isAgreed(status, upgrade)) {
        this.#switch(upgrade, status, raw);
        this.#catchUp();
        return;
      }
      this.#stream?.end();
    }
    if (this.#limits !== undefined) this.#wait(this.#limits.bodyTimeout, BODY_TIMEOUT);
    this.#queue = new BodyQueue(this);
    this.#completion = new Completion();
    this.#expectedBytes = expectedBytes(this.#request.method, status, headers['content-length']);
    const { context } = this.#request;
    context.requestSent?.settle();
    context.peerId = this.#session?.peerId;
    this.#resolve({
      status,
      statusText: '',
      // The first line is `:status`.
      headers: headersOf(raw),
      body: this.#queue,
      completion: this.#completion,
      isWhole,
    });
    this.#catchUp();
  }

  /** Now that the head is known, its body goes on from the beginning. */
  #catchUp(): void {
    const early = this.#early;
    if (early === undefined) return;
    this.#early = undefined;
    for (const chunk of early) this.onData(chunk);
  }

  /** A time-out that the caller's own library asked for; the mesh's are kept elsewhere. */
  #wait(timeoutMs: number | null | undefined, what: CallerTimeout): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (timeoutMs === undefined || timeoutMs === null || timeoutMs <= 0) return;
    this.#timer = this.#session?.clock.schedule(timeoutMs, () =>
      this.cancel(Object.assign(new Error(what.message), { name: what.name, code: what.code })),
    );
  }

  /** The stream is the caller's from now on. */
  #switch(upgrade: string, status: number, raw: readonly string[]): void {
    const [stream, session] = [this.#stream, this.#session];
    // A response comes on a stream of a session.
    if (stream === undefined || session === undefined) return;
    const { context } = this.#request;
    context.requestSent?.settle();
    context.peerId = session.peerId;
    this.#finish();
    const tunnel = new StreamTunnel(stream);
    this.#tunnel = tunnel;
    session.tunnels++;
    const completion = new Completion();
    watchTunnel(tunnel, this.#request, completion);
    this.#tunnelled(tunnel, session.expiresAtMs);
    const headers = headersOf(raw);
    const isExtended = needsExtendedConnect(upgrade);
    if (isExtended) describeUpgrade(headers, upgrade, this.#request);
    const response = { statusText: '', headers, body: EMPTY_BODY, completion, tunnel };
    this.#resolve({ ...response, status: isExtended ? 101 : status });
  }

  onData(chunk: Buffer): void {
    // node:http2 tells of heads in a later tick, but of data at once: when it reads on within somebody's callback (TLS
    // does, where several records are there and a callback sends something), the first bytes come before their head.
    if (!this.#settled) {
      this.#early ??= [];
      this.#early.push(chunk);
      return;
    }
    if (this.#tunnel !== undefined) {
      if (!this.#tunnel.deliver(chunk)) this.#stream?.pause();
      return;
    }
    if (this.#limits !== undefined) this.#wait(this.#limits.bodyTimeout, BODY_TIMEOUT);
    const { context } = this.#request;
    context.responseBytes += chunk.byteLength;
    context.grpcMessages?.response.feed(chunk);
    if (this.#expectedBytes !== undefined) this.#expectedBytes -= chunk.byteLength;
    if (this.#queue?.push(chunk) === false) this.#stream?.pause();
  }

  onTrailers(raw: readonly string[]): void {
    this.#trailers = HeaderMap.fromRaw(raw);
  }

  /** The response is complete, unless it ends because the stream was reset: `close` tells then. */
  onEnd(): void {
    const stream = this.#stream;
    if (this.#tunnel !== undefined && stream?.rstCode === 0) this.#tunnel.finish();
    if (stream === undefined || stream.rstCode !== 0 || this.#ended || this.#queue === undefined) return;
    if (this.#expectedBytes !== undefined && this.#expectedBytes > 0) {
      this.#error ??= brokenOff();
      abandon(stream);
      return;
    }
    this.#ended = true;
    this.#finish();
    // Envoy: a server that answers without waiting for the rest of the request has no use for it.
    if (!stream.writableEnded) abandon(stream);
    this.#queue.end(this.#trailers);
    this.#completion?.settle(this.#trailers);
  }

  onUnsendable(): void {
    this.#error ??= new MeshError(
      'INMESH_HEADER_INVALID',
      'the headers are too large to be sent over HTTP/2',
      {
        resource: this.#request.authority,
        hint: 'Send less than 64 KiB of headers',
      },
    );
    this.#isUnsendable = true;
  }

  onError(error: Error): void {
    this.#error ??= error;
  }

  onClose(): void {
    this.#finish();
    this.#sender?.stop();
    if (this.#tunnel !== undefined && this.#session !== undefined) this.#session.tunnels--;
    this.#session?.release();
    if (this.#ended) return;
    this.#ended = true;
    const error = this.#error ?? this.#session?.error ?? brokenOff();
    // What node:http2 makes of a connection that broke is no word of the peer.
    if (!this.#gaveUp && !this.#isUnsendable && this.#session?.isGone === false)
      this.#request.context.resetCode = this.#stream?.rstCode;
    if (this.#tunnel !== undefined) {
      this.#tunnel.gone(error);
      return;
    }
    if (this.#queue === undefined) {
      this.#fail(this.#classify(), error);
      return;
    }
    this.#request.context.bodyFailure = this.#classify();
    // First, because who reads the body may give the whole exchange up when it breaks.
    this.#completion?.settle(undefined, error);
    this.#queue.fail(error);
  }

  #classify(): TransportFailure {
    if (this.#isUnsendable || this.#request.abort.aborted || this.#sender?.isToBlame === true)
      return 'aborted';
    const { rstCode = 0, id } = this.#stream ?? {};
    // RFC 9113 §6.8: what lies above the last stream of a GOAWAY was not and will not be looked at.
    const lastId = this.#session?.goawayLastId;
    const isRefused = rstCode === CODES.REFUSED_STREAM || id === undefined;
    if (isRefused || (lastId !== undefined && id > lastId)) return 'refused';
    if (codeOf(this.#session?.error) === 'ERR_HTTP2_ERROR') return 'protocol';
    const isTheirs = rstCode !== 0 && !this.#gaveUp && this.#session?.isGone === false;
    return isTheirs ? 'remote-reset' : 'reset';
  }

  #cancelled(reason: unknown): void {
    if (this.#stream !== undefined) this.cancel(reason);
    else if (!this.#settled) {
      // It still waits for a connection; the pool leaves out what is over.
      this.#settled = true;
      this.#reject(new TransportError('aborted', false, reason));
    }
  }

  #fail(failure: TransportFailure, error: Error): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#request.context.requestSent?.settle();
    const { resetCode } = this.#request.context;
    this.#reject(new TransportError(failure, this.#stream?.id !== undefined, error, resetCode));
  }

  #finish(): void {
    this.#timer?.cancel();
    this.#unlink?.();
    this.#unlink = undefined;
  }
}

function headersOf(raw: readonly string[]): HeaderMap {
  // The first line is `:status`.
  return HeaderMap.fromRaw(raw[0] === ':status' ? raw.slice(2) : withoutPseudo(raw));
}

function notOverHttp2({ context, authority }: Request): MeshError {
  return new MeshError(
    'INMESH_UNSUPPORTED',
    `the server takes no ${context.upgrade} over HTTP/2 (RFC 8441)`,
    {
      resource: authority,
      hint: 'Let the server enable extended CONNECT, or its cluster speak HTTP/1.1 (name of the port, or h2UpgradePolicy)',
    },
  );
}

function withoutPseudo(raw: readonly string[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]];
    if (!name.startsWith(':')) lines.push(name, value);
  }
  return lines;
}

/** nghttp2 checks the length only of what ends as it should: a reset without an error would pass for the end. */
function expectedBytes(method: string, status: number, length: string | undefined): number | undefined {
  if (method === 'HEAD' || status === 204 || status === 304 || length === undefined) return undefined;
  return Number(length);
}

function brokenOff(): Error {
  return Object.assign(new Error('the stream was closed before the response was complete'), {
    code: 'ECONNRESET',
  });
}

function toError(reason: unknown): Error {
  return reason instanceof Error
    ? reason
    : new DOMException(typeof reason === 'string' ? reason : 'This operation was aborted', 'AbortError');
}
