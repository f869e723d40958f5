import type { RuntimeKeys } from './runtime.js';

/** Envoy AdaptiveConcurrency with its gradient controller. */
export interface AdaptiveConcurrencyConfig {
  readonly kind: 'adaptive-concurrency';
  /** Whether it does anything. Default true. */
  readonly enabled: boolean;
  /** Which percentile of a window's latencies stands for it. Default 50. */
  readonly percentile: number;
  /** Default 1000. */
  readonly maxLimit: number;
  /** How often the limit is computed anew. */
  readonly updateIntervalMs: number;
  /** How often the latency without load is measured anew. */
  readonly minRttIntervalMs: number;
  /** Requests of such a measurement. Default 50. */
  readonly minRttRequests: number;
  /** What is added to the interval between measurements at random, in percent of it. Default 15. */
  readonly jitterPercent: number;
  /** The limit during a measurement, and the lowest one. Default 3. */
  readonly minConcurrency: number;
  /** What latencies may exceed the measured one by without being a sign of load, in percent. Default 25. */
  readonly bufferPercent: number;
  /** Status of refused requests. Default 503. */
  readonly refusedStatus: number;
  readonly runtimeKeys?: RuntimeKeys<'enabled'> | undefined;
}

/** Envoy AdmissionControl. */
export interface AdmissionControlConfig {
  readonly kind: 'admission-control';
  /** Whether it does anything. Default true. */
  readonly enabled: boolean;
  /** Ranges of HTTP status that are a success; the end is exclusive. Default: below 500. */
  readonly httpSuccess: readonly StatusSpan[];
  /** gRPC statuses that are a success. */
  readonly grpcSuccess: readonly number[];
  /** Over how long successes are counted. Default 30 s. */
  readonly windowMs: number;
  /** Exponent of the chance to refuse: above 1 it rises faster at first. Default 1. */
  readonly aggression: number;
  /** Success rate in percent from which on nothing is refused. Default 95. */
  readonly successThresholdPercent: number;
  /** Requests per second below which nothing is refused. Default 0. */
  readonly rpsThreshold: number;
  /** The chance to refuse in percent is never higher. Default 80. */
  readonly maxRejectionPercent: number;
  readonly runtimeKeys?:
    | RuntimeKeys<
        'enabled' | 'aggression' | 'successThresholdPercent' | 'rpsThreshold' | 'maxRejectionPercent'
      >
    | undefined;
}

export interface StatusSpan {
  readonly start: number;
  readonly end: number;
}
