import { type Duplex, Readable } from 'node:stream';
import type { MeshCore, OutboundTarget } from '../../mesh/core.js';
import { Abort } from '../../runtime/abort.js';
import { MeshError } from '../../runtime/errors.js';
import {
  type Body,
  type BodyControl,
  BodyQueue,
  type BodySink,
  bytesBody,
  EMPTY_BODY,
  type PushBody,
} from '../../service/body.js';
import { createExchange } from '../../service/context.js';
import { recordExchange } from '../../service/explanation.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request, Response } from '../../service/service.js';
import { isParserError } from '../account.js';
import { Bridge } from './bridge.js';
import { type MessageEvents, type MessageHead, MessageReader } from './message-reader.js';
import { brokenOff, httpError } from './native-error.js';
import { ResponseWriter } from './response-writer.js';
import type { AgentSocket, SocketEvents } from './socket.js';

/** Timeouts are the caller's own and the mesh's: node:http has none that the transport would have to keep. */
const CALLER_OPTIONS = { headersTimeout: 0, bodyTimeout: 0 };
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');

/** RFC 9110 §7.6.1: what concerns only this hop, which ends in this process. `te` may ask for trailers. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

/** One virtual connection of an agent: reads requests off its socket, one after the other, and answers them. */
export class AgentConnection implements SocketEvents, MessageEvents, BodyControl {
  readonly #socket: AgentSocket;
  readonly #mesh: MeshCore;
  readonly #origin: string;
  readonly #reader = new MessageReader(this);
  /** Where the last request went, for one that was on its way when the host left the mesh. */
  #target: OutboundTarget;
  /** The object that the caller knows the current request by. */
  #caller: object | undefined;
  /** The same of the request that was sent last. */
  #carried: object | undefined;
  #head: MessageHead | undefined;
  /** What came of the body within the first write; undefined once it flows. */
  #first: Buffer[] | undefined;
  #body: BodyQueue | undefined;
  #isComplete = false;
  #isPaused = false;
  /** Asks for more bytes of a request that is paused. */
  #more: ((error?: Error | null) => void) | undefined;
  #abort: Abort | undefined;
  #writer: ResponseWriter | undefined;
  /** After an upgrade: what is written goes there. */
  #bridge: Bridge | undefined;
  /** Bytes that came before the upgrade was agreed to. */
  #early: Buffer[] = [];

  constructor(socket: AgentSocket, mesh: MeshCore, origin: string, target: OutboundTarget) {
    this.#socket = socket;
    this.#mesh = mesh;
    this.#origin = origin;
    this.#target = target;
  }

  /** The next request is this one's. */
  carries(caller: object): void {
    this.#caller = caller;
  }

  written(chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    if (this.#bridge !== undefined) {
      this.#bridge.write(chunks, done);
      return;
    }
    for (const chunk of chunks) this.#reader.read(chunk);
    if (this.#head !== undefined) this.#start(this.#head);
    if (this.#isPaused) this.#more = done;
    else done();
  }

  wanted(): void {
    this.#writer?.resume();
    this.#bridge?.wanted();
  }

  ended(done: () => void): void {
    if (this.#bridge === undefined) done();
    else this.#bridge.ended(done);
  }

  closed(error: Error | null): void {
    const reason =
      error ??
      new MeshError('INMESH_ABORTED', 'the caller destroyed the request before its response was complete');
    if (!this.#isComplete) this.#body?.fail(reason);
    this.#abort?.abort(reason);
    this.#writer?.cancel(reason);
    this.#bridge?.closed(error);
    this.#more?.(error);
    this.#more = undefined;
  }

  head(head: MessageHead): void {
    this.#head = head;
    this.#first = [];
    this.#body = undefined;
    this.#isComplete = false;
  }

  data(chunk: Buffer): void {
    if (this.#first !== undefined) this.#first.push(chunk);
    else if (this.#body?.push(chunk) === false) this.#isPaused = true;
  }

  end(trailers: readonly string[]): void {
    this.#isComplete = true;
    if (trailers.length === 0) this.#body?.end();
    else this.#body?.end(HeaderMap.from(pairs(trailers)));
  }

  beyond(chunk: Buffer): void {
    this.#early.push(chunk);
    this.#isPaused = true;
  }

  /** The body's reader wants more of it. */
  resume(): void {
    this.#isPaused = false;
    const more = this.#more;
    this.#more = undefined;
    more?.();
  }

  /** The body's reader wants no more of it: what still comes is thrown away. */
  cancel(): void {
    this.#body = undefined;
    this.resume();
  }

  #start(head: MessageHead): void {
    this.#head = undefined;
    const target = this.#mesh.lookup(this.#origin);
    if (target !== undefined && target !== 'unknown') this.#target = target;
    const request = this.#request(head);
    const caller = this.#caller;
    this.#caller = undefined;
    if (caller !== undefined) recordExchange(caller, request);
    this.#carried = caller;
    this.#abort = request.abort;
    this.#target.service(request).then(
      (response) => this.#respond(request, response),
      (error: unknown) => this.#fail(request, error),
    );
  }

  #request({ method, target, lines, upgrade }: MessageHead): Request {
    const { clock, random } = this.#mesh;
    const { headers, expectsContinue } = readHeaders(lines);
    const context = createExchange('outbound', clock.now(), random());
    context.callerOptions = CALLER_OPTIONS;
    context.destination = this.#target.authority;
    context.upgrade = upgrade;
    const isConnect = upgrade === 'connect';
    return {
      method,
      scheme: this.#target.scheme,
      authority: isConnect ? target : (headers.get('host') ?? this.#target.authority),
      path: isConnect ? '' : target,
      headers,
      body: this.#takeBody(expectsContinue),
      abort: new Abort(),
      context,
    };
  }

  #takeBody(expectsContinue: boolean): Body {
    const first = this.#first ?? [];
    this.#first = undefined;
    // A body that came in one piece can be sent again without keeping what passes.
    if (this.#isComplete) return first.length === 0 ? EMPTY_BODY : bytesBody(whole(first));
    const queue = new BodyQueue(this);
    this.#body = queue;
    for (const chunk of first) if (!queue.push(chunk)) this.#isPaused = true;
    return expectsContinue ? new ExpectedBody(queue, () => this.#socket.deliver(CONTINUE)) : queue;
  }

  #respond(request: Request, response: Response): void {
    if (this.#socket.destroyed) {
      this.#abort?.abort(new MeshError('INMESH_ABORTED', 'the caller is gone'));
      return;
    }
    this.#showEndpoint(request.context.upstreamHost);
    if (request.context.upgrade !== undefined) this.#settleUpgrade(response.tunnel);
    const caller = this.#carried;
    const writer = new ResponseWriter(this.#socket, (error) => {
      this.#writer = undefined;
      this.#abort = undefined;
      if (error !== undefined) this.#breakOff(request, caller, error);
    });
    this.#writer = writer;
    try {
      writer.write(response, request.method);
    } catch (error) {
      writer.cancel(error);
    }
  }

  /** Joins the caller with the tunnel, or goes back to HTTP when the endpoint did not agree. */
  #settleUpgrade(tunnel: Duplex | undefined): void {
    const early = this.#early;
    this.#early = [];
    if (tunnel === undefined) {
      this.#reader.noTunnel();
      this.resume();
      return;
    }
    const bridge = new Bridge(this.#socket, tunnel);
    this.#bridge = bridge;
    bridge.write(early, () => this.resume());
  }

  #fail(request: Request, cause: unknown): void {
    this.#abort = undefined;
    const error = httpError(cause, request);
    recordExchange(error, request);
    this.#socket.destroy(error);
  }

  /**
   * As when the server's connection fails in mid-body: the response gets `aborted`, ECONNRESET, with the mesh's account;
   * the request, too, an error that came from the network.
   */
  #breakOff(request: Request, caller: object | undefined, cause: unknown): void {
    const error = httpError(cause, request, 'in-answer');
    const ofNetwork = 'syscall' in error || isParserError(error);
    if (ofNetwork) recordExchange(error, request);
    const aborted = brokenOff(error);
    recordExchange(aborted, request);
    // Node makes an error without a cause when the socket closes, unless there is one by then.
    this.#socket.prependOnceListener('close', () => responseOf(caller)?.destroy(aborted));
    this.#socket.destroy(ofNetwork ? error : undefined);
  }

  #showEndpoint(address: string | undefined): void {
    if (address === undefined) return;
    const colon = address.lastIndexOf(':');
    const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
    this.#socket.remoteAddress = host;
    this.#socket.remotePort = Number(address.slice(colon + 1));
    this.#socket.remoteFamily = host.includes(':') ? 'IPv6' : 'IPv4';
  }
}

/** The response that a ClientRequest of Node's got: it is no part of the types, but of every version. */
function responseOf(caller: object | undefined): Readable | undefined {
  const response = caller !== undefined && 'res' in caller ? caller.res : undefined;
  return response instanceof Readable ? response : undefined;
}

/** A body whose writer waits for `100 Continue`: it is told when somebody reads it, not when the request arrives. */
class ExpectedBody implements PushBody {
  readonly kind = 'push';
  readonly #queue: BodyQueue;
  readonly #wanted: () => void;

  constructor(queue: BodyQueue, wanted: () => void) {
    this.#queue = queue;
    this.#wanted = wanted;
  }

  get used(): boolean {
    return this.#queue.used;
  }

  attach(sink: BodySink): BodyControl {
    const control = this.#queue.attach(sink);
    this.#wanted();
    return control;
  }
}

function readHeaders(lines: readonly string[]): { headers: HeaderMap; expectsContinue: boolean } {
  const spelled: string[] = [];
  const lower: string[] = [];
  let expectsContinue = false;
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] ?? '';
    const value = lines[i + 1] ?? '';
    const key = name.toLowerCase();
    if (key === 'expect') expectsContinue = /^100-continue$/i.test(value);
    if (HOP_BY_HOP.has(key)) continue;
    // Envoy: of `te` only `trailers` goes on.
    if (key === 'te' && !/\btrailers\b/i.test(value)) continue;
    spelled.push(name, key === 'te' ? 'trailers' : value);
    lower.push(key, key === 'te' ? 'trailers' : value);
  }
  return { headers: HeaderMap.fromSpelled(lower, spelled), expectsContinue };
}

function whole(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

function pairs(lines: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let i = 0; i < lines.length; i += 2) found.push([lines[i] ?? '', lines[i + 1] ?? '']);
  return found;
}
