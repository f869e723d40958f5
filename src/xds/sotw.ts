import type { core } from '../proto/xds.js';
import { type Backoff, createBackoff } from '../runtime/backoff.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Random } from '../runtime/random.js';
import {
  type DecodableType,
  type HeldResources,
  type Protocol,
  type Received,
  type ResourceChange,
  WILDCARD,
} from './protocol.js';
import { canonicalName } from './resource-name.js';
import { attemptAtOnce, decodeLarge, type Outcome } from './sotw-decode.js';
import { decodeResponse, encodeRequest, type SotwResponse } from './sotw-messages.js';
import {
  type Complaint,
  collect,
  decodeError,
  type Item,
  isSameBytes,
  type Present,
  rejected,
} from './sotw-resources.js';

/** What the state-of-the-world engine works with. */
export interface SotwOptions {
  readonly node: core.Node;
  readonly held: HeldResources;
  readonly random: Random;
}

interface TypeState {
  readonly type: DecodableType;
  names: ReadonlySet<string>;
  /** Last accepted version; survives the stream. */
  version: string;
  /** What is held is not what the accepted version stands for, e.g. parts of a refused response. */
  isMixed: boolean;
  /** Whether this stream carries a subscription of the type. */
  isOpen: boolean;
  nonce: string;
  /** Per name: the request of this stream that first asked for it, counted from 1. */
  readonly askedIn: Map<string, number>;
  requests: number;
  /** Requests up to this one were certainly known to the server when it sent its last response. */
  answered: number;
  lastError: string | undefined;
  /** A NACK that waits. */
  withheld: string | undefined;
  readonly damping: Backoff;
}

/** The state-of-the-world variant of xDS: every request lists all names, every response all that is there. */
export function createSotw(options: SotwOptions): Protocol {
  return new Sotw(options);
}

class Sotw implements Protocol {
  readonly method = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
  readonly #states = new Map<string, TypeState>();
  readonly #held: HeldResources;
  readonly #random: Random;
  #node: core.Node;
  #isConnected = false;
  /** xDS: `node` is due on the first request of a stream; ours also sends it again after a change. */
  #isNodeDue = true;

  constructor({ node, held, random }: SotwOptions) {
    this.#node = node;
    this.#held = held;
    this.#random = random;
  }

  subscribe(type: DecodableType, names: ReadonlySet<string>): Uint8Array | undefined {
    const state = this.#state(type);
    if (isSameSet(state.names, names)) return undefined;
    // What only the wildcard brings was not sent with the accepted version.
    if (names.has(WILDCARD) && !state.names.has(WILDCARD)) state.isMixed = true;
    state.names = new Set(names);
    if (!this.#isConnected) return undefined;
    // An empty first list would be the legacy wildcard.
    if (!state.isOpen) return names.size === 0 ? undefined : this.#open(state);
    state.requests++;
    this.#count(state);
    return this.#request(state, state.withheld);
  }

  reconnect(): readonly Uint8Array[] {
    this.disconnect();
    this.#isConnected = true;
    this.#isNodeDue = true;
    return [...this.#states.values()]
      .filter((state) => state.names.size > 0)
      .map((state) => this.#open(state));
  }

  disconnect(): void {
    this.#isConnected = false;
    for (const state of this.#states.values()) {
      state.isOpen = false;
      state.withheld = undefined;
    }
  }

  setNode(node: core.Node): Uint8Array | undefined {
    this.#node = node;
    this.#isNodeDue = true;
    for (const state of this.#states.values()) {
      if (state.isOpen) return this.#request(state, state.withheld);
    }
    return undefined;
  }

  refresh(typeUrl: string): Uint8Array | undefined {
    const state = this.#states.get(typeUrl);
    if (state === undefined || !state.isOpen || state.names.size === 0) return undefined;
    return this.#request({ ...state, version: '' }, state.withheld);
  }

  resume(typeUrl: string): Uint8Array | undefined {
    const state = this.#states.get(typeUrl);
    return state?.withheld === undefined ? undefined : this.#request(state, state.withheld);
  }

  *receive(message: Uint8Array): Generator<void, Received> {
    const response = decodeResponse(message);
    const state = this.#states.get(response.typeUrl);
    if (state === undefined || !state.isOpen) {
      // Replying would subscribe (an empty list of names is a wildcard to many servers), so it stays unanswered.
      return ignored(
        response.typeUrl,
        `the control plane sent resources of type ${JSON.stringify(response.typeUrl)}, which nobody asked for`,
      );
    }
    if (response.nonce === '') {
      // A request without nonce would start the subscription anew, and the server would answer it again at once.
      return ignored(response.typeUrl, `the control plane sent a ${state.type.short} response without nonce`);
    }
    const complaints: Complaint[] = [];
    const present = collect(state, response, complaints);
    const decoded = yield* decodeLarge(state.type, present, this.#held);
    // Requests that went out meanwhile did not know of this response.
    state.nonce = response.nonce;
    const changes = this.#changes(state, { version: response.version, present, decoded }, complaints);
    const errors = complaints
      .filter(({ name }) => name === undefined)
      .map(({ text }) => decodeError(text, undefined));
    return {
      typeUrl: response.typeUrl,
      changes,
      errors,
      ...this.#answer(state, response, { changes, complaints }),
    };
  }

  #changes(state: TypeState, found: FoundResources, complaints: Complaint[]): ResourceChange[] {
    const { type, names } = state;
    const { version, present, decoded } = found;
    const changes: ResourceChange[] = [];
    for (const [name, { bytes, error }] of present) {
      // It may have been given up while others were decoded.
      if (!names.has(name) && !names.has(WILDCARD)) continue;
      const item = { type, name, bytes, version };
      const change = error === undefined ? this.#decode(item, decoded.get(name)) : rejected(item, error);
      if (change.kind === 'rejected')
        complaints.push({ name, text: naming(change.error, `${type.short} ${name}`) });
      changes.push(change);
    }
    noteAnswered(state, present);
    // What has no readable name may be any of the absent ones: then absence proves nothing.
    if (type.complete && complaints.every(({ name }) => name !== undefined)) {
      for (const name of this.#absent(state, present)) changes.push({ kind: 'removed', type, name });
    }
    return changes;
  }

  #decode(item: Item, known: Outcome | undefined): ResourceChange {
    const { type, name, bytes, version } = item;
    const held = this.#held.get(type.typeUrl, name);
    const isUnchanged =
      held?.accepted !== undefined && (bytes === undefined || isSameBytes(bytes, held.accepted));
    if (isUnchanged && (bytes === undefined || type.countsAnew?.(held?.resource) !== true)) {
      return { kind: 'unchanged', type, name, version };
    }
    if (bytes === undefined) return rejected(item, decodeError('resource: is missing', name));
    if (held?.rejected !== undefined && isSameBytes(bytes, held.rejected.bytes))
      return rejected(item, held.rejected.error);
    const { decoded, error } = known ?? attemptAtOnce(type, bytes);
    if (decoded === undefined)
      return rejected(item, MeshError.is(error) ? error : decodeError(messageOf(error), name, error));
    if (canonicalName(decoded.name) !== name)
      return rejected(item, decodeError(`name: reads ${JSON.stringify(decoded.name)}`, name));
    // A copy, so that one small resource does not keep a whole response in memory.
    return { kind: 'updated', type, name, bytes: bytes.slice(), resource: decoded.resource, version };
  }

  #absent(state: TypeState, present: ReadonlyMap<string, unknown>): string[] {
    const absent: string[] = [];
    for (const name of state.names) {
      // A name asked for after the server wrote this response can't be in it.
      const isAnswered = (state.askedIn.get(name) ?? 0) <= state.answered;
      if (name !== WILDCARD && !present.has(name) && isAnswered) absent.push(name);
    }
    if (!state.names.has(WILDCARD)) return absent;
    for (const name of this.#held.names(state.type.typeUrl)) {
      if (present.has(name) || state.names.has(name)) continue;
      state.askedIn.delete(name);
      absent.push(name);
    }
    return absent;
  }

  #answer(
    state: TypeState,
    response: SotwResponse,
    outcome: { readonly changes: readonly ResourceChange[]; readonly complaints: readonly Complaint[] },
  ): Pick<Received, 'reply' | 'withheld'> {
    if (outcome.complaints.length === 0) {
      state.version = response.version;
      state.isMixed = false;
      state.lastError = undefined;
      state.withheld = undefined;
      state.damping.reset();
      return { reply: this.#request(state, undefined), withheld: undefined };
    }
    // gRFC A46: the good resources are in force, the version is not accepted.
    if (outcome.changes.some(({ kind }) => kind === 'updated' || kind === 'removed')) state.isMixed = true;
    const text = outcome.complaints.map((complaint) => complaint.text).join('; ');
    const isRepeated = state.lastError === text;
    state.lastError = text;
    if (!isRepeated) {
      state.damping.reset();
      return { reply: this.#request(state, text), withheld: undefined };
    }
    // Servers such as go-control-plane answer a NACK at once with the same resources: without a wait, both spin.
    const isWaiting = state.withheld !== undefined;
    state.withheld = text;
    const { typeUrl } = state.type;
    return { reply: undefined, withheld: isWaiting ? undefined : { typeUrl, delayMs: state.damping.next() } };
  }

  #open(state: TypeState): Uint8Array {
    state.isOpen = true;
    state.nonce = '';
    state.requests = 1;
    state.answered = 0;
    state.askedIn.clear();
    this.#count(state);
    // With the old version a server may rightly send nothing, also what we do not hold (any more).
    const lacksSome = [...state.names].some((name) => name !== WILDCARD && !this.#hasAccepted(state, name));
    if (state.isMixed || lacksSome) state.version = '';
    return this.#request(state, undefined);
  }

  #hasAccepted(state: TypeState, name: string): boolean {
    return this.#held.get(state.type.typeUrl, name)?.accepted !== undefined;
  }

  #count(state: TypeState): void {
    const { askedIn, names, requests } = state;
    const wildcardIn = askedIn.get(WILDCARD);
    // Under a wildcard a name stays asked for, whether it is listed or not.
    if (!names.has(WILDCARD)) for (const name of askedIn.keys()) if (!names.has(name)) askedIn.delete(name);
    for (const name of names) {
      if (askedIn.has(name)) continue;
      // What is held was asked for by the wildcard; another name may not be part of what the wildcard means.
      askedIn.set(name, wildcardIn !== undefined && this.#hasAccepted(state, name) ? wildcardIn : requests);
    }
  }

  #request(state: TypeState, error: string | undefined): Uint8Array {
    const node = this.#isNodeDue ? this.#node : undefined;
    this.#isNodeDue = false;
    state.withheld = undefined;
    const { names, version, nonce } = state;
    return encodeRequest({ typeUrl: state.type.typeUrl, names, version, nonce, node, error });
  }

  #state(type: DecodableType): TypeState {
    let state = this.#states.get(type.typeUrl);
    if (state === undefined) {
      state = {
        type,
        names: new Set(),
        version: '',
        isMixed: false,
        isOpen: false,
        nonce: '',
        askedIn: new Map(),
        requests: 0,
        answered: 0,
        lastError: undefined,
        withheld: undefined,
        damping: createBackoff({ baseMs: 1000, maxMs: 10_000, jitter: 0.2 }, this.#random),
      };
      this.#states.set(type.typeUrl, state);
    }
    return state;
  }
}

/** What a response has of what was asked for. */
interface FoundResources {
  readonly version: string;
  readonly present: ReadonlyMap<string, Present>;
  /** What was decoded already. */
  readonly decoded: ReadonlyMap<string, Outcome>;
}

/**
 * Whatever the first request of a stream asked for is answered by any response. A later request is known to be
 * answered once a name that it added shows up.
 */
function noteAnswered(state: TypeState, present: ReadonlyMap<string, unknown>): void {
  state.answered = Math.max(1, state.answered);
  for (const name of present.keys()) {
    const request = state.askedIn.get(name);
    if (request === undefined) state.askedIn.set(name, state.answered);
    else state.answered = Math.max(state.answered, request);
  }
}

/** The error's text; the codec's own errors name the resource already. */
function naming(error: MeshError, resource: string): string {
  return error.resource === resource ? error.message : `${resource}: ${error.message}`;
}

function ignored(typeUrl: string, text: string): Received {
  const errors = [new MeshError('INMESH_XDS_REJECTED', text)];
  return { typeUrl, changes: [], errors, reply: undefined, withheld: undefined };
}

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false;
  for (const name of a) if (!b.has(name)) return false;
  return true;
}
