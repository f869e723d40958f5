import type { OutlierDetection } from '../../model/cluster.js';
import { type Random, remainderOf } from '../../runtime/random.js';
import type { EjectionEvent } from '../../service/observer.js';
import type { Host } from '../host.js';
import { COUNTERS, type ConsecutiveType, countFailure, resetCounters } from './consecutive.js';
import type { Origin, SuccessCounter } from './state.js';
import { type DetectorType, OutlierCounts, type OutlierStats } from './stats.js';
import { judge } from './success-rate.js';

/**
 * What happened to an attempt before any status: Envoy's local-origin results. A connection is final when no status can
 * follow, as for TCP.
 */
export type LocalOriginResult = 'connect-success' | 'connect-success-final' | 'connect-failure' | 'timeout';

/** Index = result; Envoy: a connection alone says nothing, what it was made for will. */
const STATUS_OF: Readonly<Record<LocalOriginResult, number>> = {
  'connect-success': 0,
  'connect-success-final': 200,
  'connect-failure': 503,
  timeout: 504,
};

/** An event without the name of the cluster, which the detector does not know. */
export type OutlierEvent = Omit<EjectionEvent, 'cluster'>;

export interface OutlierTools {
  readonly random: Random;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Every host of the cluster, all priorities, by address. */
  readonly hosts: () => ReadonlyMap<string, Host>;
  /** Hosts were ejected or taken back, degraded or restored. */
  readonly onChange: () => void;
  readonly onEvent: (event: OutlierEvent) => void;
}

/** Envoy's outlier detection of one cluster as a state machine: results and ticks in, ejections out. */
export class OutlierDetector {
  readonly #config: OutlierDetection;
  readonly #tools: OutlierTools;
  readonly #counts = new OutlierCounts();
  /** Hosts that are out; some may have left the cluster meanwhile. */
  readonly #out = new Set<Host>();

  constructor(config: OutlierDetection, tools: OutlierTools) {
    this.#config = config;
    this.#tools = tools;
    // Hosts taken over from an earlier configuration may be out already.
    for (const host of tools.hosts().values()) {
      if (host.ejected) this.#out.add(host);
      // Nobody would restore it.
      if (!config.detectDegradedHosts) host.outlierDegraded = false;
    }
  }

  /** A response came; for gRPC the HTTP equivalent of a `grpc-status` in its headers. */
  reportStatus(host: Host, status: number): void {
    const state = host.outlier;
    const isFailure = status >= 500 && status <= 599;
    count(state.external, !isFailure);
    if (!isFailure) {
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
      const status = STATUS_OF[result];
      if (status !== 0) this.reportStatus(host, status);
      return;
    }
    const isSuccess = result === 'connect-success' || result === 'connect-success-final';
    count(host.outlier.local, isSuccess);
    if (isSuccess) host.outlier.consecutiveLocalOriginFailure = 0;
    else this.#count(host, 'ConsecutiveLocalOriginFailure');
  }

  /** A host said of itself, in an answer that is no failure, that it is degraded. */
  reportDegraded(host: Host): void {
    if (!this.#config.detectDegradedHosts || host.outlierDegraded || !this.#isKnown(host)) return;
    const { baseEjectionTimeMs, maxEjectionTimeMs } = this.#config;
    const state = host.outlier;
    this.#counts.countDetected('Degraded');
    host.outlierDegraded = true;
    state.degradedAtMs = this.#tools.now();
    state.jitterMs = this.#jitter();
    if (state.degradedBackoff * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs) {
      state.degradedBackoff++;
    }
    this.#tell(host, 'eject', 'Degraded', true);
    this.#tools.onChange();
  }

  /** A host that is out passed an active health check: Envoy takes it back without waiting for its time. */
  reportPassedCheck(host: Host): void {
    if (!host.ejected || this.#config.passedCheckUnejects === false) return;
    this.#uneject(host, this.#tools.now());
    this.#tools.onChange();
  }

  /** The interval passed. Returns whether a later tick has anything to do. */
  tick(): boolean {
    const now = this.#tools.now();
    const hosts = this.#tools.hosts();
    let changed = false;
    for (const host of hosts.values()) {
      if (this.#recover(host, now)) changed = true;
      host.outlier.external.rotate();
      host.outlier.local.rotate();
    }
    if (this.#judge('external')) changed = true;
    if (this.#judge('local')) changed = true;
    let pending = false;
    for (const host of hosts.values()) {
      this.#coolDown(host, now);
      if (hasMoreToDo(host)) pending = true;
    }
    if (changed) this.#tools.onChange();
    return pending;
  }

  stats(): OutlierStats {
    return this.#counts.snapshot(this.#ejections());
  }

  #count(host: Host, type: ConsecutiveType): void {
    const fired = countFailure(host.outlier, type, this.#config);
    // Envoy: a host that is out already, or gone, does nothing, not even reset its counter.
    if (!fired || host.ejected || !this.#isKnown(host)) return;
    const counter = COUNTERS[type];
    if (this.#detected(host, type, this.#config[counter].enforcingPercent)) this.#tools.onChange();
    host.outlier[counter] = 0;
  }

  #isKnown(host: Host): boolean {
    return this.#tools.hosts().get(host.address) === host;
  }

  /** Success rate and failure percentage of the interval that ended. True when a host was ejected. */
  #judge(origin: Origin): boolean {
    const { rates, outliers } = judge(this.#tools.hosts(), origin, this.#config);
    this.#counts[origin] = rates;
    let changed = false;
    for (const { host, type, enforcingPercent } of outliers) {
      // The other detector may have ejected it a moment ago.
      if (!host.ejected && this.#detected(host, type, enforcingPercent)) changed = true;
    }
    return changed;
  }

  /** Ejects unless the cap or the enforcing percentage stands against it. True when the host is out now. */
  #detected(host: Host, type: DetectorType, enforcingPercent: number): boolean {
    this.#counts.countDetected(type);
    if (!this.#mayEject()) {
      this.#counts.overflow++;
      return false;
    }
    const enforced = remainderOf(this.#tools.random(), 100) < enforcingPercent;
    if (enforced) this.#eject(host, type);
    this.#tell(host, 'eject', type, enforced);
    return enforced;
  }

  #mayEject(): boolean {
    const ejected = this.#ejections();
    if (this.#config.alwaysEjectOneHost && ejected === 0) return true;
    const percent = (100 * (ejected + 1)) / this.#tools.hosts().size;
    return percent <= Math.min(100, this.#config.maxEjectionPercent);
  }

  /** Number of hosts that are out, without those that left the cluster meanwhile. */
  #ejections(): number {
    for (const host of this.#out) if (!host.ejected || !this.#isKnown(host)) this.#out.delete(host);
    return this.#out.size;
  }

  #eject(host: Host, type: DetectorType): void {
    const { baseEjectionTimeMs, maxEjectionTimeMs } = this.#config;
    const state = host.outlier;
    this.#counts.countEnforced(type);
    this.#out.add(host);
    host.ejected = true;
    state.ejections++;
    state.ejectedBy = type;
    state.ejectedAtMs = this.#tools.now();
    state.jitterMs = this.#jitter();
    // Envoy: the back-off grows only as long as it still changes the ejection time.
    if (state.backoff * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs) state.backoff++;
  }

  #jitter(): number {
    return remainderOf(this.#tools.random(), this.#config.maxEjectionTimeJitterMs + 1);
  }

  /** Takes a host back and restores it when its time has come. True when it did either. */
  #recover(host: Host, now: number): boolean {
    if (!host.ejected && !host.outlierDegraded) return false;
    const { outlier } = host;
    let changed = false;
    if (host.ejected && this.#isOver(outlier.backoff, outlier.jitterMs, now - (outlier.ejectedAtMs ?? now))) {
      this.#uneject(host, now);
      changed = true;
    }
    const { degradedBackoff, degradedAtMs, jitterMs } = outlier;
    if (host.outlierDegraded && this.#isOver(degradedBackoff, jitterMs, now - degradedAtMs)) {
      host.outlierDegraded = false;
      outlier.undegradedAtMs = now;
      this.#tell(host, 'uneject', 'Degraded', true);
      changed = true;
    }
    return changed;
  }

  #isOver(backoff: number, jitterMs: number, sinceMs: number): boolean {
    const { baseEjectionTimeMs, maxEjectionTimeMs } = this.#config;
    return Math.min(baseEjectionTimeMs * backoff, maxEjectionTimeMs) + jitterMs <= sinceMs;
  }

  #uneject(host: Host, now: number): void {
    host.ejected = false;
    this.#out.delete(host);
    host.outlier.unejectedAtMs = now;
    resetCounters(host.outlier);
    this.#tell(host, 'uneject', host.outlier.ejectedBy, true);
  }

  #coolDown(host: Host, now: number): void {
    const { outlier } = host;
    const { intervalMs } = this.#config;
    const isQuiet = (sinceMs: number | undefined) => sinceMs !== undefined && now - sinceMs >= intervalMs;
    if (!host.ejected && outlier.backoff > 0 && isQuiet(outlier.unejectedAtMs)) outlier.backoff--;
    if (!host.outlierDegraded && outlier.degradedBackoff > 0 && isQuiet(outlier.undegradedAtMs))
      outlier.degradedBackoff--;
  }

  #tell(host: Host, action: EjectionEvent['action'], type: string, enforced: boolean): void {
    const { outlier } = host;
    // Envoy: an ejection tells how long ago the last return was, a return how long ago the last ejection was.
    const lastMs = action === 'eject' ? outlier.unejectedAtMs : outlier.ejectedAtMs;
    this.#tools.onEvent({
      host: host.address,
      action,
      type,
      enforced,
      ejections: outlier.ejections,
      sinceLastActionMs: lastMs === undefined ? undefined : this.#tools.now() - lastMs,
      successRate: this.#rateOf(host, action, type),
    });
  }

  /** The figures that the statistical detectors went by. */
  #rateOf(host: Host, action: EjectionEvent['action'], type: string): EjectionEvent['successRate'] {
    if (action === 'uneject' || !/^(SuccessRate|FailurePercentage)/.test(type)) return undefined;
    const origin: Origin = type.endsWith('LocalOrigin') ? 'local' : 'external';
    return { host: host.outlier[origin].rate, ...this.#counts[origin] };
  }
}

function count(counter: SuccessCounter, isSuccess: boolean): void {
  counter.total++;
  if (isSuccess) counter.successes++;
}

/** Whether a tick that nothing new leads up to would change anything of a host. */
function hasMoreToDo({ ejected, outlierDegraded, outlier }: Host): boolean {
  const { external, local, backoff, degradedBackoff } = outlier;
  return (
    ejected ||
    outlierDegraded ||
    backoff > 0 ||
    degradedBackoff > 0 ||
    // A published rate is withdrawn when an interval without requests is over.
    external.lastTotal > 0 ||
    local.lastTotal > 0
  );
}
