import { remainderOf } from '../runtime/random.js';

/** Envoy FractionalPercent. */
export interface FractionalPercent {
  readonly numerator: number;
  readonly denominator: 100 | 10_000 | 1_000_000;
  /** Where the runtime has a value for this key, that one counts. Undefined = none. */
  readonly runtimeKey?: string | undefined;
}

export const ALWAYS: FractionalPercent = { numerator: 100, denominator: 100 };

/**
 * Whether a draw in [0, 1) falls into the fraction (Envoy: `random % denominator < numerator`). It is the same
 * remainder that weighted clusters take, so that both correlate for one exchange as in Envoy.
 */
export function isSampled(percent: FractionalPercent, draw: number): boolean {
  return remainderOf(draw, percent.denominator) < percent.numerator;
}
