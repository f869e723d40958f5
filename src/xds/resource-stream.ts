import type { core } from '../proto/xds.js';
import type { Clock, Timer } from '../runtime/clock.js';
import type { MeshError } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';
import { type Connection, createConnection } from './connection.js';
import type { DecodableType, Protocol, Received } from './protocol.js';
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
}

/** A protocol engine with the stream that carries it, opened again whenever it ends. */
export class ResourceStream {
  readonly #options: ResourceStreamOptions;
  readonly #connection: Connection;
  readonly #types = new Set<string>();
  readonly #withheld = new Map<string, Timer>();
  readonly #protocol: Protocol;
  #send: ((message: Uint8Array) => void) | undefined;
  #state: StreamState = 'connecting';
  #isStale = false;
  /** Whether the stream brought a response. */
  #isAnswered = false;

  constructor(options: ResourceStreamOptions) {
    this.#options = options;
    this.#protocol = options.createProtocol();
    const { open, method, clock, random, longestWaitMs } = options;
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
    this.#cancelWithheld();
  }

  #start(send: (message: Uint8Array) => void): void {
    this.#send = send;
    this.#isAnswered = false;
    const requests = this.#protocol.reconnect(this.#isStale);
    this.#isStale = false;
    for (const request of requests) send(request);
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
    this.#protocol.disconnect();
    this.#cancelWithheld();
    this.#state = 'disconnected';
    this.#options.listener.onState('disconnected', error, !this.#isAnswered);
    this.#isAnswered = false;
  }

  #withhold({ typeUrl, delayMs }: NonNullable<Received['withheld']>): void {
    this.#withheld.get(typeUrl)?.cancel();
    const resume = () => this.#transmit(this.#protocol.resume(typeUrl));
    this.#withheld.set(typeUrl, this.#options.clock.schedule(delayMs, resume));
  }

  #cancelWithheld(): void {
    for (const timer of this.#withheld.values()) timer.cancel();
    this.#withheld.clear();
  }

  #transmit(message: Uint8Array | undefined): void {
    if (message !== undefined) this.#send?.(message);
  }

  #setState(state: StreamState): void {
    this.#state = state;
    this.#options.listener.onState(state);
  }
}
