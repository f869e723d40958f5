import { AsyncResource } from 'node:async_hooks';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { InboundApplication, InboundChain } from '../../mesh/inbound.js';
import type { InboundScope } from '../../mesh/inbound-scope.js';
import { Abort } from '../../runtime/abort.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { Random } from '../../runtime/random.js';
import { EMPTY_BODY } from '../../service/body.js';
import { Completion } from '../../service/completion.js';
import type { ConnectionInfo } from '../../service/connection.js';
import { createExchange } from '../../service/context.js';
import { deadlineOf } from '../../service/deadline.js';
import type { ExchangeLogger } from '../../service/exchange-logger.js';
import { createGrpcMessages } from '../../service/grpc-messages.js';
import { HeaderMap } from '../../service/headers.js';
import { isGrpcType, type LocalReply, localReply } from '../../service/local-reply.js';
import type { Observer } from '../../service/observer.js';
import type { Request, Response } from '../../service/service.js';
import type { WorkloadInfo } from '../../service/workload.js';
import { answerChange } from '../http/answer-change.js';
import { ExchangeTimers, type LimitedExchange } from '../http/exchange-limits.js';
import { failureReply } from '../http/reply.js';
import { GatedBody } from '../http/request-gate.js';
import { ignore } from '../http/sniff.js';
import { linesOfSent, StreamResponse, statusOf, writeAnswer } from './answer.js';
import { type CallHead, headersOfLines } from './call-head.js';
import { changeAnswer, silence } from './changed-stream.js';
import { countReceived, countStream, type StreamCounter } from './counted-stream.js';
import { DEADLINE_EXCEEDED, timeoutText } from './deadline.js';

/** One stream as Node's HTTP/2 announced it, and the way to the server's own listeners. */
export interface CallArrival {
  readonly stream: ServerHttp2Stream;
  /** What the server gets; changes of filters are made in it. */
  readonly headers: IncomingHttpHeaders;
  readonly head: CallHead;
  readonly secure: boolean;
  readonly peerId: string | undefined;
  /** Who calls, by its own word. */
  readonly peer: WorkloadInfo | undefined;
  readonly connection: ConnectionInfo;
  /** Header lines that go with the head of the answer. */
  readonly answerLines: readonly (readonly [string, string])[] | undefined;
  /** Calls the server. */
  readonly dispatch: (headers: IncomingHttpHeaders) => void;
}

/** What a call needs besides its stream. */
export interface CallTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
  readonly scope?: InboundScope | undefined;
}

/** RFC 9113 §7. */
const { NO_ERROR, CANCEL } = { NO_ERROR: 0, CANCEL: 8 };
/** gRPC's statuses of calls that end before their answer does. */
const { CANCELLED, LATE } = { CANCELLED: 1, LATE: 4 };

/** One call on its way through the chain's filters to the server, and back. */
export class InboundCall implements InboundApplication, LimitedExchange, StreamCounter {
  readonly #arrival: CallArrival;
  readonly #stream: ServerHttp2Stream;
  readonly #tools: CallTools;
  readonly #request: Request;
  readonly #completion = new Completion();
  readonly #lines: HeaderMap;
  #gate: GatedBody | undefined;
  #answer: Response | undefined;
  #log: ExchangeLogger | undefined;
  #timers: ExchangeTimers | undefined;
  #deadline: Timer | undefined;
  #error: unknown;
  #isExpired = false;
  #expiredStatus = 0;
  #isDispatched = false;
  #isOver = false;
  #requestBytes = 0;
  #responseBytes = 0;
  /** Whether the last byte of the request is here. */
  isComplete = false;
  /** Ends the wait for the server's head. */
  #giveUp: ((error: unknown) => void) | undefined;

  constructor(arrival: CallArrival, tools: CallTools) {
    const { stream, head, secure } = arrival;
    this.#arrival = arrival;
    this.#stream = stream;
    this.#tools = tools;
    this.#lines = HeaderMap.fromLower(head.lines);
    const context = createExchange('inbound', tools.clock.now(), tools.random());
    context.peerId = arrival.peerId;
    context.protocol = 'HTTP/2';
    context.connection = arrival.connection;
    context.peer = arrival.peer;
    context.deadlineMs = deadlineOf(this.#lines, context.startMs);
    context.callerOptions = this;
    this.#request = {
      method: head.method,
      scheme: secure ? 'https' : 'http',
      authority: head.authority,
      path: head.path,
      headers: this.#lines,
      body: EMPTY_BODY,
      abort: new Abort(),
      context,
    };
    if (head.method === 'POST' && isGrpcType(this.#lines.get('content-type')))
      context.grpcMessages = createGrpcMessages();
    countStream(stream, this);
    stream.on('error', ignore);
    // Both come once; `once` would wrap them.
    stream.on('close', () => this.#end());
    stream.on('finish', () => this.#answerIsOut());
  }

  run(chain: InboundChain): void {
    this.#log = chain.log;
    chain.log?.begin(this.#request);
    // Reset before it was announced: it is counted, and nobody need hear of it.
    if (this.#stream.destroyed) return;
    if (chain.times !== undefined) this.#timers = new ExchangeTimers(this, chain.times, this.#tools.clock);
    if (chain.service === undefined) {
      this.#dispatch(this.#arrival.headers);
      return;
    }
    // Filters may want the body; what a stream was given once it gives to the server.
    this.#gate = new GatedBody(this.#stream, undefined, countReceived);
    this.#request.body = this.#gate;
    this.#keepDeadline();
    chain.service(this.#request).then(
      (response) => this.#answered(response),
      (error: unknown) => this.#failed(error),
    );
  }

  received(chunk: Uint8Array): void {
    this.#requestBytes += chunk.byteLength;
    this.#request.context.grpcMessages?.request.feed(chunk);
  }

  receivedAll(): void {
    this.isComplete = true;
  }

  sent(chunk: Uint8Array): void {
    this.#responseBytes += chunk.byteLength;
    this.#request.context.grpcMessages?.response.feed(chunk);
  }

  get headSent(): boolean {
    return this.#stream.headersSent;
  }

  get moved(): number {
    return this.#requestBytes + this.#responseBytes + (this.#stream.headersSent ? 1 : 0);
  }

  /** A time limit is over. */
  expire(reply: LocalReply): void {
    const stream = this.#stream;
    if (stream.destroyed || this.#isExpired) return;
    this.#isExpired = true;
    const { headersSent } = stream;
    const status = statusOf(stream);
    const response = localReply(this.#request, reply);
    this.#error = new MeshError('INMESH_TIMEOUT', reply.body);
    this.#request.context.callStatus = LATE;
    this.#expiredStatus = headersSent ? status : response.status;
    this.#request.abort.abort(this.#error);
    this.#giveUp?.(this.#error);
    // Envoy: once the head is out there is nothing left to say.
    if (headersSent) stream.close(CANCEL);
    else {
      this.#answer = response;
      void writeAnswer(stream, response).catch(ignore);
      silence(stream);
      stream.close(NO_ERROR);
    }
  }

  handle(request: Request): Promise<Response> {
    if (this.#stream.destroyed || this.#isExpired) return Promise.reject(callerGone());
    if (this.#isDispatched) {
      return Promise.reject(new MeshError('INMESH_BODY_USED', 'an inbound call can be handled only once'));
    }
    let headers: IncomingHttpHeaders;
    try {
      this.#gate?.open(request.body);
      headers = this.#changedHeaders(request);
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      changeAnswer(this.#stream, answerChange(request.context), () => resolve(this.#serverResponse()));
      this.#dispatch(headers);
    });
  }

  #dispatch(headers: IncomingHttpHeaders): void {
    this.#isDispatched = true;
    this.#deadline?.cancel();
    this.#tellDeadline(headers);
    this.#introduce();
    const { scope } = this.#tools;
    if (scope === undefined) this.#arrival.dispatch(headers);
    else {
      scope(this.#request, (isOwn = false) => {
        // Handlers are called from events of the stream, which know nothing of who waits for what.
        if (isOwn) bindEvents(this.#stream);
        this.#arrival.dispatch(headers);
      });
    }
  }

  /** Istio: who asks hears who we are. */
  #introduce(): void {
    const { answerLines } = this.#arrival;
    if (answerLines === undefined) return;
    const stream = this.#stream;
    const { respond } = stream;
    stream.respond = (headers, options) => {
      Reflect.apply(respond, stream, [{ ...headers, ...Object.fromEntries(answerLines) }, options]);
    };
  }

  /** What filters changed, as the server is to see it. */
  #changedHeaders(request: Request): IncomingHttpHeaders {
    const { headers, head } = this.#arrival;
    if (request.method !== head.method) headers[':method'] = request.method;
    if (request.path !== head.path) headers[':path'] = request.path;
    if (request.authority !== head.authority) headers[':authority'] = request.authority;
    if (request.headers.toRaw() === head.lines) return headers;
    const pseudo: Record<string, string> = {};
    for (const name in headers) {
      const value = headers[name];
      if (name.startsWith(':') && typeof value === 'string') pseudo[name] = value;
    }
    return headersOfLines(pseudo, request.headers.toLines());
  }

  /** The server counts the caller's time from when it gets the call; until then it is counted here. */
  #keepDeadline(): void {
    const { deadlineMs } = this.#request.context;
    if (deadlineMs === undefined) return;
    const leftMs = deadlineMs - this.#tools.clock.now();
    this.#deadline = this.#tools.clock.schedule(leftMs, () => this.expire(DEADLINE_EXCEEDED));
  }

  #tellDeadline(headers: IncomingHttpHeaders): void {
    const text = headers['grpc-timeout'];
    if (typeof text !== 'string') return;
    const { startMs } = this.#request.context;
    headers['grpc-timeout'] = timeoutText(text, this.#tools.clock.now() - startMs);
  }

  #answered(response: Response): void {
    if (response === this.#answer || this.#isExpired) return;
    this.#answer = response;
    const stream = this.#stream;
    if (stream.destroyed) return;
    if (this.#isDispatched) {
      // The server may be writing: two answers on one stream would corrupt both.
      stream.close(CANCEL);
      return;
    }
    this.#deadline?.cancel();
    this.#introduce();
    this.#gate?.refuse();
    writeAnswer(stream, response).catch((error: unknown) => {
      this.#error = error;
      stream.destroy();
    });
    // What is left of the request is of no use to anybody.
    stream.resume();
  }

  #failed(error: unknown): void {
    if (this.#stream.destroyed || this.#isExpired) return;
    this.#error = error;
    const { path } = this.#request;
    this.#tools.logger.error({ path: path.split('?', 1)[0], error }, 'an inbound filter failed');
    // Fails closed: the server does not see a call that its filters did not pass.
    this.#answered(failureReply(this.#request, error));
  }

  #serverResponse(): Response {
    this.#answer ??= new StreamResponse(this.#stream, this.#completion);
    return this.#answer;
  }

  /**
   * A caller that goes on sending after its answer is complete is told to stop (RFC 9113 §8.1), as gRPC's own servers do;
   * Node would wait for it for ever.
   */
  #answerIsOut(): void {
    if (this.isComplete) return;
    const stream = this.#stream;
    const stop = () => {
      setImmediate(() => {
        if (!stream.destroyed && !stream.closed) stream.close(NO_ERROR);
      });
    };
    const isWaiting = stream.sentTrailers === undefined && stream.sentHeaders?.['grpc-status'] === undefined;
    // The server's own listener came first: its trailers are sent by then.
    if (isWaiting && isGrpcType(this.#lines.get('content-type'))) stream.once('wantTrailers', stop);
    else stop();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timers?.stop();
    this.#deadline?.cancel();
    const stream = this.#stream;
    const { context, abort } = this.#request;
    const isFinished = isAnswered(stream);
    if (!isFinished && !this.#isExpired) {
      this.#error ??= callerGone();
      if (!context.flags.includes('DC')) context.flags.push('DC');
      context.details ??= 'downstream_remote_disconnect';
      context.callStatus = CANCELLED;
      abort.abort(this.#error);
      this.#giveUp?.(this.#error);
    }
    context.requestBytes = this.#requestBytes;
    if (this.#responseBytes > 0) context.responseBytes = this.#responseBytes;
    // What the handler does on its own account after the answer has all the time it wants.
    context.deadlineMs = undefined;
    const error = isFinished ? undefined : this.#error;
    const trailers = stream.sentTrailers === undefined ? undefined : linesOfSent(stream.sentTrailers);
    const response = stream.headersSent ? this.#serverResponse() : this.#answer;
    this.#completion.settle(trailers, error);
    const status = this.#isExpired ? this.#expiredStatus : statusOf(stream);
    const { observer, clock } = this.#tools;
    const end = { status, error, durationMs: clock.now() - context.startMs, response };
    observer.exchange?.(this.#request, end);
    this.#log?.end(this.#request, end);
  }
}

/** Whether the whole answer went out. A stream that is reset is ended by Node, too, which says nothing. */
function isAnswered(stream: ServerHttp2Stream): boolean {
  if (stream.sentTrailers !== undefined) return true;
  if (!stream.headersSent) return false;
  return (
    stream.sentHeaders['grpc-status'] !== undefined ||
    (stream.writableFinished && stream.rstCode === NO_ERROR)
  );
}

/** Has the stream's events run where the code runs that calls this. */
function bindEvents(stream: ServerHttp2Stream): void {
  const resource = new AsyncResource('INMESH_CALL');
  const { emit } = stream;
  stream.emit = (...args: unknown[]) =>
    resource.runInAsyncScope(Reflect.apply, undefined, emit, stream, args) as boolean;
}

function callerGone(): MeshError {
  return new MeshError('INMESH_ABORTED', 'the caller ended the call before its answer was complete');
}
