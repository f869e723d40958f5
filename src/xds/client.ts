import { withCustom } from '../codec/codec.js';
import { encodeNode } from '../codec/node.js';
import { LISTENER } from '../codec/resource-types.js';
import { VIRTUAL_HOST } from '../codec/virtual-host.js';
import type { Node } from '../model/node.js';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Timer } from '../runtime/clock.js';
import type { MeshError } from '../runtime/errors.js';
import { createSignal, type Signal } from '../runtime/signal.js';
import { Authorities } from './authorities.js';
import type { Authority } from './authority.js';
import { AuthorityCaches } from './authority-caches.js';
import { changedAssignments } from './changed-assignments.js';
import { Channels, type ChannelUser } from './channels.js';
import type { ConnectionState, ServerLink, ServerStatus, XdsClient, XdsClientOptions } from './client-api.js';
import { createClientStore } from './client-store.js';
import { CLIENT_TYPES, TYPE_OF } from './client-types.js';
import { isAbsence, keepsValue } from './data-errors.js';
import { createEngine } from './engine.js';
import { MissingTimer } from './missing-timer.js';
import { OnDemandHosts } from './on-demand-hosts.js';
import { createOutageLog, type OutageLog } from './outage-log.js';
import { type DecodableType, type HeldResources, type Received, WILDCARD } from './protocol.js';
import { createReport, type Report } from './report.js';
import type { MissingResource, Resolution } from './resolution.js';
import { canonicalName, canonicalNames, isCollection } from './resource-name.js';
import type { ServerFeatures } from './server.js';
import type { ResourceStatus, ResourceStore } from './store.js';
import { storeView } from './store-view.js';
import { type PublishedSnapshot, Synchronizer } from './synchronizer.js';
import { hasHost, takenDomain } from './virtual-hosts.js';
import { WantedListeners } from './wanted-listeners.js';

/** Starts an ADS client: publishes the cached configuration, connects, and follows the control plane. */
export function createXdsClient(options: XdsClientOptions): XdsClient {
  return new AdsClient(options);
}

/** gRFC A57, Envoy `initial_fetch_timeout`. */
const MISSING_TIMEOUT_MS = 15_000;

class AdsClient implements XdsClient {
  readonly #connected;
  readonly #options: XdsClientOptions;
  readonly #report: Report;
  readonly #outages: OutageLog;
  readonly #store: ResourceStore;
  readonly #channels: Channels;
  readonly #authorities: Authorities;
  readonly #caches: AuthorityCaches;
  readonly #synchronizer: Synchronizer;
  readonly #types: ReadonlyMap<string, DecodableType>;
  readonly #starting: Promise<void>;
  readonly #listeners: WantedListeners;
  readonly #hosts: OnDemandHosts;
  /** Whether virtual hosts were ever asked for. */
  #hadHosts = false;
  /** Whether it is known what listeners the wildcard stands for. */
  #isAnswered = false;
  #isClosed = false;
  /** Keeps the process alive until the first configuration is there: somebody surely awaits it. */
  readonly #holdTimer: Timer;
  readonly #missingTimer: MissingTimer;

  constructor(options: XdsClientOptions) {
    this.#options = options;
    const { clock, logger, cacheOf } = options;
    this.#connected = createSignal<ConnectionState>({ state: 'connecting', since: clock.wallTime() });
    this.#report = createReport(logger, options.observer);
    this.#outages = createOutageLog(logger);
    const types = CLIENT_TYPES.map((type) => withCustom<unknown>(type, options.customFilters));
    this.#types = new Map(types.map((type) => [type.typeUrl, type]));
    this.#store = createClientStore(types, options);
    this.#channels = this.#createChannels();
    this.#authorities = new Authorities({
      servers: options.servers,
      authorities: options.authorities,
      logger,
      channels: this.#channels,
      isUnanswered: (typeUrl, name) => this.#isUnanswered(typeUrl, name),
      onState: (authority, error) => this.#stateChanged(authority, error),
    });
    this.#missingTimer = new MissingTimer({
      store: this.#store,
      types: TYPE_OF,
      clock,
      logger,
      limitOf: ({ name }) => this.#limitOf(name),
      onSlow: (typeUrl) => this.#authorities.refresh(typeUrl),
      onChange: () => this.#synchronizer.schedule(),
    });
    this.#hosts = this.#createHosts();
    this.#synchronizer = this.#createSynchronizer();
    this.#synchronizer.published.subscribe(() => this.#hosts.settle());
    this.#caches = new AuthorityCaches({
      names: this.#authorities.names,
      cacheOf,
      store: this.#store,
      clock,
      logger,
      report: this.#report,
    });
    this.#listeners = new WantedListeners(options, (names) => this.#subscribe(LISTENER, names));
    this.#isAnswered = !this.#listeners.isWildcard;
    const { missingTimeoutMs = MISSING_TIMEOUT_MS, holdsProcess = true } = options;
    this.#holdTimer = clock.schedule(missingTimeoutMs, () => {}, holdsProcess);
    this.#starting = this.#start();
  }

  get published(): Signal<PublishedSnapshot> {
    return this.#synchronizer.published;
  }

  get connected(): Signal<ConnectionState> {
    return this.#connected;
  }

  setNode(node: Node): void {
    this.#channels.setNode(encodeNode(node));
  }

  setInboundNames(names: readonly string[]): void {
    this.#listeners.setInbound(names);
    this.#synchronizer.schedule();
  }

  wantListener(name: string): Unsubscribe {
    const release = this.#listeners.want(name);
    this.#synchronizer.schedule();
    return () => {
      release();
      this.#synchronizer.schedule();
    };
  }

  wantVirtualHost(table: string, host: string, done: (isThere: boolean) => void): Unsubscribe {
    return this.#hosts.ask(table, host, done);
  }

  status(): readonly ResourceStatus[] {
    return [...this.#store.statuses()];
  }

  servers(): readonly ServerStatus[] {
    return this.#authorities
      .states()
      .map((state) => ({ ...state, savedAtMs: this.#caches.savedAt(state.authority) }));
  }

  serverOf(name: string): ServerLink | undefined {
    const channel = this.#authorities.of(canonicalName(name))?.channel;
    return channel && { key: channel.server.key, open: channel.open };
  }

  isTrusted(name: string): boolean {
    return this.#authorities.of(canonicalName(name))?.channel?.server.features.isTrusted === true;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#hosts.close();
    await this.#starting;
    await this.#channels.close();
    this.#synchronizer.close();
    this.#holdTimer.cancel();
    this.#missingTimer.cancel();
    this.#setConnected('disconnected');
    await this.#caches.close();
  }

  #createSynchronizer(): Synchronizer {
    return new Synchronizer({
      clock: this.#options.clock,
      store: this.#store,
      view: (isFirst) => ({
        ...storeView(this.#store, this.#authorities, isFirst),
        onTaken: (table, host, domain) =>
          this.#report(takenDomain(table, host, domain), {
            typeUrl: VIRTUAL_HOST.typeUrl,
            name: `${table}/${host}`,
          }),
      }),
      roots: () => this.#store.known(LISTENER.typeUrl),
      followed: {
        clusters: this.#options.clusterNames,
        secrets: this.#options.secretNames,
        runtime: this.#options.runtime,
      },
      isAnswered: () =>
        this.#isAnswered &&
        this.#listeners.collections.every((name) => !this.#isUnanswered(LISTENER.typeUrl, name)),
      want: (wanted) => this.#want(wanted),
      watch: (missing) => this.#missingTimer.watch(missing.filter((one) => this.#isAsked(one))),
      onChange: () => {
        this.#holdTimer.cancel();
        this.#caches.call();
      },
    });
  }

  #createHosts(): OnDemandHosts {
    const { clock, missingTimeoutMs = MISSING_TIMEOUT_MS } = this.#options;
    const { typeUrl } = VIRTUAL_HOST;
    return new OnDemandHosts({
      clock,
      timeoutMs: missingTimeoutMs,
      typeUrl,
      isServed: (name) => this.#authorities.of(name) !== undefined,
      isHeld: (name) => typeof this.#store.find(VIRTUAL_HOST, name) === 'object',
      isInForce: (table, name) => {
        const host = this.#store.find(VIRTUAL_HOST, name);
        if (typeof host !== 'object') return false;
        const { outbound } = this.published.value.snapshot;
        const users = [...outbound.values()].flatMap(({ routes }) =>
          routes !== undefined && canonicalName(routes.name) === table ? [routes] : [],
        );
        return users.length > 0 && users.every((routes) => hasHost(routes, host));
      },
      onChange: () => this.#subscribeHosts(),
    });
  }

  #createChannels(): Channels {
    const { node, clock, random, openStream } = this.#options;
    return new Channels({
      node: encodeNode(node),
      clock,
      random,
      openStream,
      isUrgent: () => this.published.value.source === 'none',
      createProtocol: (_, users, current, kind) =>
        createEngine(kind, { node: current, held: this.#heldBy(users), random }),
      receive: (received, { server }) => this.#receive(received, server.features),
    });
  }

  /** What a channel may take as told by itself: nothing of authorities that do not use it. */
  #heldBy(users: { has(user: ChannelUser): boolean }): HeldResources {
    if (this.#authorities.isSingle) return this.#store;
    const isOwn = (name: string) => {
      const authority = this.#authorities.of(name);
      return authority !== undefined && users.has(authority);
    };
    return {
      get: (typeUrl, name) => this.#store.get(typeUrl, name),
      names: (typeUrl) => [...this.#store.names(typeUrl)].filter(isOwn),
    };
  }

  async #start(): Promise<void> {
    const savedAt = await this.#caches.restore();
    if (savedAt !== undefined) {
      this.#holdTimer.cancel();
      this.#synchronizer.publishCached(savedAt);
    }
    if (!this.#isClosed) this.#authorities.start();
  }

  #stateChanged(authority: Authority, error: MeshError | undefined): void {
    for (const { typeUrl } of CLIENT_TYPES) {
      const isOwn = (name: string) => this.#authorities.of(name) === authority;
      this.#store.setConnected(typeUrl, authority.isReady(typeUrl), isOwn);
    }
    if (error !== undefined) this.#outages.lost(error, this.published.value.source !== 'none');
    // Whoever answers is waited for; others go on without what a lost one answers for.
    this.#missingTimer.cancel();
    if (authority.state === 'connected' || !this.#authorities.isSingle) this.#synchronizer.schedule();
    if (authority === this.#authorities.primary) this.#setConnected(authority.state, error);
  }

  #receive(received: Received, features: ServerFeatures): void {
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
      // That there is none is told like an absence: by those who need it.
      if (change.kind === 'failed' && !isAbsence(change.code))
        this.#report(change.error, { typeUrl: type.typeUrl, name });
      this.#store.apply(change, keepsValue(change, features));
    }
    if (received.typeUrl === VIRTUAL_HOST.typeUrl) this.#receiveHosts(received);
    // A listener response of which nothing could be read tells nothing about what listeners there are.
    const isUsable = received.changes.length > 0 || received.errors.length === 0;
    if (received.typeUrl === LISTENER.typeUrl && isUsable) this.#isAnswered = true;
    this.#synchronizer.schedule(changedAssignments(received));
  }

  #receiveHosts(received: Received): void {
    // It is not told which request a response answers: with the first one it is known what hosts tables begin with.
    for (const name of this.#hosts.tables) {
      if (this.#store.isUnanswered(VIRTUAL_HOST.typeUrl, name))
        this.#store.apply({ kind: 'removed', type: VIRTUAL_HOST, name }, false);
    }
    this.#hosts.receive(received);
    this.#subscribeHosts();
  }

  #isUnanswered(typeUrl: string, name: string): boolean {
    if (name === WILDCARD) return !this.#isAnswered;
    if (!isCollection(name)) return this.#store.isUnanswered(typeUrl, name);
    const authority = this.#authorities.of(name);
    return authority !== undefined && !authority.isDown && !authority.hasAnswered(typeUrl);
  }

  #want(wanted: Resolution['wanted']): void {
    this.#subscribe(TYPE_OF.routes, wanted.routes);
    this.#hosts.setTables(wanted.tables);
    this.#subscribeHosts();
    this.#subscribe(TYPE_OF.cluster, wanted.clusters);
    this.#subscribe(TYPE_OF.assignment, wanted.assignments);
    this.#subscribe(TYPE_OF.secret, wanted.secrets);
    this.#subscribe(TYPE_OF.extension, wanted.extensions);
    this.#subscribe(TYPE_OF.runtime, wanted.runtimes);
  }

  #subscribeHosts(): void {
    const names = this.#hosts.names();
    if (names.size === 0 && !this.#hadHosts) return;
    this.#hadHosts = true;
    this.#subscribe(VIRTUAL_HOST, names, (name) => !this.#hosts.isAlias(name));
  }

  /** `isKept`: whether something is held under a name itself. */
  #subscribe(type: DecodableType, spelled: ReadonlySet<string>, isKept?: (name: string) => boolean): void {
    // It would open the channels of authorities that were never needed before.
    if (this.#isClosed) return;
    const names = canonicalNames(spelled);
    this.#store.retain(type.typeUrl, isKept === undefined ? names : new Set([...names].filter(isKept)));
    this.#authorities.subscribe(this.#types.get(type.typeUrl) ?? type, names);
  }

  /** gRFC A88: where the server tells of what it can't send, silence is an outage, and is borne twice as long. */
  #limitOf(name: string): { timeoutMs: number; isOutage: boolean } {
    const isOutage = this.#authorities.of(name)?.channel?.server.features.timerIsTransientError === true;
    const { missingTimeoutMs = MISSING_TIMEOUT_MS } = this.#options;
    return { timeoutMs: isOutage ? 2 * missingTimeoutMs : missingTimeoutMs, isOutage };
  }

  /** Whether a server that answers is asked for it. */
  #isAsked({ kind, name }: MissingResource): boolean {
    return this.#authorities.of(name)?.isReady(TYPE_OF[kind].typeUrl) === true;
  }

  #setConnected(state: ConnectionState['state'], error = this.#connected.value.lastError): void {
    const since = this.#options.clock.wallTime();
    this.#connected.set(error === undefined ? { state, since } : { state, since, lastError: error });
  }
}
