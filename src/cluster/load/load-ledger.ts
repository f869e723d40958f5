import type { Cluster } from '../../model/cluster.js';
import type { ClusterLoad } from '../../model/load-stats.js';
import type { Clock } from '../../runtime/clock.js';
import { ClusterLoads } from './cluster-loads.js';

type NamePredicate = (clusterName: string) => boolean;

/** Clusters that are gone whose last figures wait for their report, at most. */
const MAX_GONE = 1000;

/** What went to the clusters whose load is to be reported (Cluster `lrs_server`). */
export class LoadLedger {
  readonly #clock: Clock;
  readonly #clusters = new Map<string, ClusterLoads>();
  #onChange: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The names of clusters that there is something to tell of, now or later. */
  get names(): ReadonlySet<string> {
    return new Set([...this.#clusters.values()].map(({ clusterName }) => clusterName));
  }

  /** Calls back whenever names come or go. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** Counters for a cluster; undefined when its load is not reported. To be given back by `close`. */
  open({ name, discovery, loadReporting }: Cluster): ClusterLoads | undefined {
    if (loadReporting === undefined) return undefined;
    const serviceName = discovery.kind === 'eds' ? discovery.serviceName : '';
    const key = JSON.stringify([name, serviceName]);
    let loads = this.#clusters.get(key);
    if (loads === undefined) {
      loads = new ClusterLoads(name, serviceName, this.#clock.now());
      this.#clusters.set(key, loads);
      this.#onChange();
    }
    loads.users++;
    loads.select(loadReporting.metrics);
    return loads;
  }

  close(loads: ClusterLoads): void {
    loads.users--;
    if (loads.users > 0) return;
    const gone = [...this.#clusters].filter(([, { users }]) => users === 0);
    const [oldest] = gone;
    if (oldest !== undefined && gone.length > MAX_GONE) this.#clusters.delete(oldest[0]);
  }

  /**
   * What was counted since the last time. `isOwn` tells which clusters a server is responsible for, `isNamed` which of them
   * it wants to hear of.
   */
  take(isOwn: NamePredicate, isNamed: NamePredicate, withEndpoints: boolean): readonly ClusterLoad[] {
    const nowMs = this.#clock.now();
    const taken: ClusterLoad[] = [];
    let isChanged = false;
    for (const [key, loads] of this.#clusters) {
      if (!isOwn(loads.clusterName)) continue;
      const isGone = loads.users === 0 && loads.isQuiet;
      if (isNamed(loads.clusterName)) taken.push(loads.take(nowMs, withEndpoints));
      if (!isGone) continue;
      this.#clusters.delete(key);
      isChanged = true;
    }
    if (isChanged) this.#onChange();
    return taken;
  }
}
