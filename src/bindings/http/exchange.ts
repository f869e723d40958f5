import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { InboundApplication, InboundChain } from '../../mesh/inbound.js';
import { Abort } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/log.js';
import type { Random } from '../../runtime/random.js';
import { type Body, EMPTY_BODY, type NativeBody } from '../../service/body.js';
import { Completion } from '../../service/completion.js';
import { createExchange, type Exchange } from '../../service/context.js';
import { deadlineOf } from '../../service/deadline.js';
import type { ExchangeLogger } from '../../service/exchange-logger.js';
import type { BodyChange, HeadChange, ResponseChange, ResponseHead } from '../../service/head-change.js';
import { HeaderMap } from '../../service/headers.js';
import type { Observer } from '../../service/observer.js';
import type { Request, Response } from '../../service/service.js';
import type { WorkloadInfo } from '../../service/workload.js';
import { type AnswerChange, type CallerSide, ResponseSide, TunnelSide } from './caller-side.js';
import { connectionInfo } from './connection-info.js';
import { bodyBytes, countBodies } from './count-bytes.js';
import { replaceHeaderLines } from './headers.js';
import { StreamSocket } from './http2/stream-socket.js';
import { failureReply } from './reply.js';
import { declaredLength, GatedBody } from './request-gate.js';

/** What an exchange needs besides its request. */
export interface ExchangeTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: Observer;
  /** Runs the application's part of a request, so that what it starts knows the request. By default it is just run. */
  readonly scope?: InboundScope | undefined;
}

/** Runs `task` as the work of a request. */
export type InboundScope = (request: Request, task: () => void) => void;

/** One request as Node's server announced it, and the way to the application's listeners of that event. */
export interface Arrival {
  readonly request: IncomingMessage;
  readonly secure: boolean;
  readonly peerId: string | undefined;
  /** Who calls, by its own word. */
  readonly peer: WorkloadInfo | undefined;
  /** Protocol that the request switches to, in lower case; `connect` for CONNECT. */
  readonly upgrade?: string | undefined;
  /** Calls the application. */
  readonly dispatch: () => void;
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
  const body = chain.service && new GatedBody(arrival.request);
  new InboundExchange(arrival, new ResponseSide(response), tools, body).run(chain);
}

/** Runs a request that leaves HTTP (an upgrade or CONNECT) through the chain's filters to the application. */
export function runTunnel(arrival: Arrival, socket: Duplex, chain: InboundChain, tools: ExchangeTools): void {
  new InboundExchange(arrival, new TunnelSide(socket), tools).run(chain);
}

class InboundExchange implements InboundApplication {
  readonly #arrival: Arrival;
  readonly #side: CallerSide;
  readonly #gate: GatedBody | undefined;
  readonly #tools: ExchangeTools;
  readonly #request: Request;
  readonly #completion = new Completion();
  #answer: Response | undefined;
  #log: ExchangeLogger | undefined;
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

  run(chain: InboundChain): void {
    this.#log = chain.log;
    chain.log?.begin(this.#request);
    if (chain.service === undefined) {
      this.#dispatch();
      return;
    }
    chain.service(this.#request).then(
      (response) => this.#answered(response),
      (error: unknown) => this.#failed(error),
    );
  }

  handle(request: Request): Promise<Response> {
    if (this.#side.gone) return Promise.reject(callerGone());
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
    else scope(this.#request, this.#arrival.dispatch);
  }

  #answered(response: Response): void {
    if (response === this.#answer) return;
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
    if (this.#side.gone) return;
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
    const side = this.#side;
    const { context, abort } = this.#request;
    if (!side.finished) {
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
    const status = side.headSent ? side.status : 0;
    const end = { status, error, durationMs: clock.now() - context.startMs, response };
    observer.exchange?.(this.#request, end);
    this.#log?.end(this.#request, end);
  }
}

/** The changes that filters left, innermost first, as one. */
function answerChange({ headChanges, changesBody }: Exchange): AnswerChange | undefined {
  if (headChanges === undefined) return undefined;
  return {
    changesBody,
    change(head) {
      const bodies: BodyChange[] = [];
      for (let i = headChanges.length - 1; i >= 0; i--) {
        const body = changeOf(headChanges[i], head);
        if (body !== undefined) bodies.push(body);
      }
      return bodies;
    },
  };
}

/** Changes of the head alone give nothing that is of interest. */
function changeOf(
  change: HeadChange | ResponseChange | undefined,
  head: ResponseHead,
): BodyChange | undefined {
  const body = change?.(head);
  return typeof body === 'function' ? body : undefined;
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

function inboundRequest(arrival: Arrival, tools: ExchangeTools, gate: GatedBody | undefined): Request {
  const { request, peerId, peer, secure } = arrival;
  const context = createExchange('inbound', tools.clock.now(), tools.random());
  context.peerId = peerId;
  context.protocol = request.socket instanceof StreamSocket ? 'HTTP/2' : `HTTP/${request.httpVersion}`;
  context.connection = connectionInfo(request.socket);
  context.peer = peer;
  context.upgrade = arrival.upgrade;
  // A tunnel is logged when its socket is closed, and a closed socket has forgotten who was there: it is asked now.
  if (arrival.upgrade !== undefined)
    void [context.connection.directRemote, context.connection.local, context.connection.tls];
  const { authority, path } = readTarget(request);
  const headers = HeaderMap.fromRaw(request.rawHeaders);
  context.deadlineMs = deadlineOf(headers, context.startMs);
  return {
    method: request.method ?? 'GET',
    scheme: secure ? 'https' : 'http',
    authority,
    path,
    headers,
    body: gate ?? new MessageBody(request),
    abort: new Abort(),
    context,
  };
}

const ABSOLUTE_FORM = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#]*)(.*)$/i;

/**
 * What a request asks for. In absolute form (`GET http://host/path`) the target names the authority and Host does not
 * count (RFC 9112 §3.2.2); applications route by the path within, so filters must see that too.
 */
function readTarget({ url = '/', method, headers }: IncomingMessage): { authority: string; path: string } {
  if (method === 'CONNECT') return { authority: url, path: '' };
  const absolute = url.startsWith('/') ? null : ABSOLUTE_FORM.exec(url);
  if (absolute === null) return { authority: headers.host ?? '', path: url };
  const [, authority = '', rest = ''] = absolute;
  return { authority, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/** Hands on what filters changed. */
function applyChanges(message: IncomingMessage, request: Request): void {
  if (request.method !== message.method) message.method = request.method;
  if (request.path !== readTarget(message).path) message.url = request.path;
  const { headers } = request;
  if (message.method !== 'CONNECT' && request.authority !== (message.headers.host ?? '')) {
    headers.set('host', request.authority);
  }
  if (headers.toRaw() !== message.rawHeaders) replaceHeaderLines(message, headers.toLines());
}

/** The request's own stream: the application reads it as ever, no copy is made. */
class MessageBody implements NativeBody {
  readonly kind = 'native';
  readonly value: IncomingMessage;

  constructor(message: IncomingMessage) {
    this.value = message;
  }

  get length(): number | undefined {
    return declaredLength(this.value);
  }

  iterate(): AsyncIterable<Uint8Array> {
    return this.value;
  }
}

function callerGone(): MeshError {
  return new MeshError('INMESH_ABORTED', 'the caller closed the connection before the response was complete');
}
