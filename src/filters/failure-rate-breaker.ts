import { EventEmitter } from 'node:events';
import type CircuitBreaker from 'opossum';
import type { Clock, Timer } from '../runtime/clock.js';
import { MeshError } from '../runtime/errors.js';
import { localReply } from '../service/local-reply.js';
import type { Filter, Request, Response, Service } from '../service/service.js';
import { TransportError } from '../service/transport-error.js';

/** The failure-rate breaker of one destination: opens when too large a share of its requests fails. */
export interface FailureRateBreakerOptions {
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
  /** Hears `open`, `halfOpen` and `close`. */
  readonly onStateChange?: (state: 'open' | 'halfOpen' | 'close', clusterName: string) => void;
}

/** Makes failure-rate breakers that share one timer. */
export interface FailureRateBreakers {
  filter(clusterName: string, options: FailureRateBreakerOptions): Filter;
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
  const breakers = new Map<string, CircuitBreaker<[Request, Service], Response>>();
  const rotations = new Map<number, Rotation>();
  const rotationOf = (windowMs: number) => {
    const known = rotations.get(windowMs) ?? new Rotation(windowMs / BUCKETS, clock);
    rotations.set(windowMs, known);
    return known.emitter;
  };
  return {
    filter(clusterName, options) {
      // A rebuilt stack keeps its breaker: a configuration push must not close an open one.
      let breaker = breakers.get(clusterName);
      if (breaker === undefined) {
        const made: CircuitBreaker<[Request, Service], Response> = new Breaker(
          judge(options),
          breakerOptions(options, rotationOf(options.windowMs ?? 10_000), () => made.halfOpen),
        );
        breaker = made;
        watch(made, clusterName, options);
        breakers.set(clusterName, made);
      }
      return guard(breaker, clusterName, options);
    },
    close() {
      for (const breaker of breakers.values()) breaker.shutdown();
      for (const rotation of rotations.values()) rotation.stop();
    },
  };
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

function judge(options: FailureRateBreakerOptions): (request: Request, next: Service) => Promise<Response> {
  const isFailure = options.isFailure ?? ((response) => response.status >= 500);
  return async (request, next) => {
    const response = await next(request);
    if (isFailure(response)) throw new FailedResponse(response);
    return response;
  };
}

function watch(
  breaker: CircuitBreaker<[Request, Service], Response>,
  clusterName: string,
  options: FailureRateBreakerOptions,
): void {
  const tell = options.onStateChange;
  if (tell === undefined) return;
  breaker.on('open', () => tell('open', clusterName));
  breaker.on('halfOpen', () => tell('halfOpen', clusterName));
  breaker.on('close', () => tell('close', clusterName));
}

function guard(
  breaker: CircuitBreaker<[Request, Service], Response>,
  clusterName: string,
  options: FailureRateBreakerOptions,
): Filter {
  const refuse = (request: Request) => options.fallback?.(request) ?? open(request, clusterName);
  return async (request, next) => {
    // opossum counts what it refuses as a success: after a busy outage it would not open again.
    if (breaker.opened || (breaker.halfOpen && !breaker.pendingClose)) return refuse(request);
    try {
      return await breaker.fire(request, next);
    } catch (error) {
      if (error instanceof FailedResponse) return error.response;
      throw error;
    }
  };
}

function open(request: Request, clusterName: string): Response {
  const error = new MeshError('INMESH_FAILURE_RATE_OPEN', 'too many requests failed, none is sent for now', {
    resource: clusterName,
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

/** Turns the windows of all breakers of one length with a single timer. */
class Rotation {
  readonly emitter = new EventEmitter().setMaxListeners(0);
  #timer: Timer;

  constructor(intervalMs: number, clock: Clock) {
    const turn = () => {
      this.emitter.emit('rotate');
      this.#timer = clock.schedule(intervalMs, turn);
    };
    this.#timer = clock.schedule(intervalMs, turn);
  }

  stop(): void {
    this.#timer.cancel();
  }
}
