import type { Locality } from '../../model/endpoint.js';
import type { LoadReport } from '../../model/load-report.js';
import type { ClusterLoad, EndpointLoad, LocalityLoad } from '../../model/load-stats.js';
import type { Host } from '../host.js';
import { readMetrics } from '../orca/metrics.js';
import {
  addCounts,
  addMetric,
  createLoadCounts,
  isIdle,
  type LoadCounts,
  metricSums,
  resetCounts,
} from './load-counts.js';

/** Counts what goes to one cluster, for reports to the control plane. It outlives changes of the cluster's configuration. */
export class ClusterLoads {
  readonly clusterName: string;
  readonly serviceName: string;
  /** How many running clusters count here: a cluster and its successor overlap. */
  users = 0;
  readonly #hosts = new Set<LoadCounts>();
  /** Of hosts that are gone, by priority and locality. */
  readonly #gone = new Map<string, LoadCounts>();
  readonly #drops = new Map<string, number>();
  #dropped = 0;
  #sinceMs: number;
  #metrics: ReturnType<typeof readMetrics>;

  constructor(clusterName: string, serviceName: string, nowMs: number) {
    this.clusterName = clusterName;
    this.serviceName = serviceName;
    this.#sinceMs = nowMs;
  }

  /** Whether responses are to be read for reports of their hosts. */
  get readsResponses(): boolean {
    return this.#metrics !== undefined;
  }

  /** What of the reports of hosts is passed on from now on. */
  select(metrics: readonly string[]): void {
    this.#metrics = readMetrics(metrics);
  }

  /** A request goes to a host; what becomes of it is to be told to `end`. */
  begin(host: Host): LoadCounts {
    const counts = this.#countsOf(host);
    counts.issued++;
    counts.active++;
    return counts;
  }

  /** A request is over. */
  end(counts: LoadCounts): void {
    counts.active--;
    if (counts.isRetired && counts.active === 0) this.#fold(counts);
  }

  /** A host reported its load with a response. */
  report(counts: LoadCounts, report: LoadReport): void {
    this.#metrics?.(report, (name, value) => addMetric(counts, name, value));
  }

  /** A request was given up here. */
  drop(category?: string): void {
    this.#dropped++;
    if (category !== undefined) this.#drops.set(category, (this.#drops.get(category) ?? 0) + 1);
  }

  /** A host is gone. */
  retire(host: Host): void {
    const counts = host.counts;
    if (counts?.owner !== this) return;
    host.counts = undefined;
    this.#retire(counts);
  }

  /** What was counted since the last time; counting starts over. */
  take(nowMs: number, withEndpoints: boolean): ClusterLoad {
    const groups = new Map<string, LoadCounts[]>();
    for (const counts of [...this.#hosts, ...this.#gone.values()]) {
      if (isIdle(counts)) continue;
      const key = keyOf(counts);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [counts]);
      else group.push(counts);
    }
    const load: ClusterLoad = {
      clusterName: this.clusterName,
      serviceName: this.serviceName,
      localities: [...groups.values()].map((group) => localityLoad(group, withEndpoints)),
      dropped: this.#dropped,
      drops: [...this.#drops].map(([category, count]) => ({ category, count })),
      intervalMs: nowMs - this.#sinceMs,
    };
    this.#restart(nowMs);
    return load;
  }

  /** Whether nothing is under way. */
  get isQuiet(): boolean {
    for (const { active } of this.#hosts) if (active > 0) return false;
    return true;
  }

  #restart(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#dropped = 0;
    this.#drops.clear();
    this.#gone.clear();
    for (const counts of this.#hosts) resetCounts(counts);
  }

  #countsOf(host: Host): LoadCounts {
    const known = host.counts;
    if (known !== undefined && known.owner === this) {
      if (known.locality === host.locality && known.priority === host.priority) return known;
      if (known.priority === host.priority && isSame(known.locality, host.locality)) {
        known.locality = host.locality;
        return known;
      }
      // It moved: what went to it before went to its old place.
      this.#retire(known);
    }
    const { locality, priority } = host;
    const counts = createLoadCounts(this, { address: host.endpoint.address, locality, priority });
    this.#hosts.add(counts);
    host.counts = counts;
    return counts;
  }

  #retire(counts: LoadCounts): void {
    counts.isRetired = true;
    if (counts.active === 0) this.#fold(counts);
  }

  #fold(counts: LoadCounts): void {
    this.#hosts.delete(counts);
    if (isIdle(counts)) return;
    const key = keyOf(counts);
    let gone = this.#gone.get(key);
    if (gone === undefined) {
      gone = createLoadCounts(this, { ...counts, address: undefined });
      this.#gone.set(key, gone);
    }
    addCounts(gone, counts);
  }
}

function localityLoad(group: readonly LoadCounts[], withEndpoints: boolean): LocalityLoad {
  // A group has at least one.
  const [first] = group as readonly [LoadCounts, ...LoadCounts[]];
  const sum = createLoadCounts(first.owner, { ...first, address: undefined });
  const endpoints: EndpointLoad[] = [];
  for (const counts of group) {
    addCounts(sum, counts);
    const { address } = counts;
    if (withEndpoints && address !== undefined) endpoints.push({ address, ...numbersOf(counts) });
  }
  return { locality: sum.locality, priority: sum.priority, endpoints, ...numbersOf(sum) };
}

function numbersOf(counts: LoadCounts) {
  const { successes, errors, active: inProgress, issued } = counts;
  return { successes, errors, inProgress, issued, metrics: metricSums(counts) };
}

function keyOf({ locality: { region, zone, subZone }, priority }: LoadCounts): string {
  return JSON.stringify([priority, region, zone, subZone]);
}

function isSame(a: Locality, b: Locality): boolean {
  return a.region === b.region && a.zone === b.zone && a.subZone === b.subZone;
}
