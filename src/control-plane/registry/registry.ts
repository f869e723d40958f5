import type { Clock, Timer } from '../../runtime/clock.js';
import { createSignal, type Signal } from '../../runtime/signal.js';
import { type RegisteredService, type RegistrySnapshot, registeredKey, snapshotOf } from './snapshot.js';
import type { Workload } from './workload.js';

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
  /** Who registered workloads of a service, by the service's key. */
  readonly #owners = new Map<string, Set<string>>();
  readonly #signal = createSignal(snapshotOf([]));
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
    if (entry.workloads.length > 0) this.#publish(owner, entry.workloads, []);
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
    const before = entry.workloads;
    entry.workloads = workloads;
    this.#entries.set(owner, entry);
    this.#publish(owner, before, workloads);
  }

  /** Only what the owner registers, or registered, is put together anew. */
  #publish(owner: string, before: readonly Workload[], after: readonly Workload[]): void {
    const { revision, services } = this.#signal.value;
    const own = new Set(after.map(registeredKey));
    const keys = new Set([...before.map(registeredKey), ...own]);
    const changes = [...keys].map((key) => [key, this.#serviceOf(key, owner, own.has(key))] as const);
    this.#signal.set({ revision: revision + 1, services: services.with(changes) });
  }

  #serviceOf(key: string, owner: string, isOwner: boolean): RegisteredService | undefined {
    const owners = this.#owners.get(key) ?? new Set();
    if (isOwner) owners.add(owner);
    else owners.delete(owner);
    if (owners.size > 0) this.#owners.set(key, owners);
    else this.#owners.delete(key);
    const workloads = [...owners].sort().flatMap((name) => {
      const listed = this.#entries.get(name)?.workloads ?? [];
      return listed.filter((one) => registeredKey(one) === key);
    });
    const [first] = workloads;
    return first && { namespace: first.namespace, service: first.service, workloads };
  }
}
