import type { Clock, Timer } from '../../runtime/clock.js';
import { createSignal, type Signal } from '../../runtime/signal.js';
import type { Workload } from './workload.js';

/** Everything registered at one moment. */
export interface RegistrySnapshot {
  /** Grows with each change. */
  readonly revision: number;
  /** Ordered by owner, then as the owner listed them. */
  readonly workloads: readonly Workload[];
}

/** One owner's registration; it lasts until `end` (plus grace), or until the same owner takes a new lease. */
export interface Lease {
  /** Replaces what the owner serves; an empty list takes effect at once. */
  update(workloads: readonly Workload[]): void;
  /** The owner is gone: its workloads vanish after the grace period. */
  end(): void;
}

export interface WorkloadRegistry {
  readonly current: Signal<RegistrySnapshot>;
  /** Takes over what `owner` registered before, if anything, without a gap. */
  lease(owner: string): Lease;
  /** Registers for `ttlMs`; call again before that as a heartbeat. */
  register(owner: string, workloads: readonly Workload[], ttlMs: number): void;
  /** Removes an owner at once; false when it is unknown. */
  remove(owner: string): boolean;
  close(): void;
}

export interface RegistryOptions {
  /** How long workloads outlive their stream, so that a reconnect is no outage. */
  readonly graceMs: number;
}

interface Entry {
  workloads: readonly Workload[];
  /** Identity of the lease in force; older leases of this owner have no say any more. */
  token: object;
  expiry: Timer | undefined;
}

/** Creates an empty registry. */
export function createRegistry(options: RegistryOptions, clock: Clock): WorkloadRegistry {
  return new Registry(options, clock);
}

class Registry implements WorkloadRegistry {
  readonly #entries = new Map<string, Entry>();
  readonly #signal = createSignal<RegistrySnapshot>({ revision: 0, workloads: [] });
  readonly #graceMs: number;
  readonly #clock: Clock;

  constructor(options: RegistryOptions, clock: Clock) {
    this.#graceMs = options.graceMs;
    this.#clock = clock;
  }

  get current(): Signal<RegistrySnapshot> {
    return this.#signal;
  }

  lease(owner: string): Lease {
    const token = {};
    const entry = this.#take(owner, token);
    return {
      update: (workloads) => {
        if (entry.token !== token) return;
        this.#set(owner, entry, workloads);
      },
      end: () => {
        if (entry.token !== token || entry.expiry !== undefined) return;
        entry.expiry = this.#clock.schedule(this.#graceMs, () => this.remove(owner));
      },
    };
  }

  register(owner: string, workloads: readonly Workload[], ttlMs: number): void {
    const entry = this.#take(owner, {});
    entry.expiry = this.#clock.schedule(ttlMs, () => this.remove(owner));
    this.#set(owner, entry, workloads);
  }

  remove(owner: string): boolean {
    const entry = this.#entries.get(owner);
    if (entry === undefined) return false;
    entry.expiry?.cancel();
    entry.token = {};
    this.#entries.delete(owner);
    if (entry.workloads.length > 0) this.#publish();
    return true;
  }

  close(): void {
    for (const entry of this.#entries.values()) entry.expiry?.cancel();
    this.#entries.clear();
  }

  #take(owner: string, token: object): Entry {
    let entry = this.#entries.get(owner);
    if (entry === undefined) {
      entry = { workloads: [], token, expiry: undefined };
      this.#entries.set(owner, entry);
    }
    entry.expiry?.cancel();
    entry.expiry = undefined;
    entry.token = token;
    return entry;
  }

  #set(owner: string, entry: Entry, workloads: readonly Workload[]): void {
    if (JSON.stringify(entry.workloads) === JSON.stringify(workloads)) return;
    entry.workloads = workloads;
    this.#entries.set(owner, entry);
    this.#publish();
  }

  #publish(): void {
    const owners = [...this.#entries.keys()].sort();
    const workloads = owners.flatMap((owner) => this.#entries.get(owner)?.workloads ?? []);
    this.#signal.set({ revision: this.#signal.value.revision + 1, workloads });
  }
}
