import type { core } from '../proto/xds.js';
import { decodeLarge, type Outcome, type Present } from './decode-large.js';
import { NackDamping } from './nack.js';
import {
  type DecodableType,
  type EngineOptions,
  type HeldResources,
  type Protocol,
  type Received,
  type ResourceChange,
  WILDCARD,
} from './protocol.js';
import {
  type Complaint,
  complaintOf,
  failuresOf,
  ignored,
  judge,
  namelessErrors,
  rejected,
} from './received.js';
import type { ResourceFailure } from './resource-errors.js';
import { collect, isHeartbeat } from './sotw-collect.js';
import { decodeResponse, encodeRequest, type SotwResponse } from './sotw-messages.js';

interface TypeState {
  readonly type: DecodableType;
  names: ReadonlySet<string>;
  /** Last accepted version; survives the stream. */
  version: string;
  /** What is held is not what the accepted version stands for, e.g. parts of a refused response. */
  isMixed: boolean;
  /** Whether this stream carries a subscription of the type. */
  isOpen: boolean;
  /** Whether this stream ever named a resource: until then, naming none means all. */
  isNamed: boolean;
  /** A request waits for the end of a pause. */
  isDue: boolean;
  nonce: string;
  /** Per name: the request of this stream that first asked for it, counted from 1. */
  readonly askedIn: Map<string, number>;
  requests: number;
  /** Requests up to this one were certainly known to the server when it sent its last response. */
  answered: number;
  /** Names of values that end unless they are renewed: their owner may have dropped them. */
  readonly ending: Set<string>;
  /** A NACK that waits. */
  withheld: string | undefined;
  readonly damping: NackDamping;
}

/** The state-of-the-world variant of xDS: every request lists all names, every response all that is there. */
export function createSotw(options: EngineOptions): Protocol {
  return new Sotw(options);
}

class Sotw implements Protocol {
  readonly method = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
  readonly #states = new Map<string, TypeState>();
  readonly #paused = new Set<string>();
  readonly #held: HeldResources;
  readonly #options: EngineOptions;
  #node: core.Node;
  #isConnected = false;
  /** Whether the server of this stream gives nonces. */
  #givesNonces = false;
  /** xDS: `node` is due on the first request of a stream; ours also sends it again after a change. */
  #isNodeDue = true;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#node = options.node;
    this.#held = options.held;
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
    return this.#send(state, state.withheld);
  }

  reconnect(isOtherServer = false): readonly Uint8Array[] {
    this.disconnect();
    if (isOtherServer) for (const state of this.#states.values()) state.version = '';
    this.#isConnected = true;
    this.#isNodeDue = true;
    return [...this.#states.values()]
      .filter((state) => state.names.size > 0)
      .flatMap((state) => this.#open(state) ?? []);
  }

  disconnect(): void {
    this.#isConnected = false;
    this.#givesNonces = false;
    for (const state of this.#states.values()) {
      state.isOpen = false;
      state.isDue = false;
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
    return this.#send(state, state.withheld, '');
  }

  pause(typeUrl: string): void {
    this.#paused.add(typeUrl);
  }

  resume(typeUrl: string): Uint8Array | undefined {
    this.#paused.delete(typeUrl);
    const state = this.#states.get(typeUrl);
    if (state === undefined) return undefined;
    return state.isDue || state.withheld !== undefined ? this.#request(state, state.withheld) : undefined;
  }

  release(typeUrl: string): Uint8Array | undefined {
    const state = this.#states.get(typeUrl);
    return state?.isDue === true ? this.#request(state, state.withheld) : undefined;
  }

  *receive(message: Uint8Array): Generator<void, Received> {
    const response = decodeResponse(message);
    const state = this.#states.get(response.typeUrl);
    if (state === undefined || !state.isOpen) {
      // Replying would subscribe (an empty list of names is a wildcard to many servers), so it stays unanswered.
      return ignored(
        response,
        `the control plane sent resources of type ${JSON.stringify(response.typeUrl)}, which nobody asked for`,
      );
    }
    if (response.nonce !== '') this.#givesNonces = true;
    else if (this.#givesNonces) {
      // Of a server that gives them a request without nonce would start the subscription anew.
      return ignored(response, `the control plane sent a ${state.type.short} response without nonce`);
    }
    const complaints: Complaint[] = [];
    const present = collect(state.type, state.names, response, complaints);
    const decoded = yield* decodeLarge(state.type, present, this.#held);
    // Requests that went out meanwhile did not know of this response.
    state.nonce = response.nonce;
    const isCurrent = response.version === state.version;
    const changes = this.#changes(
      state,
      { present, decoded, failures: response.failures, isCurrent },
      complaints,
    );
    return {
      typeUrl: response.typeUrl,
      server: response.server,
      changes,
      errors: namelessErrors(complaints),
      ...this.#answer(state, response, { changes, complaints }),
    };
  }

  #changes(state: TypeState, found: FoundResources, complaints: Complaint[]): ResourceChange[] {
    const { type, names } = state;
    const { present, decoded, failures, isCurrent } = found;
    const changes: ResourceChange[] = [];
    for (const [name, { error, ...about }] of present) {
      // It may have been given up while others were decoded.
      if (!isWanted(names, name)) continue;
      const item = { type, name, ...about };
      const held = this.#held.get(type.typeUrl, name);
      const isSame = isCurrent || held?.version === about.version;
      const change =
        error === undefined ? judge(item, held, decoded.get(name), isSame) : rejected(item, error);
      if (change.kind === 'rejected') complaints.push(complaintOf(change));
      else if (about.ttlMs === undefined) state.ending.delete(name);
      else state.ending.add(name);
      changes.push(change);
    }
    changes.push(...failuresOf(type, failures, (name) => isWanted(names, name) && !present.has(name)));
    // What the server can't send is answered, and not absent.
    const told = new Set([...present.keys(), ...failures.map(({ name }) => name)]);
    noteAnswered(state, told);
    // What has no readable name may be any of the absent ones: then absence proves nothing.
    if (type.complete && !isHeartbeat(present) && complaints.every(({ name }) => name !== undefined)) {
      for (const name of this.#absent(state, told)) changes.push({ kind: 'removed', type, name });
    }
    return changes;
  }

  #absent(state: TypeState, present: ReadonlySet<string>): string[] {
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
    if (state.names.size === 0 && response.resources.length > 0) {
      // Envoy: resources of a type that nobody wants any more are not accepted.
      return { reply: this.#send(state, undefined), withheld: undefined };
    }
    if (outcome.complaints.length === 0) {
      // To a server that gives no nonces an answer looks like a new subscription: what it accepted is said once.
      const isSaid = response.nonce === '' && state.version === response.version && !state.isMixed;
      state.version = response.version;
      state.isMixed = false;
      state.withheld = undefined;
      state.damping.accept();
      return { reply: isSaid ? undefined : this.#send(state, undefined), withheld: undefined };
    }
    // gRFC A46: the good resources are in force, the version is not accepted.
    if (outcome.changes.some(({ kind }) => kind === 'updated' || kind === 'removed')) state.isMixed = true;
    const text = outcome.complaints.map((complaint) => complaint.text).join('; ');
    if (!state.damping.isRepeated(text)) {
      return { reply: this.#send(state, text), withheld: undefined };
    }
    const isWaiting = state.withheld !== undefined;
    state.withheld = text;
    const { typeUrl } = state.type;
    const withheld = isWaiting ? undefined : { typeUrl, delayMs: state.damping.nextDelayMs() };
    return { reply: undefined, withheld };
  }

  #open(state: TypeState): Uint8Array | undefined {
    state.isOpen = true;
    state.isNamed = false;
    state.nonce = '';
    state.requests = 1;
    state.answered = 0;
    state.askedIn.clear();
    this.#count(state);
    // With the old version a server may rightly send nothing, also what we do not hold (any more).
    const lacksSome =
      [...state.names].some((name) => name !== WILDCARD && !this.#hasAccepted(state, name)) ||
      [...state.ending].some((name) => !this.#hasAccepted(state, name));
    state.ending.clear();
    if (state.isMixed || lacksSome) state.version = '';
    return this.#send(state, undefined);
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

  /** The request, unless it has to wait for the end of a pause. */
  #send(state: TypeState, error: string | undefined, version = state.version): Uint8Array | undefined {
    if (!this.#paused.has(state.type.typeUrl)) return this.#request(state, error, version);
    state.isDue = true;
    state.withheld = error;
    // Asked anew with a version that is not the accepted one: that has to last as long as the request waits.
    state.version = version;
    return undefined;
  }

  #request(state: TypeState, error: string | undefined, version = state.version): Uint8Array {
    const node = this.#isNodeDue ? this.#node : undefined;
    this.#isNodeDue = false;
    state.withheld = undefined;
    state.isDue = false;
    // Envoy: nothing but the wildcard is said by naming nothing, which every server understands.
    const isLegacyWildcard = !state.isNamed && state.names.size === 1 && state.names.has(WILDCARD);
    const names = isLegacyWildcard ? [] : state.names;
    if (!isLegacyWildcard) state.isNamed = true;
    return encodeRequest({ typeUrl: state.type.typeUrl, names, version, nonce: state.nonce, node, error });
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
        isNamed: false,
        isDue: false,
        nonce: '',
        askedIn: new Map(),
        requests: 0,
        answered: 0,
        ending: new Set(),
        withheld: undefined,
        damping: new NackDamping(this.#options.random),
      };
      this.#states.set(type.typeUrl, state);
    }
    return state;
  }
}

/** What a response has of what was asked for. */
interface FoundResources {
  readonly present: ReadonlyMap<string, Present>;
  /** What was decoded already. */
  readonly decoded: ReadonlyMap<string, Outcome>;
  readonly failures: readonly ResourceFailure[];
  /** Whether the response has the version in force. */
  readonly isCurrent: boolean;
}

/**
 * Whatever the first request of a stream asked for is answered by any response. A later request is known to be
 * answered once a name that it added shows up.
 */
function noteAnswered(state: TypeState, present: ReadonlySet<string>): void {
  state.answered = Math.max(1, state.answered);
  for (const name of present) {
    const request = state.askedIn.get(name);
    if (request === undefined) state.askedIn.set(name, state.answered);
    else state.answered = Math.max(state.answered, request);
  }
}

function isWanted(names: ReadonlySet<string>, name: string): boolean {
  return names.has(name) || names.has(WILDCARD);
}

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false;
  for (const name of a) if (!b.has(name)) return false;
  return true;
}
