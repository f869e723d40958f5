import { formatAddress } from '../model/address.js';
import type { Endpoint, EndpointHealth, Locality } from '../model/endpoint.js';
import type { Service } from '../service/service.js';
import type { CheckState } from './health/state.js';
import type { LoadCounts } from './load/load-counts.js';
import type { HostLoad } from './orca/host-load.js';
import { OutlierState } from './outlier/state.js';
import type { EndpointTransport } from './transport.js';

/** What load balancing may do with a host. */
export type HostHealth = 'healthy' | 'degraded' | 'unhealthy';

/** Attempts since a host is known, by outcome. */
export interface HostTotals {
  requests: number;
  successes: number;
  /** Got a 5xx. */
  failures: number;
  /** Got no response. */
  errors: number;
}

const NO_TOTALS: Readonly<HostTotals> = { requests: 0, successes: 0, failures: 0, errors: 0 };

/** Where a host stands in its cluster. */
export interface HostPlace {
  readonly endpoint: Endpoint;
  readonly locality: Locality;
  readonly priority: number;
}

/** Makes the transport of a host. */
export type OpenTransport = (endpoint: Endpoint) => EndpointTransport;

/**
 * An endpoint and its run-time state in this process. It outlives updates that leave its address and its transport as
 * they are, and so do its connections, counters and ejections.
 */
export class Host {
  /** `address:port`. */
  readonly address: string;
  /** Attempts under way: from sending until the trailers settle. */
  activeRequests = 0;
  /** Whether outlier detection has taken it out. */
  ejected = false;
  /** Whether outlier detection holds it for degraded, by its own word. */
  outlierDegraded = false;
  /** What active health checks hold of it; undefined = it is not checked. */
  check: CheckState | undefined = undefined;
  /** Since when it is healthy without a failed check between, as slow start counts it; set where that matters. */
  healthySinceMs: number | undefined = undefined;
  /** What it says of its load; undefined where nobody asks. */
  load: HostLoad | undefined = undefined;
  /** What went to it and is to be reported; undefined where nobody reports. */
  counts: LoadCounts | undefined = undefined;
  #totals: HostTotals | undefined;
  #leave: (() => void) | undefined;
  #outlier: OutlierState | undefined;
  readonly #open: OpenTransport;
  #endpoint: Endpoint;
  #locality: Locality;
  #priority: number;
  #transport: EndpointTransport | undefined;
  #retired = false;

  /** `address` is that of the endpoint as text, where it is known already: thousands of hosts share it with their index. */
  constructor(place: HostPlace, open: OpenTransport, address = formatAddress(place.endpoint.address)) {
    this.address = address;
    this.#endpoint = place.endpoint;
    this.#locality = place.locality;
    this.#priority = place.priority;
    this.#open = open;
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  /** Name of the endpoint; empty when it has none. */
  get hostname(): string {
    return this.#endpoint.hostname;
  }

  /** Envoy metadata of the endpoint by namespace, for format strings. */
  get metadata(): Readonly<Record<string, unknown>> {
    const { metadata, transportSocketMatch } = this.#endpoint;
    // The model keeps this namespace apart, because connections depend on it.
    return { ...metadata, 'envoy.transport_socket_match': transportSocketMatch };
  }

  get locality(): Locality {
    return this.#locality;
  }

  get priority(): number {
    return this.#priority;
  }

  /** Load-balancing weight, at least 1. */
  get weight(): number {
    return this.#endpoint.weight;
  }

  /** What became of its attempts. */
  get totals(): Readonly<HostTotals> {
    return this.#totals ?? NO_TOTALS;
  }

  /** The totals to count in: made by the first attempt, as most endpoints of a large mesh never see one. */
  get tally(): HostTotals {
    this.#totals ??= { ...NO_TOTALS };
    return this.#totals;
  }

  /** Counts the status that an attempt ended with; for calls of gRPC the equivalent of theirs. */
  count(status: number): void {
    if (status >= 500) this.tally.failures++;
    else this.tally.successes++;
  }

  /** Made on first use: most clusters have no outlier detection. */
  get outlier(): OutlierState {
    this.#outlier ??= new OutlierState();
    return this.#outlier;
  }

  /** Envoy: the worst of the control plane's word, outlier detection and active health checks. */
  get health(): HostHealth {
    const { check } = this;
    if (this.ejected || check?.failed === true) return 'unhealthy';
    switch (this.#endpoint.health) {
      case 'unknown':
      case 'healthy':
        return this.outlierDegraded || check?.degraded === true ? 'degraded' : 'healthy';
      case 'degraded':
        return 'degraded';
      default:
        return 'unhealthy';
    }
  }

  /** Envoy `healthStatus`: the control plane's word, unless something here says worse. */
  get status(): EndpointHealth {
    const { check } = this;
    if (this.ejected || check?.failed === true) return 'unhealthy';
    const { health } = this.#endpoint;
    if (health === 'unhealthy' || health === 'draining' || health === 'timeout') return health;
    return this.outlierDegraded || check?.degraded === true ? 'degraded' : health;
  }

  /**
   * Envoy: a draining host, one that asked for no traffic, and a new one that is to be checked first leave the
   * denominators; an unhealthy one does not.
   */
  get isExcluded(): boolean {
    const { check } = this;
    return this.#endpoint.health === 'draining' || (check !== undefined && (check.pending || check.excluded));
  }

  /** Whether nobody knows it any more. */
  get isRetired(): boolean {
    return this.#retired;
  }

  /** Takes over what an update may change in place: weight, health, locality, priority, labels. */
  move(place: HostPlace): void {
    this.#endpoint = place.endpoint;
    this.#locality = place.locality;
    this.#priority = place.priority;
  }

  /** Counts an attempt in and gives the way to the endpoint, which is opened on first use. */
  enter(): Service {
    return this.#enter().service;
  }

  /** The same for a connection of any kind: the way to make one. Undefined when the transport can't. */
  enterConnection(): EndpointTransport['dial'] {
    return this.#enter().dial;
  }

  /** Counts an attempt out; one function for all attempts. */
  get leave(): () => void {
    this.#leave ??= () => {
      this.activeRequests--;
      // An old stack may still send through a host that is gone: what it opened is closed with its last exchange.
      if (this.#retired && this.activeRequests === 0) this.#close().catch(ignore);
    };
    return this.#leave;
  }

  /** The next attempt makes connections of its own; the present ones finish what they carry. */
  renew(): Promise<void> {
    return this.#close();
  }

  /** Lets running exchanges finish, then closes the connections; undefined when there never was one. */
  retire(): Promise<void> | undefined {
    this.#retired = true;
    return this.#transport === undefined ? undefined : this.#close();
  }

  #enter(): EndpointTransport {
    this.activeRequests++;
    this.tally.requests++;
    this.#transport ??= this.#open(this.#endpoint);
    return this.#transport;
  }

  #close(): Promise<void> {
    const transport = this.#transport;
    this.#transport = undefined;
    return transport === undefined ? Promise.resolve() : transport.close();
  }
}

/** A transport that can't close has nobody left to tell. */
function ignore(): void {}
