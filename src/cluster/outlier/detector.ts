import type { OutlierDetection } from '../../model/cluster.js';
import { type Random, randomInt } from '../../runtime/random.js';
import type { EjectionEvent } from '../../service/observer.js';
import type { Host } from '../host.js';
import { COUNTERS, countFailure, type DetectorType, resetCounters } from './consecutive.js';

/** What happened to an attempt before any status: Envoy's local-origin results. */
export type LocalOriginResult = 'connect-success' | 'connect-failure' | 'timeout';

export interface OutlierTools {
  readonly random: Random;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Every host of the cluster, all priorities, by address. */
  readonly hosts: () => ReadonlyMap<string, Host>;
  /** Hosts were ejected or taken back. */
  readonly onChange: () => void;
  readonly onEvent: (event: Omit<EjectionEvent, 'cluster'>) => void;
}

/** Envoy's outlier detection of one cluster as a state machine: results and ticks in, ejections out. */
export class OutlierDetector {
  readonly #config: OutlierDetection;
  readonly #tools: OutlierTools;
  /** Ejections that the percentage did not allow. */
  overflows = 0;

  constructor(config: OutlierDetection, tools: OutlierTools) {
    this.#config = config;
    this.#tools = tools;
  }

  /** A response came; for gRPC the HTTP equivalent of a `grpc-status` in its headers. */
  reportStatus(host: Host, status: number): void {
    const state = host.outlier;
    if (status < 500 || status > 599) {
      state.consecutive5xx = 0;
      state.consecutiveGatewayFailure = 0;
      return;
    }
    if (status < 502 || status > 504) state.consecutiveGatewayFailure = 0;
    else this.#count(host, 'ConsecutiveGatewayFailure');
    this.#count(host, 'Consecutive5xx');
  }

  /** Something happened on this side of the wire. */
  reportLocalOrigin(host: Host, result: LocalOriginResult): void {
    if (!this.#config.splitExternalLocalOriginErrors) {
      if (result !== 'connect-success') this.reportStatus(host, result === 'timeout' ? 504 : 503);
      return;
    }
    if (result === 'connect-success') host.outlier.consecutiveLocalOriginFailure = 0;
    else this.#count(host, 'ConsecutiveLocalOriginFailure');
  }

  /** The interval passed. Returns whether a later tick has anything to do. */
  tick(): boolean {
    const now = this.#tools.now();
    let changed = false;
    let pending = false;
    for (const host of this.#tools.hosts().values()) {
      if (host.ejected && this.#isDue(host, now)) {
        this.#uneject(host, now);
        changed = true;
      }
      this.#coolDown(host, now);
      pending ||= host.ejected || host.outlier.backoff > 0;
    }
    if (changed) this.#tools.onChange();
    return pending;
  }

  #count(host: Host, type: DetectorType): void {
    const fired = countFailure(host.outlier, type, this.#config);
    // Envoy: a host that is out already, or gone, does nothing, not even reset its counter.
    if (!fired || host.ejected || this.#tools.hosts().get(host.address) !== host) return;
    const counter = COUNTERS[type];
    this.#detected(host, type, this.#config[counter].enforcingPercent);
    host.outlier[counter] = 0;
  }

  #detected(host: Host, type: DetectorType, enforcingPercent: number): void {
    if (!this.#mayEject()) {
      this.overflows++;
      return;
    }
    const enforced = randomInt(this.#tools.random, 100) < enforcingPercent;
    if (enforced) this.#eject(host, type);
    this.#tools.onEvent({ host: host.address, action: 'eject', type, enforced });
    if (enforced) this.#tools.onChange();
  }

  #mayEject(): boolean {
    let ejected = 0;
    let total = 0;
    for (const host of this.#tools.hosts().values()) {
      total++;
      if (host.ejected) ejected++;
    }
    if (this.#config.alwaysEjectOneHost && ejected === 0) return true;
    return (100 * (ejected + 1)) / total <= Math.min(100, this.#config.maxEjectionPercent);
  }

  #eject(host: Host, type: DetectorType): void {
    const { baseEjectionTimeMs, maxEjectionTimeMs, maxEjectionTimeJitterMs } = this.#config;
    const state = host.outlier;
    host.ejected = true;
    state.ejectedBy = type;
    state.ejectedAtMs = this.#tools.now();
    state.jitterMs = randomInt(this.#tools.random, maxEjectionTimeJitterMs + 1);
    // Envoy: the back-off grows only as long as it still changes the ejection time.
    if (state.backoff * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs) state.backoff++;
  }

  #isDue({ outlier }: Host, now: number): boolean {
    const { baseEjectionTimeMs, maxEjectionTimeMs } = this.#config;
    const durationMs = Math.min(baseEjectionTimeMs * outlier.backoff, maxEjectionTimeMs) + outlier.jitterMs;
    return durationMs <= now - outlier.ejectedAtMs;
  }

  #uneject(host: Host, now: number): void {
    host.ejected = false;
    host.outlier.unejectedAtMs = now;
    resetCounters(host.outlier);
    const type = host.outlier.ejectedBy;
    this.#tools.onEvent({ host: host.address, action: 'uneject', type, enforced: true });
  }

  #coolDown(host: Host, now: number): void {
    const { backoff, unejectedAtMs } = host.outlier;
    if (host.ejected || backoff === 0 || unejectedAtMs === undefined) return;
    if (now - unejectedAtMs >= this.#config.intervalMs) host.outlier.backoff--;
  }
}
