import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { InboundApplication, InboundChain } from '../../mesh/inbound.js';
import type { InboundScope } from '../../mesh/inbound-scope.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { Random } from '../../runtime/random.js';
import { type Body, EMPTY_BODY } from '../../service/body.js';
import { Completion } from '../../service/completion.js';
import type { ByteCounts } from '../../service/context.js';
import type { ExchangeLogger } from '../../service/exchange-logger.js';
import { createGrpcMessages } from '../../service/grpc-messages.js';
import type { HeaderMap } from '../../service/headers.js';
import { isGrpcType, type LocalReply } from '../../service/local-reply.js';
import type { Observer } from '../../service/observer.js';
import type { Request, Response } from '../../service/service.js';
import { answerChange } from './answer-change.js';
import { type CallerSide, ResponseSide, TunnelSide } from './caller-side.js';
import { bodyBytes, countBodies, countMessages } from './count-bytes.js';
import { ExchangeTimers, type LimitedExchange } from './exchange-limits.js';
import { finish, linger } from './finish.js';
import { type Arrival, applyChanges, inboundRequest } from './inbound-request.js';
import { failureReply } from './reply.js';
import { GatedBody } from './request-gate.js';

/** What an exchange needs besides its request. */
export interface ExchangeTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
  /** Runs the application's part of a request, so that what it starts knows the request. By default it is just run. */
  readonly scope?: InboundScope | undefined;
}

/** Runs a request that has a ServerResponse through the chain's filters to the application. */
export function runRequest(
  arrival: Arrival,
  response: ServerResponse,
  chain: InboundChain,
  tools: ExchangeTools,
): void {
  countBodies(arrival.request, response);
  // Without filters nobody could want the body but the application.
  const body = chain.service && new GatedBody(arrival.request, arrival.askForBody);
  const exchange = new InboundExchange(arrival, new ResponseSide(response), tools, body);
  if (isGrpcCall(arrival.request)) exchange.countMessages(response);
  exchange.run(chain);
}

function isGrpcCall({ method, headers }: Arrival['request']): boolean {
  return method === 'POST' && isGrpcType(headers['content-type']);
}

/** Runs a request that leaves HTTP (an upgrade or CONNECT) through the chain's filters to the application. */
export function runTunnel(arrival: Arrival, socket: Duplex, chain: InboundChain, tools: ExchangeTools): void {
  new InboundExchange(arrival, new TunnelSide(socket), tools).run(chain);
}

/** Envoy's default. */
const DEFAULT_DELAYED_CLOSE_MS = 1000;

class InboundExchange implements InboundApplication, LimitedExchange {
  readonly #arrival: Arrival;
  readonly #side: CallerSide;
  readonly #gate: GatedBody | undefined;
  readonly #tools: ExchangeTools;
  readonly #request: Request;
  readonly #completion = new Completion();
  #answer: Response | undefined;
  #log: ExchangeLogger | undefined;
  #timers: ExchangeTimers | undefined;
  /** What a time limit answered. */
  #expired: LocalReply | undefined;
  #expiredStatus = 0;
  #delayedCloseMs = 0;
  #dispatched = false;
  #error: unknown;
  /** Ends the wait for the application's head. */
  #giveUp: ((error: unknown) => void) | undefined;

  constructor(arrival: Arrival, side: CallerSide, tools: ExchangeTools, gate?: GatedBody) {
    this.#arrival = arrival;
    this.#gate = gate;
    this.#side = side;
    this.#tools = tools;
    this.#request = inboundRequest(arrival, tools, gate);
    this.#request.context.callerOptions = this;
    side.onClose(() => this.#end());
  }

  countMessages(response: ServerResponse): void {
    const messages = createGrpcMessages();
    countMessages(this.#arrival.request, messages.request);
    countMessages(response, messages.response);
    this.#request.context.grpcMessages = messages;
  }

  run(chain: InboundChain): void {
    this.#log = chain.log;
    chain.log?.begin(this.#request);
    this.#delayedCloseMs = chain.limits?.delayedCloseTimeoutMs ?? DEFAULT_DELAYED_CLOSE_MS;
    if (chain.times !== undefined) this.#timers = new ExchangeTimers(this, chain.times, this.#tools.clock);
    if (chain.service === undefined) {
      this.#dispatch();
      return;
    }
    chain.service(this.#request).then(
      (response) => this.#answered(response),
      (error: unknown) => this.#failed(error),
    );
  }

  get isComplete(): boolean {
    return this.#arrival.upgrade !== undefined || this.#arrival.request.complete;
  }

  get headSent(): boolean {
    return this.#side.headSent;
  }

  get moved(): number {
    const { request } = this.#arrival;
    const { tunnel } = this.#request.context;
    const bodies = bodyBytes(request) + this.#side.bytesSent + (this.#side.headSent ? 1 : 0);
    if (this.#arrival.upgrade === undefined) return bodies;
    const socket: Partial<ByteCounts> = tunnel ?? request.socket;
    return bodies + (socket.bytesRead ?? 0) + (socket.bytesWritten ?? 0);
  }

  /** A time limit is over. */
  expire(reply: LocalReply): void {
    const side = this.#side;
    if (side.gone) return;
    this.#expired = reply;
    const { context, abort } = this.#request;
    if (reply.flag !== undefined && !context.flags.includes(reply.flag)) context.flags.push(reply.flag);
    context.details = reply.details;
    this.#error = new MeshError('INMESH_TIMEOUT', reply.body);
    this.#expiredStatus = side.headSent ? side.status : reply.status;
    abort.abort(this.#error);
    this.#giveUp?.(this.#error);
    side.cut(reply, (socket) => {
      if (this.#delayedCloseMs > 0) linger(socket, this.#tools.clock, this.#delayedCloseMs);
      else finish(socket);
    });
  }

  handle(request: Request): Promise<Response> {
    if (this.#side.gone || this.#expired !== undefined) return Promise.reject(callerGone());
    if (this.#dispatched) {
      return Promise.reject(new MeshError('INMESH_BODY_USED', 'an inbound request can be handled only once'));
    }
    try {
      tellChunks(request, this.#gate);
      this.#gate?.open(request.body);
    } catch (error) {
      return Promise.reject(error);
    }
    applyChanges(this.#arrival.request, request);
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      this.#side.onHead(() => resolve(this.#applicationResponse()), answerChange(request.context));
      try {
        this.#dispatch();
      } catch (error) {
        // What the application throws is its own affair and must stay as visible as without filters.
        queueMicrotask(() => {
          throw error;
        });
      }
    });
  }

  #dispatch(): void {
    this.#dispatched = true;
    this.#side.release();
    const { scope } = this.#tools;
    if (scope === undefined) this.#arrival.dispatch();
    else scope(this.#request, () => this.#arrival.dispatch());
  }

  #answered(response: Response): void {
    if (response === this.#answer || this.#expired !== undefined) return;
    this.#answer = response;
    if (this.#side.gone) return;
    if (this.#dispatched) {
      // The application may be writing: two answers on one exchange would corrupt both.
      this.#side.destroy();
      return;
    }
    this.#gate?.refuse();
    this.#side.reply(response).catch((error: unknown) => {
      this.#error = error;
      this.#side.destroy();
    });
  }

  #failed(error: unknown): void {
    if (this.#side.gone || this.#expired !== undefined) return;
    this.#error = error;
    const { path, method } = this.#request;
    this.#tools.logger.error({ method, path: path.split('?', 1)[0], error }, 'an inbound filter failed');
    // Fails closed: the application does not see a request that its filters did not pass.
    this.#answered(failureReply(this.#request, error));
  }

  #applicationResponse(): Response {
    this.#answer ??= new ApplicationResponse(this.#side, this.#completion);
    return this.#answer;
  }

  #end(): void {
    this.#timers?.stop();
    const side = this.#side;
    const { context, abort } = this.#request;
    if (!side.finished && this.#expired === undefined) {
      this.#error ??= callerGone();
      if (!context.flags.includes('DC')) context.flags.push('DC');
      context.details ??= 'downstream_remote_disconnect';
      abort.abort(this.#error);
      this.#giveUp?.(this.#error);
    }
    context.requestBytes = bodyBytes(this.#arrival.request);
    context.responseBytes = side.bytesSent;
    const { observer, clock } = this.#tools;
    const error = side.finished ? undefined : this.#error;
    const response = side.headSent ? this.#applicationResponse() : this.#answer;
    // What the application does on its own account after the answer has all the time it wants.
    context.deadlineMs = undefined;
    this.#completion.settle(undefined, error);
    const status = this.#expired === undefined ? (side.headSent ? side.status : 0) : this.#expiredStatus;
    const end = { status, error, durationMs: clock.now() - context.startMs, response };
    observer.exchange?.(this.#request, end);
    this.#log?.end(this.#request, end);
  }
}

/** Frameworks look for a body only where its length or its chunks are told. */
function tellChunks({ body, headers }: Request, gate: GatedBody | undefined): void {
  const isReplaced = (body.kind === 'push' || body.kind === 'native') && body !== gate;
  if (gate !== undefined && isReplaced && !headers.has('content-length')) {
    headers.set('transfer-encoding', 'chunked');
  }
}

/** What the application answered; its headers are read only if somebody asks. */
class ApplicationResponse implements Response {
  readonly completion: Completion;
  readonly statusText = '';
  body: Body = EMPTY_BODY;
  readonly #side: CallerSide;
  #headers: HeaderMap | undefined;

  constructor(side: CallerSide, completion: Completion) {
    this.#side = side;
    this.completion = completion;
  }

  get status(): number {
    return this.#side.status;
  }

  get headers(): HeaderMap {
    this.#headers ??= this.#side.headers();
    return this.#headers;
  }
}

function callerGone(): MeshError {
  return new MeshError('INMESH_ABORTED', 'the caller closed the connection before the response was complete');
}
