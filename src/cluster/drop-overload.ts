import type { DropOverload } from '../model/endpoint.js';
import type { Random } from '../runtime/random.js';

/** What the control plane sheds: all requests, or this one. */
export type Shed = 'all' | 'some';

/** Decides which requests of a cluster are dropped (EDS `drop_overloads`), and counts them by category. */
export class OverloadDrops {
  readonly counts: Record<string, number> = {};
  readonly #random: Random;
  readonly #onDrop: ((category: string) => void) | undefined;
  #drops: readonly DropOverload[] | undefined;

  /** `onDrop` hears of each request that is dropped. */
  constructor(random: Random, onDrop?: (category: string) => void) {
    this.#random = random;
    this.#onDrop = onDrop;
  }

  /** Takes over what the newest assignment says. */
  update(drops: readonly DropOverload[] = []): void {
    this.#drops = drops.length === 0 ? undefined : drops;
  }

  /** Draws for one request; each category draws on its own, in order (gRFC A27), until one drops it. */
  shed(): Shed | undefined {
    if (this.#drops === undefined) return undefined;
    for (const { category, percentage } of this.#drops) {
      const ratio = percentage.numerator / percentage.denominator;
      if (ratio < 1 && this.#random() >= ratio) continue;
      this.counts[category] = (this.counts[category] ?? 0) + 1;
      this.#onDrop?.(category);
      return ratio < 1 ? 'some' : 'all';
    }
    return undefined;
  }
}
