import { decodeNode } from '../../codec/node.js';
import type { Node } from '../../model/node.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { Logger } from '../../runtime/log.js';
import type { Steps } from '../../runtime/steps.js';
import type { ResourceSet } from '../resources/resource-set.js';
import type { CallerIdentity } from './caller.js';
import type { Channel, Outgoing } from './channel.js';
import { broken, type Conversation } from './conversation.js';
import type { EncodedResource } from './encoded-resource.js';
import type { Ledger, Target } from './ledger.js';
import type { Plan } from './plan.js';
import { Progress } from './progress.js';
import type { ResourceTtls } from './resource-ttls.js';
import { SERVED_TYPES, type ServedType, servedType } from './resources.js';
import { channelStatus, type TypeStatus } from './status.js';
import type { SnapshotTable } from './type-snapshot.js';

/** The configuration that all clients are brought to. */
export interface PublishedState {
  /** Revision of the documents that it was compiled from. */
  readonly revision: number;
  /** What a node receives whose connection proved to be the caller's, if anybody's. */
  readonly resourcesFor: (node: Node, caller: CallerIdentity | undefined) => ResourceSet;
  /** The same with pauses, where it may take long. */
  readonly stepsFor?: (node: Node, caller: CallerIdentity | undefined) => Steps<ResourceSet>;
}

/** What a session works with. */
export interface SessionTools {
  readonly conversation: Conversation;
  readonly snapshots: SnapshotTable;
  /** Set on the stream of a service for one type. */
  readonly only?: ServedType | undefined;
  readonly state: () => PublishedState;
  readonly caller?: CallerIdentity | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The client named itself, or changed what it says of itself. Throws when it may not. */
  readonly onNode: (node: Node) => void;
  /** The client says how it is (Istio's HealthInformation): an error is what is wrong with it. */
  readonly onHealth?: (error: string | undefined) => void;
  /** Puts a message on the wire; false asks to wait for `writable`. */
  readonly write: (message: Outgoing) => boolean;
  /** True while a client that had configuration before must not get less than it had (after our restart). */
  readonly holdsBack: () => boolean;
  /** Something may be due that was not when the session was looked at last. */
  readonly wake: () => void;
  /** How long resources count for clients that keep time. */
  readonly ttls?: ResourceTtls | undefined;
  /** The streams of the same client for other types. */
  readonly siblings?: () => readonly ClientSession[];
}

const ALONE = (): readonly ClientSession[] => [];
const NOTHING_OWN: ReadonlyMap<string, EncodedResource> = new Map();

/** Istio: what agents tell of the workloads that they probe. */
const HEALTH_TYPE = 'type.googleapis.com/istio.v1.HealthInformation';

const WORST: readonly TypeStatus['state'][] = ['NACKED', 'STALE', 'NOT SENT', 'SYNCED'];

/** So often one preparation stops for something newer. */
const MAX_OVERTAKEN = 3;

/** How long a change waits for the answer to what must come before it. */
const ORDER_WAIT_MS = 5_000;

/**
 * One stream, without its socket. A slow client is never sent an overtaken state: what is due is worked out when it can
 * take it.
 */
export class ClientSession {
  readonly #tools: SessionTools;
  readonly #queue: Outgoing[] = [];
  readonly #progress = new Progress();
  /** What the published state has for the node; found again while neither changes. */
  #set:
    | { readonly published: PublishedState; readonly node: Node; readonly resources: ResourceSet }
    | undefined;
  /** State of which everything has been sent. */
  #caughtUpWith: PublishedState | undefined;
  #node: Node | undefined;
  #sequence = 0;
  #blocked = false;
  #isReturning = false;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #waiting: Timer | undefined;
  #keepsTime = false;
  #heartbeat: Timer | undefined;

  constructor(tools: SessionTools) {
    this.#tools = tools;
  }

  get node(): Node | undefined {
    return this.#node;
  }

  /** Whether it waits for the client to read. */
  get isBlocked(): boolean {
    return this.#blocked;
  }

  /**
   * Takes one request; what follows from it goes out with the next `push`. False when nothing can follow.
   * @throws MeshError `INMESH_XDS_DECODE` when it breaks the protocol: the stream must end.
   */
  receive(bytes: Uint8Array): boolean {
    const { conversation, only, logger, clock } = this.#tools;
    this.#heardAtMs = clock.now();
    const request = conversation.read(bytes);
    if (request.node !== undefined) {
      this.#named(decodeNode(request.node));
      this.#keepsTime = keepsTime(conversation, request.node.clientFeatures);
    }
    if (this.#node === undefined) throw broken('the first request of a stream must carry the node');
    const type = request.typeUrl === '' && only !== undefined ? only : servedType(request.typeUrl);
    if (only !== undefined && type !== only) throw broken(`this service serves ${only.typeUrl} only`);
    if (request.typeUrl === HEALTH_TYPE) {
      this.#tools.onHealth?.(request.error);
      return request.node !== undefined;
    }
    if (type === undefined) {
      // A client may ask for types that this server does not have; silence is the protocol's answer.
      logger.debug({ client: this.#node.id, type: request.typeUrl }, 'type is not served');
      return request.node !== undefined;
    }
    if (request.isReturning) this.#isReturning = true;
    const outcome = request.apply(type, clock.wallTime());
    const { error } = request;
    if (outcome === 'nack')
      logger.warn({ client: this.#node.id, type: type.short, error }, 'a client refused configuration');
    // Most requests only accept what a client has been sent.
    const channel = conversation.channel(type);
    const isQuiet = outcome === 'ack' && channel?.hasNews === false && request.node === undefined;
    return !(isQuiet && this.#caughtUpWith === this.#tools.state());
  }

  /**
   * Finds and encodes what the next push may need, with pauses. Stops where a newer state is published, and begins with
   * that: but not for ever, that a client hears something when there is always something new.
   */
  *prepare(): Steps<void> {
    if (this.#blocked || this.#node === undefined) return;
    const { state } = this.#tools;
    for (let left = MAX_OVERTAKEN; left >= 0; left--) {
      const published = state();
      const steps = this.#prepareFor(published, this.#node);
      while (steps.next().done !== true) {
        yield;
        if (left > 0 && state() !== published) break;
      }
      if (state() === published) return;
    }
  }

  *#prepareFor(published: PublishedState, node: Node): Steps<void> {
    if (this.#set?.published !== published || this.#set.node !== node) {
      const steps = published.stepsFor?.(node, this.#tools.caller);
      if (steps !== undefined) this.#set = { published, node, resources: yield* steps };
    }
    const set = this.#setFrom(published, node);
    for (const { ledger } of this.#tools.conversation.channels)
      yield* this.#tools.snapshots.of(ledger.type, set).warm(ledger.interest);
  }

  /** Sends whatever is due, in the order that makes before it breaks. */
  push(): void {
    for (const earlier of this.#earlierSiblings()) earlier.#pushOwn();
    this.#pushOwn();
  }

  /** Whether something waits that another stream of the client may set free. */
  get isHeldBack(): boolean {
    return this.#caughtUpWith !== this.#tools.state();
  }

  #pushOwn(): void {
    if (this.#blocked || this.#node === undefined || !this.#flush()) return;
    if (this.#isReturning && this.#tools.holdsBack()) return;
    this.#waiting?.cancel();
    const { conversation, state } = this.#tools;
    const published = state();
    const set = this.#setFrom(published, this.#node);
    let isComplete = true;
    for (const type of SERVED_TYPES) {
      const channel = conversation.channel(type);
      if (channel !== undefined) isComplete = this.#pushType(channel, set) && isComplete;
    }
    if (isComplete) this.#progress.reached(published.revision, this.#sequence);
    this.#caughtUpWith = isComplete ? published : undefined;
    this.#flush();
    this.#keepAlive();
  }

  /** Sends heartbeats from now on, if anything that the client has ends without them. */
  #keepAlive(): void {
    const { ttls, clock } = this.#tools;
    if (!this.#keepsTime || ttls === undefined || this.#heartbeat !== undefined) return;
    // What a client has brought may be about to end.
    this.#heartbeat = clock.schedule(this.#isReturning ? 0 : ttls.heartbeatMs, () => this.#beat(ttls));
  }

  #beat(ttls: ResourceTtls): void {
    const { conversation, clock } = this.#tools;
    this.#heartbeat = clock.schedule(ttls.heartbeatMs, () => this.#beat(ttls));
    if (this.#blocked) return;
    const tools = { sequence: () => ++this.#sequence, nowMs: clock.now() };
    for (const channel of conversation.channels) {
      const ttlMs = ttls.of(channel.ledger.type);
      if (ttlMs !== undefined) this.#queue.push(...channel.heartbeat(ttlMs, tools));
    }
    this.#flush();
  }

  /** The client takes data again: what waits goes out. */
  writable(): void {
    this.#blocked = false;
    this.#flush();
  }

  /** The newest revision that the client accepted everything of; -1 when there is none. */
  get applied(): number {
    return this.#progress.applied(this.#tools.conversation.channels);
  }

  /** Whether something that it asked for has not been sent, or not been answered; `applied` tells nothing of that. */
  get owes(): boolean {
    for (const { hasNews, ledger } of this.#tools.conversation.channels)
      if (hasNews || ledger.outstanding.length > 0) return true;
    return false;
  }

  /** When the client said something last, in milliseconds of the clock. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** What the client has and asks for. */
  get channels(): Iterable<Channel> {
    return this.#tools.conversation.channels;
  }

  /** What the client should have of each type by a state; nothing of it is sent. */
  *wanted(
    published: PublishedState,
  ): Generator<readonly [Ledger, Plan, ReadonlyMap<string, EncodedResource>]> {
    if (this.#node === undefined) return;
    const set = published.resourcesFor(this.#node, this.#tools.caller);
    for (const channel of this.#tools.conversation.channels) {
      const target = this.#targetOf(channel, set);
      yield [channel.ledger, channel.ledger.whole(target), target.own];
    }
  }

  close(): void {
    this.#heartbeat?.cancel();
    this.#waiting?.cancel();
  }

  /** State per type, and of the client as a whole. */
  status(): { readonly state: TypeStatus['state']; readonly types: readonly TypeStatus[] } {
    const types = [...this.#tools.conversation.channels].map(({ ledger }) => channelStatus(ledger));
    const state = WORST.find((worst) => types.some((type) => type.state === worst)) ?? 'NOT SENT';
    return { state, types };
  }

  /** False when something has to wait. */
  #pushType(channel: Channel, set: ResourceSet): boolean {
    const { type } = channel.ledger;
    // Routes to a cluster that the client is still taking in would lead nowhere. What it asks for itself does not wait.
    if (type.role === 'referrer' && !channel.owesAnswer && this.#isWaitingFor('target')) return false;
    const responses = channel.take(this.#targetOf(channel, set), {
      sequence: () => ++this.#sequence,
      nowMs: this.#tools.clock.now(),
      ttlMs: this.#keepsTime ? this.#tools.ttls?.of(type) : undefined,
      keepsRemoved: this.#keepsRemoved(type, set),
    });
    this.#queue.push(...responses);
    return channel.ledger.kept.size === 0;
  }

  /** Whether what the client has, or is about to have, may still name what is gone. */
  #keepsRemoved(type: ServedType, set: ResourceSet): boolean {
    if (type.short === 'LDS') return false;
    if (type.role === 'referrer') return this.#isWaitingForType('LDS');
    if (this.#isWaitingFor('referrer')) return true;
    const isNamed = SERVED_TYPES.some(
      (one) =>
        one.role === 'referrer' &&
        this.#channelsOf(one).some((referrer) => referrer.isDue(this.#targetOf(referrer, set))),
    );
    // Endpoints go after their cluster.
    return isNamed || (type.short === 'EDS' && this.#isWaitingForType('CDS'));
  }

  #isWaitingFor(role: ServedType['role']): boolean {
    return SERVED_TYPES.some((type) => type.role === role && this.#isWaitingForType(type.short));
  }

  /** Whether the client has not answered yet, and there is still hope; it is looked at again when hope ends. */
  #isWaitingForType(short: ServedType['short']): boolean {
    const { clock, wake } = this.#tools;
    const type = SERVED_TYPES.find((one) => one.short === short);
    let leftMs = 0;
    for (const { ledger } of type === undefined ? [] : this.#channelsOf(type)) {
      const last = ledger.outstanding.at(-1);
      if (last !== undefined) leftMs = Math.max(leftMs, last.atMs + ORDER_WAIT_MS - clock.now());
    }
    if (leftMs <= 0) return false;
    this.#waiting?.cancel();
    this.#waiting = clock.schedule(leftMs, wake);
    return true;
  }

  /** The channel of a type, be it on another stream of the client. */
  #channelsOf(type: ServedType): readonly Channel[] {
    const { conversation, siblings = ALONE } = this.#tools;
    const own = conversation.channel(type);
    if (own !== undefined) return [own];
    return siblings().flatMap((sibling) => sibling.#tools.conversation.channel(type) ?? []);
  }

  /** Streams of the client for types that a change goes out to before this one, in that order, as far as they owe something. */
  #earlierSiblings(): readonly ClientSession[] {
    const { only, siblings = ALONE } = this.#tools;
    if (only === undefined) return [];
    const others = siblings().filter((other) => other.isHeldBack && other.#order < this.#order);
    return others.toSorted((a, b) => a.#order - b.#order);
  }

  get #order(): number {
    const { only } = this.#tools;
    return only === undefined ? -1 : SERVED_TYPES.indexOf(only);
  }

  #setFrom(published: PublishedState, node: Node): ResourceSet {
    if (this.#set?.published === published && this.#set.node === node) return this.#set.resources;
    const resources = published.resourcesFor(node, this.#tools.caller);
    this.#set = { published, node, resources };
    return resources;
  }

  #targetOf({ ledger }: Channel, set: ResourceSet): Target {
    const { snapshots } = this.#tools;
    const { type } = ledger;
    const shared = snapshots.of(type, set);
    const named = ledger.whole({ shared, own: NOTHING_OWN }).absent;
    if (named.length === 0) return { shared, own: NOTHING_OWN };
    const found = named.flatMap((name) => snapshots.onDemand(type, set, name) ?? []);
    return { shared, own: new Map(found.map((one) => [one.name, one])) };
  }

  /** Writes what waits; false when the client does not take it all. */
  #flush(): boolean {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      if (this.#tools.write(next)) continue;
      this.#blocked = true;
      return false;
    }
    return true;
  }

  #named(node: Node): void {
    this.#tools.onNode(node);
    this.#node = node;
  }
}

/** Whether a client says that it knows what a time to live means, where its protocol has it. */
function keepsTime({ protocol }: Conversation, features: readonly string[]): boolean {
  if (!features.includes('xds.config.supports-resource-ttl')) return false;
  return protocol === 'delta' || features.includes('xds.config.resource-in-sotw');
}
