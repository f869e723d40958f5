import { type ResourceType, withCustom } from '../codec/codec.js';
import { encodeNode } from '../codec/node.js';
import { CLUSTER, CLUSTER_LOAD_ASSIGNMENT, LISTENER, ROUTE_CONFIGURATION } from '../codec/resource-types.js';
import type { CustomFilterTypes } from '../model/custom-filter.js';
import type { ClusterLoadAssignment } from '../model/endpoint.js';
import type { Node } from '../model/node.js';
import { EMPTY_SNAPSHOT, type Snapshot } from '../model/snapshot.js';
import type { Clock, Timer } from '../runtime/clock.js';
import type { MeshError } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import { createSignal, type Signal } from '../runtime/signal.js';
import { type SnapshotCache, toCacheError } from './cache.js';
import { createCacheWriter } from './cache-writer.js';
import { withAssignments } from './changed-assignments.js';
import { type Connection, createConnection } from './connection.js';
import { MissingTimer } from './missing-timer.js';
import { createOutageLog } from './outage-log.js';
import { type DecodableType, type Protocol, type Received, WILDCARD } from './protocol.js';
import { createReport, type RejectionObserver, type Report } from './report.js';
import { type ReferenceKind, type Resolution, type ResourceView, resolve } from './resolve.js';
import { createSotw } from './sotw.js';
import { type ResourceStatus, ResourceStore } from './store.js';
import { type CredentialsSource, createStreamOpener, isLoopback, type OpenStream } from './stream.js';

/** What an xDS client works with. */
export interface XdsClientOptions {
  readonly node: Node;
  /** `host:port` of the control plane. */
  readonly target: string;
  /** Default: plaintext to this machine, TLS with the platform's roots to any other. */
  readonly credentials?: CredentialsSource | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: RejectionObserver;
  readonly cache?: SnapshotCache | undefined;
  /** Names of inbound listeners to ask for next to the wildcard. */
  readonly inboundNames?: readonly string[];
  /** Clusters to ask for that no listener needs. */
  readonly clusterNames?: readonly string[];
  /** Filters of the application that listeners and routes may configure. */
  readonly customFilters?: CustomFilterTypes | undefined;
  /** How long a resource may stay unanswered on a ready stream before it counts as absent. Default 15 s. */
  readonly missingTimeoutMs?: number;
  /** Whether waiting for the first configuration keeps the process alive. Default true. */
  readonly holdsProcess?: boolean;
  /** Replaces the gRPC stream, for tests and simulations. */
  readonly openStream?: OpenStream;
}

/** A configuration with where it comes from. */
export interface PublishedSnapshot {
  readonly snapshot: Snapshot;
  readonly source: 'none' | 'cache' | 'control-plane';
  /** Calendar time in milliseconds at which a cached configuration was saved. */
  readonly savedAt?: number;
}

/** The state of the stream to the control plane. */
export interface ConnectionState {
  readonly state: 'connecting' | 'connected' | 'disconnected';
  /** Calendar time in milliseconds. */
  readonly since: number;
  /** Why the last stream ended. */
  readonly lastError?: MeshError;
}

/** The ADS client: keeps the newest complete configuration in force, with or without its control plane. */
export interface XdsClient {
  readonly published: Signal<PublishedSnapshot>;
  readonly connected: Signal<ConnectionState>;
  /** Tells the control plane at once, if it is connected. */
  setNode(node: Node): void;
  /** Replaces the names of inbound listeners to ask for. */
  setInboundNames(names: readonly string[]): void;
  status(): readonly ResourceStatus[];
  close(): Promise<void>;
}

/** Starts an ADS client: publishes the cached configuration, connects, and follows the control plane. */
export function createXdsClient(options: XdsClientOptions): XdsClient {
  return new AdsClient(options);
}

/** Without any configuration nothing works, and on one machine there is no herd to hold back: retries stay close. */
const CLOSE_RETRY_MS = 1000;
/** gRFC A57, Envoy `initial_fetch_timeout`. */
const MISSING_TIMEOUT_MS = 15_000;

const TYPES = [LISTENER, ROUTE_CONFIGURATION, CLUSTER, CLUSTER_LOAD_ASSIGNMENT] as const;

const TYPE_OF: Readonly<Record<ReferenceKind, DecodableType>> = {
  listener: LISTENER,
  routes: ROUTE_CONFIGURATION,
  cluster: CLUSTER,
  assignment: CLUSTER_LOAD_ASSIGNMENT,
};

class AdsClient implements XdsClient {
  readonly #published = createSignal<PublishedSnapshot>({ snapshot: EMPTY_SNAPSHOT, source: 'none' });
  readonly #connected;
  readonly #options: XdsClientOptions;
  readonly #report: Report;
  readonly #outages;
  readonly #store: ResourceStore;
  readonly #protocol: Protocol;
  readonly #writer;
  readonly #names = new Map<string, ReadonlySet<string>>();
  readonly #withheld = new Map<string, Timer>();
  #connection: Connection | undefined;
  readonly #starting: Promise<void>;
  #send: ((message: Uint8Array) => void) | undefined;
  #isAnswered = false;
  #isClosed = false;
  /** Keeps the process alive until the first configuration is there: somebody surely awaits it. */
  readonly #holdTimer: Timer;
  #syncTimer: Timer | undefined;
  /** EDS names that changed since the last synchronization; undefined = anything may have changed. */
  #changedAssignments: Set<string> | undefined;
  /** Whether the last resolution found everything that it looked for. */
  #isComplete = false;
  readonly #missingTimer: MissingTimer;
  #lastResortTimer: Timer | undefined;

  constructor(options: XdsClientOptions) {
    this.#options = options;
    const { clock, logger, node, random, cache } = options;
    this.#connected = createSignal<ConnectionState>({ state: 'connecting', since: clock.wallTime() });
    this.#report = createReport(logger, options.observer);
    this.#outages = createOutageLog(logger);
    this.#store = new ResourceStore({
      types: TYPES.map((type) => withCustom<unknown>(type, options.customFilters)),
      clock,
      isHollow: isEmptyAssignment,
      onLastResort: (_, name) =>
        logger.warn(
          { resource: name },
          'all endpoints of a cluster were removed; the last ones stay in use for 10 minutes',
        ),
    });
    this.#missingTimer = new MissingTimer({
      store: this.#store,
      types: TYPE_OF,
      clock,
      logger,
      timeoutMs: options.missingTimeoutMs ?? MISSING_TIMEOUT_MS,
      onSlow: (typeUrl) => this.#transmit(this.#protocol.refresh(typeUrl)),
      onChange: () => this.#scheduleSync(),
    });
    this.#protocol = createSotw({ node: encodeNode(node), held: this.#store, random });
    this.#writer = createCacheWriter({ cache, clock, logger, collect: () => [...this.#store.stored()] });
    this.#subscribe(LISTENER, new Set([WILDCARD, ...(options.inboundNames ?? [])]));
    const { missingTimeoutMs = MISSING_TIMEOUT_MS, holdsProcess = true } = options;
    this.#holdTimer = clock.schedule(missingTimeoutMs, () => {}, holdsProcess);
    this.#starting = this.#start();
  }

  get published(): Signal<PublishedSnapshot> {
    return this.#published;
  }

  get connected(): Signal<ConnectionState> {
    return this.#connected;
  }

  setNode(node: Node): void {
    this.#transmit(this.#protocol.setNode(encodeNode(node)));
  }

  setInboundNames(names: readonly string[]): void {
    this.#subscribe(LISTENER, new Set([WILDCARD, ...names]));
    this.#scheduleSync();
  }

  status(): readonly ResourceStatus[] {
    return [...this.#store.statuses()];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#starting;
    await this.#connection?.close();
    for (const timer of [this.#holdTimer, this.#syncTimer, this.#missingTimer, this.#lastResortTimer])
      timer?.cancel();
    this.#cancelWithheld();
    this.#setConnected('disconnected');
    await this.#writer.close();
  }

  async #start(): Promise<void> {
    await this.#restore();
    if (this.#isClosed) return;
    const { target, credentials, clock, random, openStream } = this.#options;
    this.#connection = createConnection({
      open: openStream ?? createStreamOpener({ target, credentials, clock }),
      method: this.#protocol.method,
      clock,
      random,
      longestWaitMs: () =>
        this.#published.value.source === 'none' || isLoopback(target)
          ? CLOSE_RETRY_MS
          : Number.POSITIVE_INFINITY,
      listener: {
        onConnecting: () => this.#setConnected('connecting'),
        onStream: (send) => {
          this.#send = send;
          for (const request of this.#protocol.reconnect()) send(request);
        },
        onReady: () => this.#ready(),
        onMessage: (message) => this.#take(message),
        onLost: (error) => this.#lost(error),
      },
    });
  }

  /** Puts the cached configuration in force. Whatever is wrong with the cache is reported and ignored. */
  async #restore(): Promise<void> {
    try {
      const cached = await this.#options.cache?.load();
      if (cached === undefined || cached.resources.length === 0) return;
      for (const resource of cached.resources) this.#restoreOne(resource);
      const { wanted, snapshot } = resolve(
        this.#view(false),
        this.#roots(),
        EMPTY_SNAPSHOT,
        this.#options.clusterNames,
      );
      this.#want(wanted);
      this.#holdTimer.cancel();
      this.#published.set({ snapshot, source: 'cache', savedAt: cached.savedAt });
    } catch (error) {
      this.#report(toCacheError(error), { typeUrl: '', name: 'cache' });
    }
  }

  #restoreOne(resource: Parameters<ResourceStore['restore']>[0]): void {
    try {
      this.#store.restore(resource);
    } catch (error) {
      this.#report(toCacheError(error), resource);
    }
  }

  #ready(): void {
    this.#setConnected('connected');
    this.#store.setConnected(true);
    this.#scheduleSync();
  }

  #lost(error: MeshError): void {
    this.#send = undefined;
    this.#protocol.disconnect();
    this.#store.setConnected(false);
    this.#missingTimer.cancel();
    this.#cancelWithheld();
    this.#outages.lost(error, this.#published.value.source !== 'none');
    this.#setConnected('disconnected', error);
  }

  *#take(message: Uint8Array): Generator<void, void> {
    this.#receive(yield* this.#protocol.receive(message));
  }

  #receive(received: Received): void {
    this.#outages.answered();
    for (const error of received.errors) this.#report(error, { typeUrl: received.typeUrl, name: '' });
    for (const change of received.changes) {
      const { name, type } = change;
      if (
        change.kind === 'rejected' &&
        this.#store.get(type.typeUrl, name)?.rejected?.error !== change.error
      ) {
        this.#report(change.error, { typeUrl: type.typeUrl, name });
      }
      this.#store.apply(change, this.#names.get(type.typeUrl)?.has(name) === true);
    }
    // A listener response of which nothing could be read tells nothing about what listeners there are.
    const isUsable = received.changes.length > 0 || received.errors.length === 0;
    if (received.typeUrl === LISTENER.typeUrl && isUsable) this.#isAnswered = true;
    this.#transmit(received.reply);
    if (received.withheld !== undefined) this.#withhold(received.withheld);
    this.#scheduleSync(changedAssignments(received));
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

  /** Responses that arrive together lead to one resolution; with names, when no more than their endpoints changed. */
  #scheduleSync(assignments?: readonly string[]): void {
    if (this.#isClosed) return;
    if (assignments === undefined) this.#changedAssignments = undefined;
    else for (const name of assignments) this.#changedAssignments?.add(name);
    this.#syncTimer ??= this.#options.clock.schedule(0, () => {
      this.#syncTimer = undefined;
      this.#sync();
    });
  }

  #sync(): void {
    if (!this.#isAnswered) return;
    const nextExpiryMs = this.#store.expire();
    const { source, snapshot } = this.#published.value;
    const view = this.#view(source !== 'control-plane');
    const changed = this.#changedAssignments;
    this.#changedAssignments = new Set();
    if (changed !== undefined && this.#isComplete && source === 'control-plane') {
      const next = withAssignments(view, snapshot, changed);
      if (next !== undefined) {
        this.#publish({ missing: [], snapshot: next });
        this.#expireAt(nextExpiryMs);
        return;
      }
    }
    const resolution = resolve(view, this.#roots(), snapshot, this.#options.clusterNames);
    this.#isComplete = resolution.missing.length === 0;
    this.#want(resolution.wanted);
    this.#publish(resolution);
    if (this.#connected.value.state === 'connected') this.#missingTimer.watch(resolution.missing);
    this.#expireAt(nextExpiryMs);
  }

  #expireAt(nextExpiryMs: number | undefined): void {
    this.#lastResortTimer?.cancel();
    if (nextExpiryMs === undefined) return;
    const delayMs = Math.max(0, nextExpiryMs - this.#options.clock.now());
    this.#lastResortTimer = this.#options.clock.schedule(delayMs, () => this.#scheduleSync());
  }

  #publish({ missing, snapshot }: Pick<Resolution, 'missing' | 'snapshot'>): void {
    const current = this.#published.value;
    // The first one replaces the cache, or nothing: it has to be whole.
    if (current.source !== 'control-plane' && missing.length > 0) return;
    this.#writer.call();
    if (current.source === 'control-plane' && current.snapshot === snapshot) return;
    this.#holdTimer.cancel();
    this.#published.set({ snapshot, source: 'control-plane' });
  }

  #want({ routes, clusters, assignments }: Resolution['wanted']): void {
    this.#subscribe(ROUTE_CONFIGURATION, routes);
    this.#subscribe(CLUSTER, clusters);
    this.#subscribe(CLUSTER_LOAD_ASSIGNMENT, assignments);
  }

  #subscribe(type: ResourceType<unknown>, names: ReadonlySet<string>): void {
    this.#names.set(type.typeUrl, names);
    this.#store.retain(type.typeUrl, names);
    this.#transmit(this.#protocol.subscribe(withCustom(type, this.#options.customFilters), names));
  }

  #transmit(message: Uint8Array | undefined): void {
    if (message !== undefined) this.#send?.(message);
  }

  #roots(): Iterable<string> {
    return this.#store.known(LISTENER.typeUrl);
  }

  #view(isConfirmed: boolean): ResourceView {
    const store = this.#store;
    return {
      listener: (name) => store.find(LISTENER, name, isConfirmed),
      routes: (name) => store.find(ROUTE_CONFIGURATION, name, isConfirmed),
      cluster: (name) => store.find(CLUSTER, name, isConfirmed),
      assignment: (name) => store.find(CLUSTER_LOAD_ASSIGNMENT, name, isConfirmed),
    };
  }

  #setConnected(state: ConnectionState['state'], error = this.#connected.value.lastError): void {
    const since = this.#options.clock.wallTime();
    this.#connected.set(error === undefined ? { state, since } : { state, since, lastError: error });
  }
}

/** The EDS names that a response says something about, when it changes nothing else. */
function changedAssignments({ typeUrl, changes, errors }: Received): readonly string[] | undefined {
  if (errors.length > 0) return undefined;
  if (typeUrl === CLUSTER_LOAD_ASSIGNMENT.typeUrl) return changes.map(({ name }) => name);
  // Servers send everything of a type again when they send anything of it.
  return changes.every(({ kind }) => kind === 'unchanged') ? [] : undefined;
}

function isEmptyAssignment(typeUrl: string, resource: unknown): boolean {
  if (typeUrl !== CLUSTER_LOAD_ASSIGNMENT.typeUrl) return false;
  // Values of this type URL were made by CLUSTER_LOAD_ASSIGNMENT.decode.
  const { localities } = resource as ClusterLoadAssignment;
  return localities.every(({ endpoints }) => endpoints.length === 0);
}
