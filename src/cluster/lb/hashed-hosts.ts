import type { Clock, Timer } from '../../runtime/clock.js';
import { inSlices } from '../../runtime/slices.js';
import type { Host } from '../host.js';
import { boundedIndex, totalSlots } from './bounded-load.js';
import { hashKeyOf } from './hash-key.js';
import { finish, type HashTable, type TableKind } from './hash-table.js';
import type { NormalizedWeights } from './normalized-weights.js';

export interface HashedHostsOptions {
  readonly table: TableKind;
  readonly useHostname: boolean;
  /** Percentage of the average load that a host may have; 0 = any. */
  readonly balanceFactorPercent: number;
  /** Requests under way in the whole cluster. */
  readonly activeRequests: () => number;
}

/** A table that takes longer is built in slices, while the one before it stays in force. */
const AT_ONCE_US = 10_000;
/** How far a table that is being replaced is followed to find a host that still serves. */
const MAX_STEPS = 64;

interface Members extends NormalizedWeights {
  readonly keys: readonly string[];
}

interface Served {
  readonly table: HashTable;
  readonly members: Members;
}

/**
 * The hosts of one priority behind a hash table. The table is built when it is first asked for, so idle clusters have
 * none, and kept over updates that change neither keys nor weights.
 */
export class HashedHosts {
  readonly #options: HashedHostsOptions;
  readonly #clock: Clock;
  #members: Members | undefined;
  #served: Served | undefined;
  #isCurrent = false;
  /** Who still serves, while the table in force is of others. */
  #usable: ReadonlySet<Host> | undefined;
  #job: Timer | undefined;

  constructor(options: HashedHostsOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  update(weights: NormalizedWeights): void {
    const keys = weights.hosts.map((host) => hashKeyOf(host, this.#options.useHostname));
    const members = { ...weights, keys };
    const served = this.#served;
    this.#members = members;
    if (served !== undefined && this.#job === undefined && isSameTable(served.members, members)) {
      this.#served = { table: served.table, members };
      return;
    }
    this.#isCurrent = false;
    if (served !== undefined && !this.#isQuick(members)) {
      this.#usable = new Set(members.hosts);
      this.#job ??= this.#start(members);
    }
  }

  pick(hash: bigint, attempt: number): Host | undefined {
    const members = this.#members;
    if (members === undefined || members.hosts.length === 0) return undefined;
    const served = this.#isCurrent ? this.#served : this.#ready(members);
    if (served === undefined) return undefined;
    const usable = this.#usable;
    if (usable === undefined) return this.#pickFrom(served, hash, attempt);
    for (let step = 0; step < MAX_STEPS; step++) {
      const host = this.#pickFrom(served, hash, attempt + step);
      if (host !== undefined && usable.has(host)) return host;
    }
    return members.hosts[Number(hash % BigInt(members.hosts.length))];
  }

  close(): void {
    this.#job?.cancel();
  }

  #pickFrom({ table, members }: Served, hash: bigint, attempt: number): Host | undefined {
    const { balanceFactorPercent, activeRequests } = this.#options;
    // Envoy accepts a ring of no size, on which nobody stands.
    if (table.size === 0) return undefined;
    const index = table.indexOf(hash, attempt);
    if (balanceFactorPercent === 0) return members.hosts[index];
    const slots = totalSlots(activeRequests(), balanceFactorPercent);
    return members.hosts[boundedIndex(index, hash, members, slots)];
  }

  #isQuick({ keys }: Members): boolean {
    return this.#options.table.costUs(keys.length) <= AT_ONCE_US;
  }

  /** The best table at hand: the real one if it is quickly built, else the one before it, else a small one. */
  #ready(members: Members): Served | undefined {
    if (this.#isQuick(members)) {
      this.#job?.cancel();
      this.#job = undefined;
      this.#serve({ table: finish(this.#options.table.build(members)), members });
    } else {
      this.#job ??= this.#start(members);
      const { table } = this.#options;
      this.#served ??= { table: finish((table.interim ?? table).build(members)), members };
    }
    return this.#served;
  }

  #serve(served: Served): void {
    this.#served = served;
    this.#isCurrent = true;
    this.#usable = undefined;
  }

  #start(members: Members): Timer {
    return inSlices(this.#options.table.build(members), this.#clock, (table) => {
      this.#job = undefined;
      const newest = this.#members;
      this.#serve({ table, members });
      if (newest !== undefined && newest !== members) this.update(newest);
    });
  }
}

function isSameTable(a: Members, b: Members): boolean {
  const { length } = a.keys;
  if (length !== b.keys.length) return false;
  for (let i = 0; i < length; i++) {
    if (a.keys[i] !== b.keys[i] || a.weights[i] !== b.weights[i]) return false;
  }
  return true;
}
