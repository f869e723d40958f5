import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { encodeNode } from '../../../../src/codec/node.js';
import { ClientSession } from '../../../../src/control-plane/serve/client-session.js';
import {
  type Conversation,
  DeltaConversation,
  SotwConversation,
} from '../../../../src/control-plane/serve/conversation.js';
import { type ServedType, servedType } from '../../../../src/control-plane/serve/resources.js';
import { discovery, rpc } from '../../../../src/proto/xds.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { nodeOf } from '../compile/mesh.js';
import type { World } from './world.js';

export type ProtocolName = 'state of the world' | 'delta';

/** What a client holds and asks for of one type. */
export class Holding {
  readonly held = new Map<string, string>();
  readonly absent = new Set<string>();
  readonly versions = new Map<string, string>();
  /** `*` is a name of its own. */
  names = new Set<string>();
  nonce = '';
  version = '';
  isOpen = false;
  responses = 0;

  wants(name: string): boolean {
    return this.names.has('*') || this.names.has(name);
  }
}

/**
 * A client by the text of the protocol, over a session without sockets: messages wait in both directions until a test
 * delivers them. It refuses responses with a bad resource as a whole, as Envoy does, or takes the good ones, as gRPC.
 */
export class ModelClient {
  readonly toServer: Uint8Array[] = [];
  readonly toClient: Uint8Array[] = [];
  readonly holdings = new Map<string, Holding>();
  session: ClientSession | undefined;
  /** How many more messages the client's window takes. */
  window = Number.POSITIVE_INFINITY;
  onApplied: () => void = () => {};
  node = nodeOf();
  #isNodeDue = true;

  constructor(
    readonly world: World,
    readonly protocol: ProtocolName,
    readonly isLenient = false,
  ) {}

  holding({ typeUrl }: Pick<ServedType, 'typeUrl'>): Holding {
    let holding = this.holdings.get(typeUrl);
    if (holding === undefined) {
      holding = new Holding();
      this.holdings.set(typeUrl, holding);
    }
    return holding;
  }

  connect(): void {
    const { world } = this;
    const conversation: Conversation =
      this.protocol === 'delta' ? new DeltaConversation(world.tables) : new SotwConversation(world.tables);
    const session: ClientSession = new ClientSession({
      conversation,
      snapshots: world.tables.snapshots,
      state: () => world.published,
      clock: world.clock,
      logger: silentLogger,
      onNode: () => {},
      write: (message) => {
        this.toClient.push(Buffer.concat(message));
        return --this.window > 0;
      },
      holdsBack: () => false,
      wake: () => session.push(),
    });
    this.session = session;
    this.#isNodeDue = true;
    world.sessions.add(session);
    for (const [typeUrl, holding] of this.holdings) {
      holding.nonce = '';
      holding.isOpen = false;
      if (holding.names.size > 0) this.#open(typeUrl, holding);
    }
  }

  drop(): void {
    if (this.session === undefined) return;
    this.session.close();
    this.world.sessions.delete(this.session);
    this.session = undefined;
    this.toServer.length = 0;
    this.toClient.length = 0;
    for (const holding of this.holdings.values()) holding.isOpen = false;
  }

  subscribe(type: ServedType, names: Iterable<string>): void {
    const holding = this.holding(type);
    const before = holding.names;
    holding.names = new Set(names);
    for (const name of holding.held.keys()) if (!holding.wants(name)) holding.held.delete(name);
    for (const name of holding.absent) if (!holding.wants(name)) holding.absent.delete(name);
    if (this.session === undefined) return;
    if (!holding.isOpen) {
      if (holding.names.size > 0) this.#open(type.typeUrl, holding);
    } else if (this.protocol === 'delta') {
      const added = [...holding.names].filter((name) => !before.has(name));
      const removed = [...before].filter((name) => !holding.names.has(name));
      if (added.length + removed.length > 0) this.#delta(type.typeUrl, { added, removed });
    } else this.#sotw(type.typeUrl, holding, undefined);
  }

  /** One message reaches the server. */
  up(): boolean {
    const bytes = this.toServer.shift();
    if (bytes === undefined) return false;
    if (this.session?.receive(bytes) === true) this.session.push();
    return true;
  }

  /** One message reaches the client. */
  down(): boolean {
    const bytes = this.toClient.shift();
    if (bytes === undefined) return false;
    if (this.protocol === 'delta') this.#takeDelta(bytes);
    else this.#takeSotw(bytes);
    this.onApplied();
    return true;
  }

  /** The client reads on. */
  writable(): void {
    this.session?.writable();
    if (this.session?.isBlocked === false) this.session.push();
  }

  /** Delivers everything that there is. */
  rest(): void {
    for (let turn = 0; turn < 2_000; turn++) {
      const moved = [this.up(), this.down()].includes(true);
      if (moved) continue;
      if (this.session?.isBlocked !== true) return;
      this.window = Number.POSITIVE_INFINITY;
      this.writable();
    }
    throw new Error('client and server never come to rest');
  }

  #open(typeUrl: string, holding: Holding): void {
    holding.isOpen = true;
    if (this.protocol === 'delta') this.#delta(typeUrl, { added: [...holding.names], removed: [] }, holding);
    else this.#sotw(typeUrl, holding, undefined);
  }

  #sotw(typeUrl: string, holding: Holding, error: string | undefined): void {
    const message = create(discovery.DiscoveryRequestSchema, {
      typeUrl,
      resourceNames: [...holding.names],
      responseNonce: holding.nonce,
      versionInfo: holding.version,
    });
    if (this.#isNodeDue) message.node = encodeNode(this.node);
    this.#isNodeDue = false;
    if (error !== undefined) message.errorDetail = create(rpc.StatusSchema, { code: 13, message: error });
    this.toServer.push(toBinary(discovery.DiscoveryRequestSchema, message));
  }

  #delta(
    typeUrl: string,
    change: { added: string[]; removed: string[] },
    initial?: Holding,
    answer?: { nonce: string; error: string | undefined },
  ): void {
    const message = create(discovery.DeltaDiscoveryRequestSchema, {
      typeUrl,
      resourceNamesSubscribe: change.added,
      resourceNamesUnsubscribe: change.removed,
      responseNonce: answer?.nonce ?? '',
    });
    if (initial !== undefined) {
      for (const name of initial.held.keys())
        message.initialResourceVersions[name] = initial.versions.get(name) ?? '';
    }
    if (this.#isNodeDue) message.node = encodeNode(this.node);
    this.#isNodeDue = false;
    if (answer?.error !== undefined)
      message.errorDetail = create(rpc.StatusSchema, { code: 13, message: answer.error });
    this.toServer.push(toBinary(discovery.DeltaDiscoveryRequestSchema, message));
  }

  #takeSotw(bytes: Uint8Array): void {
    const response = fromBinary(discovery.DiscoveryResponseSchema, bytes);
    const type = typeOf(response.typeUrl);
    const holding = this.holding(type);
    const found = new Map(
      response.resources.map(({ value }) => [this.world.nameOf(type, value), text(value)]),
    );
    holding.nonce = response.nonce;
    holding.responses++;
    const bad = [...found].filter(([, value]) => this.world.isBad(value));
    if (bad.length === 0 || this.isLenient) {
      for (const [name, value] of found) {
        if (holding.wants(name) && !this.world.isBad(value)) holding.held.set(name, value);
      }
      if (type.complete)
        for (const name of holding.held.keys()) if (!found.has(name)) holding.held.delete(name);
    }
    if (bad.length === 0) holding.version = response.versionInfo;
    this.#sotw(response.typeUrl, holding, complaint(bad));
  }

  #takeDelta(bytes: Uint8Array): void {
    const response = fromBinary(discovery.DeltaDiscoveryResponseSchema, bytes);
    const type = typeOf(response.typeUrl);
    const holding = this.holding(type);
    holding.responses++;
    const bad: [string, string][] = [];
    for (const { resource } of response.resources) {
      const value = text(resource?.value ?? new Uint8Array());
      if (this.world.isBad(value))
        bad.push([this.world.nameOf(type, resource?.value ?? new Uint8Array()), value]);
    }
    if (bad.length === 0 || this.isLenient) this.#applyDelta(type, holding, response);
    this.#delta(response.typeUrl, { added: [], removed: [] }, undefined, {
      nonce: response.nonce,
      error: complaint(bad),
    });
  }

  #applyDelta(type: ServedType, holding: Holding, response: discovery.DeltaDiscoveryResponse): void {
    for (const { name, version, resource } of response.resources) {
      const value = text(resource?.value ?? new Uint8Array());
      if (this.world.nameOf(type, resource?.value ?? new Uint8Array()) !== name)
        throw new Error(`named ${name}, but is another`);
      if (!holding.wants(name) || this.world.isBad(value)) continue;
      holding.held.set(name, value);
      holding.versions.set(name, version);
      holding.absent.delete(name);
    }
    for (const name of response.removedResources) {
      holding.held.delete(name);
      if (holding.names.has(name)) holding.absent.add(name);
    }
  }
}

function complaint(bad: readonly (readonly [string, string])[]): string | undefined {
  return bad.length === 0 ? undefined : `bad: ${bad.map(([name]) => name).join(', ')}`;
}

function typeOf(typeUrl: string): ServedType {
  const type = servedType(typeUrl);
  if (type === undefined) throw new Error(typeUrl);
  return type;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
