import type { endpoint } from '../../proto/xds.js';

/** Requests of one client, or of all, to one locality of a cluster; sums since the client came. */
export interface LoadFigures {
  readonly cluster: string;
  /** `region/zone/subzone`; empty where nobody said. */
  readonly locality: string;
  readonly priority: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly issued: number;
  /** At the time of the last report. */
  readonly inProgress: number;
}

/** Requests to a cluster that were dropped, by category. */
export interface DropFigures {
  readonly cluster: string;
  readonly category: string;
  readonly dropped: number;
}

/** What clients report of their load. */
export interface LoadSummary {
  readonly clients: number;
  readonly load: readonly LoadFigures[];
  readonly drops: readonly DropFigures[];
  /** Figures that were not kept, for want of room. */
  readonly overflow: number;
}

/** Figures that are kept per client at most, and of all clients. */
const MAX_OF_CLIENT = 10_000;
const MAX_OF_ALL = 50_000;

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Collects the reports of clients: the figures of each one that is connected, and the sums of all that ever were. */
export class LoadReports {
  readonly #clients = new Set<ClientLoad>();
  readonly #total = new Figures(MAX_OF_ALL);

  /** A client that begins to report. */
  open(id: string): ClientLoad {
    const client: ClientLoad = new ClientLoad(id, this.#total, () => this.#clients.delete(client));
    this.#clients.add(client);
    return client;
  }

  /** The sums of all clients. */
  summary(): LoadSummary {
    const inProgress = new Map<string, number>();
    for (const { figures } of this.#clients) {
      for (const [key, { inProgress: own }] of figures.load)
        inProgress.set(key, (inProgress.get(key) ?? 0) + own);
    }
    return {
      clients: this.#clients.size,
      load: [...this.#total.load].map(([key, one]) => ({ ...one, inProgress: inProgress.get(key) ?? 0 })),
      drops: [...this.#total.drops.values()],
      overflow: this.#total.overflow,
    };
  }

  /** The figures of each client that reports. */
  byClient(): readonly { readonly id: string; readonly load: readonly LoadFigures[] }[] {
    return [...this.#clients].map(({ id, figures }) => ({ id, load: [...figures.load.values()] }));
  }
}

/** One client that reports. */
export class ClientLoad {
  readonly id: string;
  readonly figures = new Figures(MAX_OF_CLIENT);
  readonly #total: Figures;
  readonly #onClose: () => void;

  constructor(id: string, total: Figures, onClose: () => void) {
    this.id = id;
    this.#total = total;
    this.#onClose = onClose;
  }

  /** Takes a report in: counts since the one before. */
  add(stats: readonly endpoint.ClusterStats[]): void {
    // Who reports nothing of a locality has nothing in progress there.
    for (const one of this.figures.load.values()) one.inProgress = 0;
    for (const cluster of stats) {
      this.figures.add(cluster);
      this.#total.add(cluster);
    }
  }

  close(): void {
    this.#onClose();
  }
}

class Figures {
  readonly load = new Map<string, Mutable<LoadFigures>>();
  readonly drops = new Map<string, Mutable<DropFigures>>();
  overflow = 0;
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  add({
    clusterName,
    upstreamLocalityStats,
    droppedRequests,
    totalDroppedRequests,
  }: endpoint.ClusterStats): void {
    for (const stats of upstreamLocalityStats) this.#addLocality(clusterName, stats);
    let named = 0;
    for (const { category, droppedCount } of droppedRequests) {
      named += Number(droppedCount);
      this.#addDrops(clusterName, category, Number(droppedCount));
    }
    this.#addDrops(clusterName, '', Number(totalDroppedRequests) - named);
  }

  #addLocality(cluster: string, stats: endpoint.UpstreamLocalityStats): void {
    const { priority, locality } = stats;
    const place = [locality?.region, locality?.zone, locality?.subZone].map((part) => part ?? '').join('/');
    const key = JSON.stringify([cluster, place, priority]);
    let known = this.load.get(key);
    if (known === undefined) {
      if (!this.#hasRoom()) return;
      const name = place === '//' ? '' : place;
      known = { cluster, locality: name, priority, succeeded: 0, failed: 0, issued: 0, inProgress: 0 };
      this.load.set(key, known);
    }
    known.succeeded += Number(stats.totalSuccessfulRequests);
    known.failed += Number(stats.totalErrorRequests);
    known.issued += Number(stats.totalIssuedRequests);
    known.inProgress = Number(stats.totalRequestsInProgress);
  }

  #addDrops(cluster: string, category: string, dropped: number): void {
    if (dropped <= 0) return;
    const key = JSON.stringify([cluster, category]);
    const known = this.drops.get(key);
    if (known !== undefined) known.dropped += dropped;
    else if (this.#hasRoom()) this.drops.set(key, { cluster, category, dropped });
  }

  #hasRoom(): boolean {
    if (this.load.size + this.drops.size < this.#max) return true;
    this.overflow++;
    return false;
  }
}
