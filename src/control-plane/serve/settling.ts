import type { Clock, Timer } from '../../runtime/clock.js';
import { createSignal, type Signal } from '../../runtime/signal.js';

export interface SettlingOptions {
  /** Settled when nothing registered for this long, in milliseconds. */
  readonly quietMs: number;
  /** Settled after this long at the latest, in milliseconds. */
  readonly maxMs: number;
}

/**
 * The time after a start in which the registry fills up again. Until it is over, clients that had configuration
 * before keep it: an answer now would tell them that endpoints are gone which only have not come back yet.
 */
export interface Settling {
  readonly settled: Signal<boolean>;
  /** Something registered: it may not be the last. */
  touch(): void;
  close(): void;
}

export function createSettling({ quietMs, maxMs }: SettlingOptions, clock: Clock): Settling {
  const settled = createSignal(false);
  let quiet: Timer | undefined;
  const finish = () => {
    quiet?.cancel();
    limit.cancel();
    settled.set(true);
  };
  const limit = clock.schedule(maxMs, finish);
  return {
    settled,
    touch() {
      if (settled.value) return;
      quiet?.cancel();
      quiet = clock.schedule(quietMs, finish);
    },
    close() {
      quiet?.cancel();
      limit.cancel();
    },
  };
}
