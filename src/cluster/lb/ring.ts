import { type HashTable, STEP, type TableBuild, type TableInput, type TableKind } from './hash-table.js';
import { sortedOrder } from './sort-hashes.js';
import { highWord, lowWord, Words64 } from './words64.js';

export interface RingOptions {
  readonly minimumSize: number;
  readonly maximumSize: number;
  readonly hash: (text: string) => bigint;
}

/** A size that is built within some milliseconds. */
const QUICK_SIZE = 8192;

/** Envoy RING_HASH (ketama): each host stands on a ring as often as its weight says. */
export function ringKind(options: RingOptions): TableKind {
  const { minimumSize, maximumSize } = options;
  const isQuick = Math.min(minimumSize, maximumSize) <= QUICK_SIZE;
  const quick = {
    ...options,
    minimumSize: Math.min(minimumSize, 1024),
    maximumSize: Math.min(maximumSize, QUICK_SIZE),
  };
  return {
    costUs: (hosts) => 0.5 * Math.min(maximumSize, Math.max(2 * minimumSize, hosts)),
    build: (input) => buildRing(input, options),
    interim: isQuick ? undefined : ringKind(quick),
  };
}

/** How many places the ring has so that the lightest host gets a whole number of them. */
function scaleOf(min: number, { minimumSize, maximumSize }: RingOptions): number {
  return Math.min(Math.ceil(min * minimumSize) / min, maximumSize);
}

function* buildRing({ keys, weights, min }: TableInput, options: RingOptions): TableBuild {
  const scale = scaleOf(min, options);
  const size = Math.ceil(scale);
  // Running sums in floating point may give one more than the size.
  const hashes = new Words64(size + 1);
  const owners = new Uint32Array(size + 1);
  let minPerHost = size;
  let maxPerHost = 0;
  let count = 0;
  let target = 0;
  for (const [index, key] of keys.entries()) {
    target += scale * (weights[index] ?? 0);
    const first = count;
    while (count < target) {
      if (count % STEP === 0) yield;
      owners[count] = index;
      hashes.set(count, options.hash(`${key}_${count - first}`));
      count++;
    }
    minPerHost = Math.min(minPerHost, count - first);
    maxPerHost = Math.max(maxPerHost, count - first);
  }
  const order = yield* sortedOrder(hashes, count);
  return new Ring(hashes, owners, order, { size, minPerHost, maxPerHost });
}

class Ring implements HashTable {
  readonly size: number;
  readonly minPerHost: number;
  readonly maxPerHost: number;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #owners: Uint32Array;

  constructor(
    hashes: Words64,
    owners: Uint32Array,
    order: Uint32Array,
    stats: { readonly size: number; readonly minPerHost: number; readonly maxPerHost: number },
  ) {
    this.size = stats.size;
    this.minPerHost = stats.minPerHost;
    this.maxPerHost = stats.maxPerHost;
    this.#high = order.map((place) => hashes.high(place));
    this.#low = order.map((place) => hashes.low(place));
    this.#owners = order.map((place) => owners[place] ?? 0);
  }

  /** The first place at or after the hash, around the ring. */
  indexOf(hash: bigint, attempt: number): number {
    const length = this.#owners.length;
    const place = (this.#lowerBound(highWord(hash), lowWord(hash)) + attempt) % length;
    return this.#owners[place] ?? 0;
  }

  #lowerBound(high: number, low: number): number {
    let from = 0;
    let to = this.#owners.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const there = this.#high[middle] ?? 0;
      if (there < high || (there === high && (this.#low[middle] ?? 0) < low)) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
