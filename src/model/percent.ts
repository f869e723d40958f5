/** Envoy FractionalPercent. */
export interface FractionalPercent {
  readonly numerator: number;
  readonly denominator: 100 | 10_000 | 1_000_000;
}

export const ALWAYS: FractionalPercent = { numerator: 100, denominator: 100 };

/** Whether a draw in [0, 1) falls into the fraction (Envoy: `random % denominator < numerator`). */
export function isSampled(percent: FractionalPercent, draw: number): boolean {
  return Math.floor(draw * percent.denominator) < percent.numerator;
}
