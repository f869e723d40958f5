import { type FractionalPercent, isSampled } from '../model/percent.js';
import type { Random } from '../runtime/random.js';

/** Whether a request falls into a share, by a draw of its own; none is made for shares that take every request. */
export function draws(fraction: FractionalPercent, random: Random): boolean {
  return fraction.numerator >= fraction.denominator || isSampled(fraction, random());
}
