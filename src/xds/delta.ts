import type { core, discovery } from '../proto/xds.js';
import { decodeLarge, type Outcome, type Present } from './decode-large.js';
import { type DeltaResponse, decodeDeltaResponse, encodeDeltaRequest } from './delta-messages.js';
import { DeltaSubscription } from './delta-subscription.js';
import { NackDamping } from './nack.js';
import type {
  DecodableType,
  EngineOptions,
  HeldResources,
  Protocol,
  Received,
  ResourceChange,
} from './protocol.js';
import {
  type Complaint,
  complaintOf,
  decodeError,
  failuresOf,
  ignored,
  judge,
  namelessErrors,
  rejected,
} from './received.js';
import { canonicalName } from './resource-name.js';
import { unpackResource } from './unpack.js';

/** An answer to a response: its nonce, and on a NACK the complaint. */
interface Answer {
  readonly nonce: string;
  readonly error: string | undefined;
}

interface TypeState {
  readonly type: DecodableType;
  readonly subscription: DeltaSubscription;
  /** Whether this stream carries a subscription of the type. */
  isOpen: boolean;
  /** A NACK that waits. */
  withheld: Answer | undefined;
  readonly damping: NackDamping;
}

const NO_ANSWER: Answer = { nonce: '', error: undefined };

/** The incremental variant of xDS: requests and responses tell what changed. */
export function createDelta(options: EngineOptions): Protocol {
  return new Delta(options);
}

class Delta implements Protocol {
  readonly method = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
  readonly #states = new Map<string, TypeState>();
  readonly #paused = new Set<string>();
  readonly #options: EngineOptions;
  readonly #held: HeldResources;
  #node: core.Node;
  #isConnected = false;
  /** xDS: `node` is due on the first request of a stream; ours also sends it again after a change. */
  #isNodeDue = true;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#node = options.node;
    this.#held = options.held;
  }

  subscribe(type: DecodableType, names: ReadonlySet<string>): Uint8Array | undefined {
    const state = this.#state(type);
    state.subscription.update(names);
    return this.#due(state);
  }

  reconnect(isOtherServer = false): readonly Uint8Array[] {
    this.disconnect();
    if (isOtherServer) for (const { subscription } of this.#states.values()) subscription.forgetVersions();
    this.#isConnected = true;
    this.#isNodeDue = true;
    return [...this.#states.values()].flatMap((state) => this.#due(state) ?? []);
  }

  disconnect(): void {
    this.#isConnected = false;
    for (const state of this.#states.values()) {
      state.isOpen = false;
      state.withheld = undefined;
      state.subscription.restart();
    }
  }

  setNode(node: core.Node): Uint8Array | undefined {
    this.#node = node;
    this.#isNodeDue = true;
    for (const state of this.#states.values()) if (state.isOpen) return this.#request(state, NO_ANSWER);
    return undefined;
  }

  refresh(typeUrl: string, isForAll = false): Uint8Array | undefined {
    const state = this.#states.get(typeUrl);
    if (state === undefined || !state.isOpen) return undefined;
    state.subscription.askAgain(isForAll);
    return this.#due(state);
  }

  pause(typeUrl: string): void {
    this.#paused.add(typeUrl);
  }

  resume(typeUrl: string): Uint8Array | undefined {
    this.#paused.delete(typeUrl);
    const state = this.#states.get(typeUrl);
    if (state === undefined) return undefined;
    const { withheld } = state;
    state.withheld = undefined;
    return withheld === undefined ? this.#due(state) : this.#request(state, withheld);
  }

  release(typeUrl: string): Uint8Array | undefined {
    const state = this.#states.get(typeUrl);
    if (state === undefined || !this.#isConnected || !state.subscription.isDue) return undefined;
    const isPaused = this.#paused.delete(typeUrl);
    const request = this.#request(state, NO_ANSWER);
    if (isPaused) this.#paused.add(typeUrl);
    return request;
  }

  *receive(message: Uint8Array): Generator<void, Received> {
    const response = decodeDeltaResponse(message);
    const { typeUrl, nonce } = response;
    const state = this.#states.get(typeUrl);
    if (state === undefined || !state.isOpen) {
      return ignored(
        response,
        `the control plane sent resources of type ${JSON.stringify(typeUrl)}, which nobody asked for`,
      );
    }
    if (nonce === '') {
      return ignored(response, `the control plane sent a ${state.type.short} response without nonce`);
    }
    const complaints: Complaint[] = [];
    const aliases = state.type.isNamespaced === true ? collectAliases(response) : undefined;
    const present = collect(state, response, complaints);
    const removed = collectRemoved(response, present, complaints);
    const decoded = yield* decodeLarge(state.type, present, this.#held);
    const changes = [
      ...this.#changes(state, { present, decoded }, complaints),
      ...this.#removals(state, removed),
      ...failuresOf(
        state.type,
        response.failures,
        (name) => state.subscription.wants(name) && !present.has(name) && !removed.has(name),
      ),
    ];
    return {
      typeUrl,
      server: response.server,
      changes,
      errors: namelessErrors(complaints),
      aliases,
      ...this.#answer(state, nonce, complaints),
    };
  }

  #changes(
    { type, subscription }: TypeState,
    found: {
      readonly present: ReadonlyMap<string, Present>;
      readonly decoded: ReadonlyMap<string, Outcome>;
    },
    complaints: Complaint[],
  ): ResourceChange[] {
    const changes: ResourceChange[] = [];
    for (const [name, { error, ...about }] of found.present) {
      // It may have been given up while others were decoded.
      if (!subscription.wants(name)) continue;
      const item = { type, name, ...about };
      const held = this.#held.get(type.typeUrl, name);
      const isCurrent = held?.version === about.version;
      const change =
        error === undefined ? judge(item, held, found.decoded.get(name), isCurrent) : rejected(item, error);
      if (change.kind === 'rejected') complaints.push(complaintOf(change));
      else subscription.accepted(name, about.version);
      changes.push(change);
    }
    return changes;
  }

  #removals({ type, subscription }: TypeState, names: Iterable<string>): ResourceChange[] {
    const changes: ResourceChange[] = [];
    for (const name of names) {
      if (subscription.wants(name)) changes.push({ kind: 'removed', type, name });
      subscription.removed(name);
    }
    return changes;
  }

  #answer(
    state: TypeState,
    nonce: string,
    complaints: readonly Complaint[],
  ): Pick<Received, 'reply' | 'withheld'> {
    if (complaints.length === 0) {
      // A NACK that waits is about other resources: it stays due.
      if (state.withheld === undefined) state.damping.accept();
      return { reply: this.#request(state, { nonce, error: undefined }), withheld: undefined };
    }
    const error = complaints.map(({ text }) => text).join('; ');
    if (!state.damping.isRepeated(error)) {
      state.withheld = undefined;
      return { reply: this.#request(state, { nonce, error }), withheld: undefined };
    }
    const isWaiting = state.withheld !== undefined;
    state.withheld = { nonce, error };
    const { typeUrl } = state.type;
    const withheld = isWaiting ? undefined : { typeUrl, delayMs: state.damping.nextDelayMs() };
    return { reply: undefined, withheld };
  }

  #due(state: TypeState): Uint8Array | undefined {
    const isSendable = this.#isConnected && !this.#paused.has(state.type.typeUrl);
    return isSendable && state.subscription.isDue ? this.#request(state, NO_ANSWER) : undefined;
  }

  #request(state: TypeState, { nonce, error }: Answer): Uint8Array {
    const { typeUrl } = state.type;
    const node = this.#isNodeDue ? this.#node : undefined;
    this.#isNodeDue = false;
    state.isOpen = true;
    // Envoy: while a type is paused its answers go on, changes of the subscription wait.
    const change = this.#paused.has(typeUrl)
      ? NO_CHANGE
      : state.subscription.take(() => this.#held.names(typeUrl));
    return encodeDeltaRequest({ typeUrl, ...change, nonce, node, error });
  }

  #state(type: DecodableType): TypeState {
    let state = this.#states.get(type.typeUrl);
    if (state === undefined) {
      state = {
        type,
        subscription: new DeltaSubscription(type.isNamespaced),
        isOpen: false,
        withheld: undefined,
        damping: new NackDamping(this.#options.random),
      };
      this.#states.set(type.typeUrl, state);
    }
    return state;
  }
}

const NO_CHANGE = { subscribe: [], unsubscribe: [], initialVersions: new Map<string, string>() };

/** Envoy: a resource without body tells that nothing is known of the names that it stands for. */
function isUnresolved({ resource, ttl }: discovery.Resource): boolean {
  return resource === undefined && ttl === undefined;
}

/** The names that were asked for, each with the name that answers for it. */
function collectAliases({ resources }: DeltaResponse): ReadonlyMap<string, string | undefined> {
  const aliases = new Map<string, string | undefined>();
  for (const resource of resources) {
    const name = canonicalName(resource.name);
    const target = isUnresolved(resource) ? undefined : name;
    if (target === undefined && name !== '') aliases.set(name, undefined);
    for (const alias of resource.aliases.map(canonicalName)) {
      if (alias !== target) aliases.set(alias, target);
    }
  }
  return aliases;
}

/** The wanted resources of a response by name, the unreadable ones as complaints. */
function collect(
  { type, subscription }: TypeState,
  { resources }: DeltaResponse,
  complaints: Complaint[],
): Map<string, Present> {
  const present = new Map<string, Present>();
  for (const [index, resource] of resources.entries()) {
    if (type.isNamespaced === true && isUnresolved(resource)) continue;
    const { name, bytes, error, version, ttlMs } = unpackResource(resource, type.typeUrl);
    if (name === undefined) {
      complaints.push({ name, text: `${type.short} resources[${index}]: ${error ?? 'name: is missing'}` });
      continue;
    }
    if (!subscription.wants(name)) continue;
    const isRepeated = present.has(name);
    const text = isRepeated ? `duplicate name ${name} found among added/updated resources` : error;
    present.set(name, {
      // The complaint is not about the bytes: the same ones are good when they come alone.
      bytes: isRepeated ? undefined : bytes,
      error: text === undefined ? undefined : decodeError(text, name),
      version,
      ttlMs,
    });
  }
  return present;
}

/** The names that a response removes. One that it also brings, or removes twice, is a fault. */
function collectRemoved(
  { removed }: DeltaResponse,
  present: Map<string, Present>,
  complaints: Complaint[],
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const name of removed) {
    const text = `duplicate name ${name} found in the union of added+removed resources`;
    const other = present.get(name);
    if (other !== undefined)
      present.set(name, { ...other, bytes: undefined, error: decodeError(text, name) });
    else if (names.has(name)) complaints.push({ name, text });
    else names.add(name);
  }
  return names;
}
