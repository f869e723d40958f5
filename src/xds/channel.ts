import { isOurs, isOursAlone } from '../model/control-plane-name.js';
import type { core } from '../proto/xds.js';
import type { Clock } from '../runtime/clock.js';
import type { MeshError } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';
import { isLoopback } from './channel-credentials.js';
import type { ProtocolKind } from './engine.js';
import type { DecodableType, Protocol, Received } from './protocol.js';
import { ResourceStream, type StreamState } from './resource-stream.js';
import type { XdsServer } from './server.js';
import { isDeltaOnly, methodOf } from './service-methods.js';
import { createStreamOpener, type OpenStream } from './stream.js';

/** On one machine there is no herd to hold back, and without any configuration nothing works: retries stay close. */
const CLOSE_RETRY_MS = 1000;

/** What a channel works with. */
export interface ChannelOptions {
  readonly server: XdsServer;
  readonly node: core.Node;
  readonly createProtocol: (node: core.Node, kind: ProtocolKind) => Protocol;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether nothing works before this server answers. */
  readonly isUrgent: () => boolean;
  readonly openStream: ((server: XdsServer) => OpenStream) | undefined;
  readonly onState: (error: MeshError | undefined) => void;
  readonly onReceived: (received: Received) => void;
}

/** All that goes to one server: one stream for everything, or one for each type. */
export class Channel {
  readonly server: XdsServer;
  readonly open: OpenStream;
  readonly #options: ChannelOptions;
  readonly #streams = new Map<string, ResourceStream>();
  #node: core.Node;
  #isFailing = false;
  /**
   * Whether the server said that it is ours. That stays with its address: a new stream to it may bring nothing that
   * tells it again.
   */
  #isOurs = false;
  /** By type, with the names that are for our servers alone. */
  readonly #ofOurs = new Map<DecodableType, ReadonlySet<string>>();

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.server = options.server;
    this.#node = options.node;
    const { target, credentials, keepaliveMs } = options.server;
    this.open =
      options.openStream?.(options.server) ??
      createStreamOpener({ target, credentials, keepaliveMs, clock: options.clock });
    if (this.server.streams === 'aggregated') this.#stream('');
  }

  /** The worst of its streams. */
  get state(): StreamState {
    let worst: StreamState = this.#streams.size === 0 ? 'connecting' : 'connected';
    for (const { state } of this.#streams.values()) {
      if (state === 'disconnected') return 'disconnected';
      if (state === 'connecting') worst = 'connecting';
    }
    return worst;
  }

  /** Whether the last stream ended without a response, and none came since (gRFC A71). */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** Whether the stream that carries a type stands. */
  isReady(typeUrl: string): boolean {
    return this.#streams.get(this.#keyOf(typeUrl))?.state === 'connected';
  }

  subscribe(type: DecodableType, names: ReadonlySet<string>): void {
    this.#ofOurs.delete(type);
    for (const name of names) {
      if (!isOursAlone(name)) continue;
      this.#ofOurs.set(type, names);
      break;
    }
    this.#ask(type, names);
  }

  setNode(node: core.Node): void {
    this.#node = node;
    for (const stream of this.#streams.values()) stream.setNode(node);
  }

  refresh(typeUrl: string): void {
    this.#streams.get(this.#keyOf(typeUrl))?.refresh(typeUrl);
  }

  /** Another server's data took the place of this one's. */
  forget(): void {
    for (const stream of this.#streams.values()) stream.forget();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#streams.values()].map((stream) => stream.close()));
  }

  #ask(type: DecodableType, wanted: ReadonlySet<string>): void {
    const isWhole = this.#isOurs || !this.#ofOurs.has(type);
    const names = isWhole ? wanted : new Set([...wanted].filter((name) => !isOursAlone(name)));
    const key = this.#keyOf(type.typeUrl);
    if (!this.#streams.has(key) && names.size === 0) return;
    this.#stream(key).subscribe(type, names);
  }

  #hear(identifier: string | undefined): void {
    const before = this.#isOurs;
    this.#isOurs = isOurs(identifier);
    if (this.#isOurs !== before) for (const [type, names] of this.#ofOurs) this.#ask(type, names);
  }

  /** The variant that carries a type. */
  #variantOf(typeUrl: string): ProtocolKind {
    return isDeltaOnly(typeUrl) ? 'delta' : this.server.protocol;
  }

  /**
   * Types without a service of their own share the aggregated stream; what state of the world can't carry has a stream
   * of its own next to it.
   */
  #keyOf(typeUrl: string): string {
    const variant = this.#variantOf(typeUrl);
    const isSeparate =
      variant !== this.server.protocol ||
      (this.server.streams === 'separate' && methodOf(typeUrl, variant) !== undefined);
    return isSeparate ? typeUrl : '';
  }

  #stream(key: string): ResourceStream {
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      stream = this.#createStream(key);
      this.#streams.set(key, stream);
    }
    return stream;
  }

  #createStream(key: string): ResourceStream {
    const variant = key === '' ? this.server.protocol : this.#variantOf(key);
    const { clock, random, createProtocol, isUrgent, onReceived, onState, server } = this.#options;
    const isNear = isLoopback(server.target);
    return new ResourceStream({
      open: this.open,
      method: key === '' ? undefined : methodOf(key, variant),
      createProtocol: () => createProtocol(this.#node, variant),
      clock,
      random,
      requestRate: server.requestRate,
      longestWaitMs: () => (isNear || isUrgent() ? CLOSE_RETRY_MS : Number.POSITIVE_INFINITY),
      listener: {
        onState: (_, error, isFailure) => {
          if (isFailure === true) this.#isFailing = true;
          onState(error);
        },
        onReceived: (received) => {
          this.#isFailing = false;
          this.#hear(received.server);
          onReceived(received);
        },
      },
    });
  }
}
