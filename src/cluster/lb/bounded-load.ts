import type { Host } from '../host.js';
import { mt19937 } from './mt19937.js';
import type { NormalizedWeights } from './normalized-weights.js';
import { lowWord } from './words64.js';

/**
 * Envoy `hash_balance_factor` (consistent hashing with bounded loads): a host that has more than its share, times the
 * factor, is passed over for the first one in a random order that the hash decides; when all are, for the least loaded.
 */
export function boundedIndex(
  first: number,
  hash: bigint,
  { hosts, weights }: NormalizedWeights,
  slots: number,
): number {
  const overload = (index: number) => overloadOf(hosts[index], weights[index] ?? 0, slots);
  let least = first;
  let leastOverload = overload(first);
  if (leastOverload <= 1) return first;
  for (const index of shuffled(hosts.length, lowWord(hash))) {
    if (index === first) continue;
    const found = overload(index);
    if (found <= 1) return index;
    if (found < leastOverload) {
      least = index;
      leastOverload = found;
    }
  }
  return least;
}

/** Requests that may run at once in the whole cluster, given how many do. */
export function totalSlots(activeRequests: number, factorPercent: number): number {
  return Math.floor(((activeRequests + 1) * factorPercent + 99) / 100);
}

function overloadOf(host: Host | undefined, weight: number, slots: number): number {
  return (host?.activeRequests ?? 0) / Math.max(1, Math.ceil(slots * weight));
}

/** The numbers below `count` in an order that the seed decides; each is drawn when it is asked for. */
function* shuffled(count: number, seed: number): Generator<number> {
  const random = mt19937(seed);
  // Only what was swapped away from its own place is held.
  const moved = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const j = i + below(count - i, random);
    const chosen = moved.get(j) ?? j;
    moved.set(j, moved.get(i) ?? i);
    yield chosen;
  }
}

function below(bound: number, random: () => number): number {
  const width = Math.floor(2 ** 32 / bound);
  for (;;) {
    const drawn = Math.floor(random() / width);
    if (drawn < bound) return drawn;
  }
}
