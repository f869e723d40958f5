/** A source of chance: uniform in [0, 1). */
export type Random = () => number;

/** Chance of the platform. */
export const systemRandom: Random = Math.random;

/** A repeatable source (mulberry32): the same seed draws the same numbers. For tests and simulations. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A whole number in [0, bound). */
export function randomInt(random: Random, bound: number): number {
  return Math.floor(random() * bound);
}

/** Up to this bound the remainder of a 32-bit number is uniform to within 0.03 %. */
const MAX_REMAINDER_BOUND = 1 << 20;

/**
 * Envoy's `random % bound` for a draw in [0, 1): the draw stands for a 32-bit number, so that several decisions made
 * with one draw depend on each other as they do in Envoy (only where their bounds share factors).
 */
export function remainderOf(draw: number, bound: number): number {
  return bound <= MAX_REMAINDER_BOUND ? Math.floor(draw * 4_294_967_296) % bound : Math.floor(draw * bound);
}
