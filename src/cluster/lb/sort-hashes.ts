import type { Words64 } from './words64.js';

/** Below this many, comparing is faster than counting. */
const FEW = 8192;
const DIGIT_BITS = 16;
const BUCKETS = 1 << DIGIT_BITS;
/** Elements moved between two pauses. */
const PORTION = 65_536;

/** The places of the first `count` numbers in ascending order; of equal ones the earlier comes first. */
export function* sortedOrder(hashes: Words64, count: number): Generator<void, Uint32Array> {
  const order = Uint32Array.from({ length: count }, (_, place) => place);
  if (count <= FEW) {
    return order.sort((a, b) => hashes.high(a) - hashes.high(b) || hashes.low(a) - hashes.low(b) || a - b);
  }
  // Radix sort from the lowest digit: each pass keeps the order of the one before.
  let from = order;
  let to = new Uint32Array(count);
  for (let digit = 0; digit < 4; digit++) {
    yield* pass(from, to, digitOf(hashes, digit));
    [from, to] = [to, from];
  }
  return from;
}

function digitOf(hashes: Words64, digit: number): (place: number) => number {
  const shift = (digit & 1) * DIGIT_BITS;
  return digit < 2
    ? (place) => (hashes.low(place) >>> shift) & (BUCKETS - 1)
    : (place) => (hashes.high(place) >>> shift) & (BUCKETS - 1);
}

function* pass(from: Uint32Array, to: Uint32Array, digit: (place: number) => number): Generator<void, void> {
  const starts = new Uint32Array(BUCKETS + 1);
  for (let i = 0; i < from.length; i++) {
    if (i % PORTION === 0) yield;
    const bucket = digit(from[i] ?? 0) + 1;
    starts[bucket] = (starts[bucket] ?? 0) + 1;
  }
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    starts[bucket + 1] = (starts[bucket + 1] ?? 0) + (starts[bucket] ?? 0);
  }
  for (let i = 0; i < from.length; i++) {
    if (i % PORTION === 0) yield;
    const place = from[i] ?? 0;
    const bucket = digit(place);
    const target = starts[bucket] ?? 0;
    to[target] = place;
    starts[bucket] = target + 1;
  }
}
