import type { GrpcCall } from './grpc-stream.js';
import { STATUS } from './grpc-stream.js';
import { protoType } from './protos.js';
import type { Outgoing, Session, SessionTools, Wire } from './server.js';
import { SotwBook, type SotwReading } from './sotw-book.js';
import { type Short, type SotwMessage, TYPE_URLS } from './types.js';
import { changedSince, type Resource } from './world.js';

interface Subscription {
  names: ReadonlySet<string> | undefined;
  version: string;
  /** What was sent on this stream, by name. */
  readonly sent: Map<string, string>;
}

/** The order in which changes go out (xDS: make before break). */
const ORDER: readonly Short[] = ['CDS', 'EDS', 'LDS', 'RDS', 'SDS', 'RTDS'];

/** A state-of-the-world stream of a server that does as it should. */
export class SotwSession implements Session {
  readonly call: GrpcCall;
  readonly #tools: SessionTools;
  readonly #book: SotwBook;
  readonly #subscriptions = new Map<Short, Subscription>();

  constructor(call: GrpcCall, tools: SessionTools) {
    this.call = call;
    this.#tools = tools;
    this.#book = new SotwBook(tools.referee);
  }

  onMessage(message: Buffer): void {
    let request: SotwMessage;
    try {
      // The type has these fields; protobufjs gives absent ones their defaults.
      request = protoType('envoy.service.discovery.v3.DiscoveryRequest').decode(message) as SotwMessage;
    } catch (error) {
      this.#tools.referee.blame('requests can be decoded', '', String(error));
      this.call.end(STATUS.INVALID_ARGUMENT);
      return;
    }
    const reading = this.#book.read(request);
    if (reading !== undefined) this.#answer(reading);
  }

  onEnd(): void {
    this.#book.end();
  }

  unanswered(): readonly string[] {
    return this.#book.unanswered();
  }

  push(): void {
    const { world } = this.#tools;
    for (const type of ORDER) {
      const subscription = this.#subscriptions.get(type);
      if (subscription === undefined || subscription.version === world.version(type)) continue;
      const wanted = world.wanted(type, subscription.names);
      this.#send(type, changedSince(type, wanted, subscription.sent));
    }
  }

  #answer({ type, names, added, answer, isFirst, isStale, version }: SotwReading): void {
    const { world } = this.#tools;
    const subscription = this.#subscriptions.get(type) ?? { names, version: '', sent: new Map() };
    this.#subscriptions.set(type, subscription);
    subscription.names = names;
    if (isFirst) {
      // As go-control-plane: who is up to date waits for the next change.
      if (version !== '' && version === world.version(type)) subscription.version = version;
      else this.#send(type, world.wanted(type, names));
      return;
    }
    if (answer === 'nack' && this.#tools.resendsOnNack()) {
      this.#send(type, world.wanted(type, names));
      return;
    }
    // A response that the client has not answered yet may already have what it wants.
    if (isStale && added !== 'all' && added.size === 0) return;
    const news = added === 'all' ? undefined : added;
    if (news !== undefined && news.size === 0) return;
    const isAll = news === undefined || type === 'LDS' || type === 'CDS';
    const wanted = world.wanted(type, isAll ? names : news);
    if (isAll || wanted.length > 0) this.#send(type, wanted);
  }

  #send(type: Short, resources: readonly Resource[]): void {
    const { world, nonce, hostility } = this.#tools;
    const subscription = this.#subscriptions.get(type);
    if (subscription === undefined) return;
    subscription.version = world.version(type);
    for (const { name, version } of resources) subscription.sent.set(name, version);
    const response = { type, version: subscription.version, nonce: nonce(), resources, removed: [] };
    hostility()(response, this.#wire());
  }

  #wire(): Wire {
    const expect: Wire['expect'] = ({ type, nonce, version }, verdict = 'ack') =>
      this.#book.sent(type, nonce, version, verdict);
    return {
      call: this.call,
      nonce: this.#tools.nonce,
      encode,
      expect,
      send: (response, verdict) => {
        expect(response, verdict);
        this.call.send(encode(response));
      },
    };
  }
}

function encode({ type, typeUrl = TYPE_URLS[type], version, nonce, resources }: Outgoing): Uint8Array {
  return protoType('envoy.service.discovery.v3.DiscoveryResponse')
    .encode({
      type_url: typeUrl,
      version_info: version,
      nonce,
      resources: resources.map(({ any }) => any),
    })
    .finish();
}
