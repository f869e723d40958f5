import type { core } from '../proto/xds.js';
import type { Clock, Timer } from '../runtime/clock.js';
import type { MeshError } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';
import { type Connection, createConnection } from './connection.js';
import type { DecodableType, Protocol, Received } from './protocol.js';
import { RequestGate, type RequestRate } from './request-gate.js';
import type { OpenStream } from './stream.js';

/** How a stream is, or a server with all its streams. */
export type StreamState = 'connecting' | 'connected' | 'disconnected';

/** Hears what comes of a stream. */
export interface ResourceStreamListener {
  /** The error tells why the last attempt ended; `isFailure`: it ended without any response. */
  onState(state: StreamState, error?: MeshError, isFailure?: boolean): void;
  /** Takes what a response says; the reply is sent after that. */
  onReceived(received: Received): void;
}

/** What a stream of resources works with. */
export interface ResourceStreamOptions {
  readonly open: OpenStream;
  /** Path of the gRPC method; default: the engine's. */
  readonly method: string | undefined;
  readonly createProtocol: () => Protocol;
  readonly listener: ResourceStreamListener;
  readonly clock: Clock;
  readonly random: Random;
  readonly longestWaitMs: () => number;
  /** How many requests may be sent; undefined = any number. */
  readonly requestRate?: RequestRate | undefined;
}

/** A protocol engine with the stream that carries it, opened again whenever it ends. */
export class ResourceStream {
  readonly #options: ResourceStreamOptions;
  readonly #connection: Connection;
  readonly #types = new Set<string>();
  readonly #withheld = new Map<string, Timer>();
  readonly #protocol: Protocol;
  /** With it every type is paused for good, and what is due is asked for by the gate. */
  readonly #gate: RequestGate | undefined;
  #send: ((message: Uint8Array) => void) | undefined;
  #state: StreamState = 'connecting';
  #isStale = false;
  /** Whether the stream brought a response. */
  #isAnswered = false;

  constructor(options: ResourceStreamOptions) {
    this.#options = options;
    this.#protocol = options.createProtocol();
    const { open, method, clock, random, longestWaitMs, requestRate: rate } = options;
    this.#gate = rate && this.#createGate(rate);
    this.#connection = createConnection({
      open,
      method: method ?? this.#protocol.method,
      clock,
      random,
      longestWaitMs,
      listener: {
        onConnecting: () => this.#setState('connecting'),
        onStream: (send) => this.#start(send),
        onReady: () => this.#setState('connected'),
        onMessage: (message) => this.#take(message),
        onLost: (error) => this.#lost(error),
      },
    });
  }

  get state(): StreamState {
    return this.#state;
  }

  subscribe(type: DecodableType, names: ReadonlySet<string>): void {
    this.#types.add(type.typeUrl);
    if (this.#gate !== undefined) this.#protocol.pause(type.typeUrl);
    this.#transmit(this.#protocol.subscribe(type, names));
  }

  setNode(node: core.Node): void {
    this.#transmit(this.#protocol.setNode(node));
  }

  /** Asks for everything of a type again. */
  refresh(typeUrl: string): void {
    this.#transmit(this.#protocol.refresh(typeUrl));
  }

  /** Another server's data took the place of this one's: what was acknowledged here stands for nothing any more. */
  forget(): void {
    if (this.#send === undefined) this.#isStale = true;
    else for (const typeUrl of this.#types) this.#transmit(this.#protocol.refresh(typeUrl, true));
  }

  async close(): Promise<void> {
    await this.#connection.close();
    this.#send = undefined;
    this.#gate?.clear();
    this.#cancelWithheld();
  }

  #start(send: (message: Uint8Array) => void): void {
    this.#send = send;
    this.#isAnswered = false;
    const requests = this.#protocol.reconnect(this.#isStale);
    this.#isStale = false;
    for (const request of requests) this.#transmit(request);
    this.#gate?.pump();
  }

  *#take(message: Uint8Array): Generator<void, void> {
    const received = yield* this.#protocol.receive(message);
    this.#isAnswered = true;
    this.#options.listener.onReceived(received);
    this.#transmit(received.reply);
    if (received.withheld !== undefined) this.#withhold(received.withheld);
  }

  #lost(error: MeshError): void {
    this.#send = undefined;
    this.#gate?.clear();
    this.#protocol.disconnect();
    this.#cancelWithheld();
    this.#state = 'disconnected';
    this.#options.listener.onState('disconnected', error, !this.#isAnswered);
    this.#isAnswered = false;
  }

  #withhold({ typeUrl, delayMs }: NonNullable<Received['withheld']>): void {
    this.#withheld.get(typeUrl)?.cancel();
    const resume = () => {
      const request = this.#protocol.resume(typeUrl);
      if (this.#gate !== undefined) this.#protocol.pause(typeUrl);
      this.#transmit(request);
    };
    this.#withheld.set(typeUrl, this.#options.clock.schedule(delayMs, resume));
  }

  #cancelWithheld(): void {
    for (const timer of this.#withheld.values()) timer.cancel();
    this.#withheld.clear();
  }

  #transmit(message: Uint8Array | undefined): void {
    if (this.#send === undefined) return;
    if (this.#gate === undefined) {
      if (message !== undefined) this.#send(message);
    } else if (message === undefined) this.#gate.pump();
    else this.#gate.push(message);
  }

  #createGate(rate: RequestRate): RequestGate {
    return new RequestGate({
      rate,
      clock: this.#options.clock,
      send: (message) => this.#send?.(message),
      next: () => {
        for (const typeUrl of this.#types) {
          const request = this.#protocol.release(typeUrl);
          if (request !== undefined) return request;
        }
        return undefined;
      },
    });
  }

  #setState(state: StreamState): void {
    this.#state = state;
    this.#options.listener.onState(state);
  }
}
