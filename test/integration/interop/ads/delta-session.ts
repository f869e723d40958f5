import { DeltaBook, type DeltaReading } from './delta-book.js';
import type { GrpcCall } from './grpc-stream.js';
import { STATUS } from './grpc-stream.js';
import { protoType } from './protos.js';
import type { Outgoing, Session, SessionTools, Wire } from './server.js';
import { type DeltaMessage, type Short, TYPE_URLS } from './types.js';
import type { Resource } from './world.js';

interface Subscription {
  readonly names: Set<string>;
  isWildcard: boolean;
  /** What the client was sent, or said that it holds, by name. */
  readonly sent: Map<string, string>;
}

const ORDER: readonly Short[] = ['CDS', 'EDS', 'LDS', 'RDS', 'SDS', 'RTDS'];

/** An incremental stream of a server that does as it should. */
export class DeltaSession implements Session {
  readonly call: GrpcCall;
  readonly #tools: SessionTools;
  readonly #book: DeltaBook;
  readonly #subscriptions = new Map<Short, Subscription>();

  constructor(call: GrpcCall, tools: SessionTools) {
    this.call = call;
    this.#tools = tools;
    this.#book = new DeltaBook(tools.referee);
  }

  onMessage(message: Buffer): void {
    let request: DeltaMessage;
    try {
      // The type has these fields; protobufjs gives absent ones their defaults.
      request = protoType('envoy.service.discovery.v3.DeltaDiscoveryRequest').decode(message) as DeltaMessage;
    } catch (error) {
      this.#tools.referee.blame('requests can be decoded', '', String(error));
      this.call.end(STATUS.INVALID_ARGUMENT);
      return;
    }
    const reading = this.#book.read(request);
    if (reading !== undefined) this.#answer(reading);
  }

  onEnd(): void {}

  unanswered(): readonly string[] {
    return this.#book.unanswered();
  }

  push(): void {
    for (const type of ORDER) this.#pushType(type, new Set());
  }

  #answer(reading: DeltaReading): void {
    const { type } = reading;
    let subscription = this.#subscriptions.get(type);
    const isFirst = subscription === undefined;
    if (subscription === undefined) {
      subscription = { names: new Set(), isWildcard: false, sent: new Map(reading.initial) };
      this.#subscriptions.set(type, subscription);
    }
    subscription.isWildcard = reading.isWildcard;
    for (const name of reading.unsubscribed) {
      subscription.names.delete(name);
      if (!reading.isWildcard) subscription.sent.delete(name);
    }
    const asked = new Set(reading.subscribed);
    for (const name of asked) subscription.names.add(name);
    // xDS: what is subscribed to is answered, unless the client said in the same request that it has it.
    if (!isFirst) for (const name of asked) subscription.sent.delete(name);
    if (reading.answer === 'nack') {
      if (!this.#tools.resendsOnNack()) return;
      for (const name of subscription.sent.keys()) subscription.sent.delete(name);
    }
    if (isFirst || asked.size > 0 || reading.isNewWildcard || reading.answer === 'nack') {
      this.#pushType(type, asked, isFirst && reading.isWildcard);
    }
  }

  #pushType(type: Short, asked: ReadonlySet<string>, isDue = false): void {
    const subscription = this.#subscriptions.get(type);
    if (subscription === undefined) return;
    const { names, isWildcard, sent } = subscription;
    const wanted = this.#tools.world.wanted(type, isWildcard ? undefined : names);
    const changed = wanted.filter(({ name, version }) => sent.get(name) !== version);
    const there = new Set(wanted.map(({ name }) => name));
    const removed = [...new Set([...sent.keys(), ...asked])].filter((name) => !there.has(name));
    if (changed.length + removed.length === 0 && !isDue) return;
    for (const { name, version } of changed) sent.set(name, version);
    for (const name of removed) sent.delete(name);
    const response = {
      type,
      version: this.#tools.world.version(type),
      nonce: this.#tools.nonce(),
      resources: changed,
      removed,
    };
    this.#tools.hostility()(response, this.#wire());
  }

  #wire(): Wire {
    const expect: Wire['expect'] = ({ type, nonce, removed, resources }, verdict = 'ack') => {
      const versions = new Map(resources.map(({ name, version }) => [name, version]));
      this.#book.sent(type, { nonce, verdict, versions, removed });
    };
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

function encode({ type, typeUrl = TYPE_URLS[type], ...response }: Outgoing): Uint8Array {
  const { version, nonce, resources, removed } = response;
  return protoType('envoy.service.discovery.v3.DeltaDiscoveryResponse')
    .encode({
      type_url: typeUrl,
      system_version_info: version,
      nonce,
      resources: resources.map(wrapped),
      removed_resources: removed,
    })
    .finish();
}

function wrapped({ name, version, any }: Resource): object {
  return { name, version, resource: any };
}
