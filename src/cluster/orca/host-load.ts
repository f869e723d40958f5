import type { LoadReport } from '../../model/load-report.js';

/** When a weight counts, in milliseconds. */
export interface WeightPeriods {
  readonly blackoutMs: number;
  readonly expirationMs: number;
}

/** A balancer that goes by what a host says of its load. */
export interface LoadWatcher {
  /** Whether reports with responses count; those of a stream always do. */
  readonly readsResponses: boolean;
  /** The weight that a report gives its host; undefined when it gives none. */
  weigh(report: LoadReport): number | undefined;
  /** A host has reported. */
  reported(): void;
}

/** What a host said of its load, and the weight that follows (Envoy OrcaHostLbPolicyData). */
export class HostLoad {
  /** The weight in force: its own, or the median of the others while its own does not count. */
  weight = 1;
  readonly #watchers = new Set<LoadWatcher>();
  #reported = 1;
  #lastMs: number | undefined;
  /** Since when it reports without a gap. */
  #sinceMs: number | undefined;

  /** Whether it ever reported, and its weight has not run out since. */
  get isReporting(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** Whether anybody wants to know what its responses say. */
  get readsResponses(): boolean {
    for (const { readsResponses } of this.#watchers) if (readsResponses) return true;
    return false;
  }

  watch(watcher: LoadWatcher): void {
    this.#watchers.add(watcher);
  }

  unwatch(watcher: LoadWatcher): void {
    this.#watchers.delete(watcher);
  }

  /** Takes a report; one without rate or utilization is as good as none. */
  take(report: LoadReport, nowMs: number): void {
    // All of them belong to one cluster, whose policy says how reports weigh.
    const [watcher] = this.#watchers;
    const weight = watcher?.weigh(report);
    if (weight === undefined) return;
    this.#reported = weight;
    this.#lastMs = nowMs;
    this.#sinceMs ??= nowMs;
    for (const one of this.#watchers) one.reported();
  }

  /** The weight that it reported, if that counts now. */
  ownWeight(nowMs: number, { blackoutMs, expirationMs }: WeightPeriods): number | undefined {
    if (this.#sinceMs === undefined || this.#lastMs === undefined) return undefined;
    if (nowMs - this.#lastMs > expirationMs) {
      // gRFC A58: when it comes back it has to wait out the blackout again.
      this.#sinceMs = undefined;
      return undefined;
    }
    return nowMs - this.#sinceMs < blackoutMs ? undefined : this.#reported;
  }
}
