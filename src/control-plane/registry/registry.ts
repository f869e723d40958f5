import type { Clock, Timer } from '../../runtime/clock.js';
import { createSignal, type Signal } from '../../runtime/signal.js';
import { LossGuard, type MassLossOptions } from './loss-guard.js';
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
  /** Owners that are kept although they are overdue, because most are. */
  readonly held: Signal<number>;
  /** Removes those; how many they were. */
  confirm(): number;
  close(): void;
}

export interface RegistryOptions {
  /** How long workloads outlive their stream, so that a reconnect is no outage. */
  readonly graceMs: number;
  /** When workloads that are lost all at once are kept; false = never. Default: more than half, of at least 10. */
  readonly massLoss?: MassLossOptions | false | undefined;
}

/** A timer that is so late was held up with the whole process: meanwhile nobody could report. */
const LATE_MS = 2_000;
/** How often those that are held are looked at. */
const CHECK_MS = 1_000;

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
  readonly #guard: LossGuard;
  /** Owners whose time is over. */
  readonly #overdue = new Set<string>();
  readonly #held = createSignal(0);
  #decision: Timer | undefined;

  constructor(options: RegistryOptions, clock: Clock) {
    this.#graceMs = options.graceMs;
    this.#clock = clock;
    this.#guard = new LossGuard(options.massLoss ?? {}, clock);
  }

  get held(): Signal<number> {
    return this.#held;
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
        if (entry.token !== token || entry.expiry !== undefined || this.#overdue.has(owner)) return;
        this.#expireIn(this.#graceMs, owner, entry);
      },
    };
  }

  register(owner: string, workloads: readonly Workload[], ttlMs: number): void {
    const entry = this.#take(owner, {});
    this.#expireIn(ttlMs, owner, entry);
    this.#set(owner, entry, workloads);
  }

  remove(owner: string): boolean {
    const entry = this.#entries.get(owner);
    if (entry === undefined) return false;
    entry.expiry?.cancel();
    entry.token = {};
    this.#entries.delete(owner);
    this.#overdue.delete(owner);
    if (entry.workloads.length > 0) this.#publish(owner, entry.workloads, []);
    return true;
  }

  confirm(): number {
    const count = this.#held.value;
    this.#guard.forget();
    this.#remove(this.#overdue);
    return count;
  }

  close(): void {
    this.#decision?.cancel();
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
    this.#overdue.delete(owner);
    return entry;
  }

  #expireIn(ms: number, owner: string, entry: Entry): void {
    const { now, wallTime } = this.#clock;
    // The clock of a machine that sleeps may stand still: calendar time does not.
    const [due, dueWall] = [now() + ms, wallTime() + ms];
    entry.expiry = this.#clock.schedule(ms, () => {
      entry.expiry = undefined;
      const lateMs = Math.max(now() - due, wallTime() - dueWall);
      // Nobody could report while the process stood still: everybody has that time once more.
      if (lateMs > LATE_MS) this.#expireIn(ms, owner, entry);
      else {
        this.#overdue.add(owner);
        // All whose time is over at the same moment are looked at together.
        this.#decision ??= this.#clock.schedule(0, () => this.#decide());
      }
    });
  }

  #decide(): void {
    this.#decision = undefined;
    const serves = (owner: string) => (this.#entries.get(owner)?.workloads.length ?? 0) > 0;
    const lost = [...this.#overdue].filter(serves);
    const known = [...this.#entries.keys()].filter(serves).length;
    if (!this.#guard.holds(lost.length, known)) {
      this.#remove(this.#overdue);
      this.#guard.lost(lost.length);
      return;
    }
    this.#held.set(lost.length);
    this.#decision = this.#clock.schedule(CHECK_MS, () => this.#decide());
  }

  #remove(owners: Iterable<string>): void {
    for (const owner of owners) this.remove(owner);
    if (this.#held.value > 0) this.#held.set(0);
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
