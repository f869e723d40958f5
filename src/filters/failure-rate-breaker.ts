import { EventEmitter } from 'node:events';
import type CircuitBreaker from 'opossum';
import type { Clock, Timer } from '../runtime/clock.js';
import { isEqual } from '../runtime/equal.js';
import { MeshError } from '../runtime/errors.js';
import { localReply } from '../service/local-reply.js';
import type { Filter, Request, Response, Service } from '../service/service.js';
import { TransportError } from '../service/transport-error.js';

/** The failure-rate breaker of one destination: opens when too large a share of its requests fails. */
export interface FailureRateBreakerOptions {
  /**
   * What it watches: a whole cluster as its callers see it, after timeouts and retries; or each host by its attempts, so
   * that others serve while one is left out. Default `cluster`.
   */
  readonly scope?: 'cluster' | 'host';
  /** Share of failures in percent above which it opens. Default 50. */
  readonly errorThresholdPercentage?: number;
  /** Requests in the window below which it never opens. Default 20. */
  readonly minimumRequests?: number;
  /** Length of the window in milliseconds. Default 10 000. */
  readonly windowMs?: number;
  /** How long it stays open before one probe is let through, in milliseconds. Default 30 000. */
  readonly resetTimeoutMs?: number;
  /** What counts as a failure besides an attempt without response. Default: status 500 and above. */
  readonly isFailure?: (response: Response) => boolean;
  /** Answers while it is open; by default 503 with flag UO and reason `INMESH_FAILURE_RATE_OPEN`. */
  readonly fallback?: (request: Request) => Response | Promise<Response>;
  /** Hears `open`, `halfOpen` and `close`; `host` is the address of the host where each has a breaker of its own. */
  readonly onStateChange?: (
    state: 'open' | 'halfOpen' | 'close',
    clusterName: string,
    host: string | undefined,
  ) => void;
}

/** The breakers of a cluster's hosts. */
export interface HostBreakers {
  /** Whether a host gets no request now. */
  isOpen(host: BreakerHost): boolean;
  /** The breaker around attempts at a host; it answers for it while it is open. */
  of(host: BreakerHost): Filter;
}

/** What a breaker has to know of its host. */
export interface BreakerHost {
  readonly address: string;
  /** Whether it is gone for good. */
  readonly isRetired: boolean;
}

/** Makes failure-rate breakers that share one timer. */
export interface FailureRateBreakers {
  filter(clusterName: string, options: FailureRateBreakerOptions): Filter;
  hosts(clusterName: string, options: FailureRateBreakerOptions): HostBreakers;
  close(): void;
}

const BUCKETS = 10;

/** A failed response on its way through opossum, which counts thrown errors only. */
class FailedResponse extends Error {
  readonly response: Response;

  constructor(response: Response) {
    super(`status ${response.status}`);
    this.response = response;
  }
}

/**
 * Loads opossum and makes breakers with it: percentiles and snapshots are off (they cost milliseconds per failure
 * under load), its own time-out is off (timeouts are the mesh's), and all breakers of one window length share a
 * timer.
 */
export async function loadFailureRateBreakers(clock: Clock): Promise<FailureRateBreakers> {
  const { default: Breaker } = await import('opossum');
  // By options, too: with others it is another breaker.
  const clusters = new Map<
    string,
    { readonly options: FailureRateBreakerOptions; readonly breaker: OpossumBreaker }
  >();
  const hosts = new Map<
    string,
    { readonly options: FailureRateBreakerOptions; readonly breakers: HostBreakers }
  >();
  const rotations = new Map<number, Rotation>();
  const make = (options: FailureRateBreakerOptions, place: BreakerPlace): OpossumBreaker => {
    const { windowMs = 10_000 } = options;
    const rotation = rotations.get(windowMs) ?? new Rotation(windowMs / BUCKETS, clock);
    rotations.set(windowMs, rotation);
    const own = new EventEmitter();
    const made: OpossumBreaker = new Breaker(
      judge(options, place),
      breakerOptions(options, own, () => made.halfOpen),
    );
    rotation.add(own, made, place.host);
    // What led to its opening is over: else those failures, still in the window, would open it again.
    made.on('close', () => turn(own, BUCKETS));
    watch(made, place, options);
    return made;
  };
  return {
    filter(clusterName, options) {
      // A rebuilt stack keeps its breaker: a configuration push must not close an open one.
      const place = { clusterName, host: undefined };
      const known = clusters.get(clusterName);
      if (known !== undefined && works(known.options, options)) return guard(known.breaker, place, options);
      known?.breaker.shutdown();
      const breaker = make(options, place);
      clusters.set(clusterName, { options, breaker });
      return guard(breaker, place, options);
    },
    hosts(clusterName, options) {
      const known = hosts.get(clusterName);
      if (known !== undefined && works(known.options, options)) return known.breakers;
      const breakers = hostBreakers(clusterName, options, make);
      hosts.set(clusterName, { options, breakers });
      return breakers;
    },
    close() {
      for (const rotation of rotations.values()) rotation.stop();
    },
  };
}

/** Whether a breaker of the one works as the other says; who hears of it does not matter. */
function works(
  { onStateChange: _one, ...one }: FailureRateBreakerOptions,
  { onStateChange: _other, ...other }: FailureRateBreakerOptions,
): boolean {
  return isEqual(one, other);
}

type OpossumBreaker = CircuitBreaker<[Request, Service], Response>;

/** What a breaker watches. */
interface BreakerPlace {
  readonly clusterName: string;
  readonly host: BreakerHost | undefined;
}

function hostBreakers(
  clusterName: string,
  options: FailureRateBreakerOptions,
  make: (options: FailureRateBreakerOptions, place: BreakerPlace) => OpossumBreaker,
): HostBreakers {
  const known = new WeakMap<BreakerHost, { readonly breaker: OpossumBreaker; readonly filter: Filter }>();
  return {
    isOpen(host) {
      const one = known.get(host);
      return one !== undefined && refusesNow(one.breaker);
    },
    of(host) {
      let one = known.get(host);
      if (one === undefined) {
        const place = { clusterName, host };
        const breaker = make(options, place);
        one = { breaker, filter: guard(breaker, place, options) };
        known.set(host, one);
      }
      return one.filter;
    },
  };
}

/** Half open it lets one probe pass at a time. */
function refusesNow(breaker: OpossumBreaker): boolean {
  return breaker.opened || (breaker.halfOpen && !breaker.pendingClose);
}

function turn(emitter: EventEmitter, times: number): void {
  for (let i = 0; i < times; i++) emitter.emit('rotate');
}

function breakerOptions(
  options: FailureRateBreakerOptions,
  rotation: EventEmitter,
  isProbing: () => boolean,
): CircuitBreaker.Options {
  return {
    timeout: false,
    errorThresholdPercentage: options.errorThresholdPercentage ?? 50,
    volumeThreshold: options.minimumRequests ?? 20,
    rollingCountTimeout: options.windowMs ?? 10_000,
    rollingCountBuckets: BUCKETS,
    resetTimeout: options.resetTimeoutMs ?? 30_000,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
    rotateBucketController: rotation,
    // A caller that gives up says nothing about the service. A probe that is given up has proved nothing either, and
    // what this filter lets pass would close the breaker.
    errorFilter: (error: unknown) => TransportError.is(error) && error.failure === 'aborted' && !isProbing(),
  };
}

function judge(
  options: FailureRateBreakerOptions,
  { host }: BreakerPlace,
): (request: Request, next: Service) => Promise<Response> {
  const isFailure = options.isFailure ?? ((response) => response.status >= 500);
  return async (request, next) => {
    const response = await next(request);
    // An answer that was made here says nothing about a host.
    const isHosts = host === undefined || response.local === undefined;
    if (isHosts && isFailure(response)) throw new FailedResponse(response);
    return response;
  };
}

function watch(
  breaker: OpossumBreaker,
  { clusterName, host }: BreakerPlace,
  { onStateChange: tell }: FailureRateBreakerOptions,
): void {
  if (tell === undefined) return;
  breaker.on('open', () => tell('open', clusterName, host?.address));
  breaker.on('halfOpen', () => tell('halfOpen', clusterName, host?.address));
  breaker.on('close', () => tell('close', clusterName, host?.address));
}

function guard(breaker: OpossumBreaker, place: BreakerPlace, options: FailureRateBreakerOptions): Filter {
  const refuse = (request: Request) => options.fallback?.(request) ?? open(request, place);
  return async (request, next) => {
    // Of a host that is gone, or a mesh that is closed: what still runs there is not judged any more.
    if (breaker.isShutdown) return next(request);
    // opossum counts what it refuses as a success: after a busy outage it would not open again.
    if (refusesNow(breaker)) return refuse(request);
    try {
      return await breaker.fire(request, next);
    } catch (error) {
      if (error instanceof FailedResponse) return error.response;
      throw error;
    }
  };
}

function open(request: Request, { clusterName, host }: BreakerPlace): Response {
  const error = new MeshError('INMESH_FAILURE_RATE_OPEN', 'too many requests failed, none is sent for now', {
    resource: host === undefined ? clusterName : `${clusterName} at ${host.address}`,
    flags: ['UO'],
  });
  return localReply(request, {
    status: 503,
    body: error.message,
    details: 'failure_rate_open',
    reason: error.code,
    flag: 'UO',
    headers: [['x-envoy-overloaded', 'true']],
  });
}

/** Turns the windows of all breakers of one length with a single timer, and lets go of those that are gone. */
class Rotation {
  readonly #members = new Map<
    OpossumBreaker,
    { readonly window: EventEmitter; host: BreakerHost | undefined }
  >();
  #timer: Timer;

  constructor(intervalMs: number, clock: Clock) {
    const next = () => {
      this.#turn();
      this.#timer = clock.schedule(intervalMs, next);
    };
    this.#timer = clock.schedule(intervalMs, next);
  }

  add(window: EventEmitter, breaker: OpossumBreaker, host: BreakerHost | undefined): void {
    this.#members.set(breaker, { window, host });
  }

  stop(): void {
    this.#timer.cancel();
    for (const breaker of this.#members.keys()) breaker.shutdown();
    this.#members.clear();
  }

  #turn(): void {
    for (const [breaker, { window, host }] of this.#members) {
      if (host?.isRetired !== true && !breaker.isShutdown) {
        turn(window, 1);
        continue;
      }
      breaker.shutdown();
      this.#members.delete(breaker);
    }
  }
}
