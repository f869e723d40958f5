import type { ClientSideWrrPolicy } from '../../model/lb-policy.js';
import type { Agenda } from '../../runtime/agenda.js';
import type { Clock, Timer } from '../../runtime/clock.js';
import type { Host } from '../host.js';
import type { HostSet } from '../host-set.js';
import { HostLoad, type LoadWatcher } from './host-load.js';
import { type WeighReport, weighReports } from './load-weight.js';

/** Keeps the weights of a cluster's hosts by what they report (Envoy OrcaWeightManager). */
export class LoadWeights implements LoadWatcher {
  /** Grows whenever a weight changed. */
  epoch = 0;
  readonly #policy: ClientSideWrrPolicy;
  readonly #clock: Clock;
  readonly #agenda: Agenda;
  readonly weigh: WeighReport;
  readonly readsResponses: boolean;
  #sets: readonly HostSet[] = [];
  #hosts: ReadonlySet<Host> = new Set();
  #timer: Timer | undefined;

  constructor(
    policy: ClientSideWrrPolicy,
    { clock, agenda }: { readonly clock: Clock; readonly agenda: Agenda },
  ) {
    this.#policy = policy;
    this.#clock = clock;
    this.#agenda = agenda;
    this.weigh = weighReports(policy.metricNames, policy.errorPenalty);
    // gRFC A58: with a stream for the reports, those of responses do not count.
    this.readsResponses = policy.oobPeriodMs === undefined;
  }

  /** The hosts changed: those that are new get the weight of the others. */
  update(sets: readonly HostSet[]): void {
    this.#sets = sets;
    const before = this.#hosts;
    this.#hosts = new Set(sets.flatMap(({ hosts }) => hosts));
    for (const host of before) if (!this.#hosts.has(host)) host.load?.unwatch(this);
    for (const host of this.#hosts) {
      host.load ??= new HostLoad();
      host.load.watch(this);
    }
    this.#weighAll();
    this.#arm();
  }

  reported(): void {
    this.#arm();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const host of this.#hosts) host.load?.unwatch(this);
    this.#hosts = new Set();
    this.#sets = [];
  }

  /** Weights change by reports and by time: as long as nobody reports, nothing runs. */
  #arm(): void {
    if (this.#timer !== undefined || !this.#anyReports()) return;
    this.#timer = this.#agenda.schedule(this.#policy.updateMs, () => {
      this.#timer = undefined;
      this.#weighAll();
      this.#arm();
    });
  }

  #anyReports(): boolean {
    for (const { hosts } of this.#sets)
      for (const { load } of hosts) if (load?.isReporting === true) return true;
    return false;
  }

  #weighAll(): void {
    let changed = false;
    for (const { hosts } of this.#sets) if (this.#weighSet(hosts)) changed = true;
    if (changed) this.epoch++;
  }

  /** Envoy: whose weight does not count gets the median of the others in its priority. */
  #weighSet(hosts: readonly Host[]): boolean {
    const now = this.#clock.now();
    const known: number[] = [];
    const unknown: HostLoad[] = [];
    let changed = false;
    const set = (load: HostLoad, weight: number) => {
      if (load.weight === weight) return;
      load.weight = weight;
      changed = true;
    };
    for (const { load } of hosts) {
      if (load === undefined) continue;
      const own = load.ownWeight(now, this.#policy);
      if (own === undefined) unknown.push(load);
      else {
        known.push(own);
        set(load, own);
      }
    }
    if (unknown.length > 0) {
      const median = medianOf(known);
      for (const load of unknown) set(load, median);
    }
    return changed;
  }
}

/** 1 when there are none. */
function medianOf(weights: number[]): number {
  if (weights.length === 0) return 1;
  weights.sort((a, b) => a - b);
  const middle = weights.length >> 1;
  const upper = weights[middle] ?? 1;
  if (weights.length % 2 === 1) return upper;
  return Math.floor(((weights[middle - 1] ?? 1) + upper) / 2);
}
