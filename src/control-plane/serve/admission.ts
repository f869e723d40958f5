import type { Clock, Timer } from '../../runtime/clock.js';

/** How many streams the server takes. */
export interface StreamLimits {
  /** All streams together. Default 20 000. */
  readonly streams?: number;
  /** Streams of one identity; callers without a certificate do not count. Default 2000. */
  readonly streamsPerIdentity?: number;
  /** New streams that start in a second; more wait their turn. Default 500. */
  readonly streamsPerSecond?: number;
}

/** A stream that was let in. */
export interface Admitted {
  readonly kind: 'admitted';
  /** It is gone. */
  leave(): void;
}

/** Lets streams in, or says why not. */
export interface Admission {
  /** Calls `start` when it is the stream's turn: at once, mostly. */
  enter(
    identity: string | undefined,
    start: () => void,
  ): Admitted | { readonly kind: 'refused'; readonly reason: string };
}

/** A stream that would wait longer is refused: its client tries again with a wait of its own. */
const MAX_WAIT_MS = 10_000;

export function createAdmission(limits: StreamLimits, clock: Clock): Admission {
  const { streams = 20_000, streamsPerIdentity = 2_000, streamsPerSecond = 500 } = limits;
  const byIdentity = new Map<string, number>();
  let open = 0;
  /** When the next stream may start; a second's worth may start at once. */
  let nextMs = Number.NEGATIVE_INFINITY;
  return {
    enter(identity, start) {
      const own = identity === undefined ? 0 : (byIdentity.get(identity) ?? 0);
      if (open >= streams) return { kind: 'refused', reason: `${streams} streams are open` };
      if (own >= streamsPerIdentity)
        return { kind: 'refused', reason: `the identity has ${streamsPerIdentity} streams already` };
      const now = clock.now();
      const waitMs = Math.max(0, nextMs - now);
      if (waitMs > MAX_WAIT_MS) return { kind: 'refused', reason: 'too many streams start at once' };
      nextMs = Math.max(nextMs, now - 1_000) + 1_000 / streamsPerSecond;
      open++;
      if (identity !== undefined) byIdentity.set(identity, own + 1);
      let timer: Timer | undefined;
      if (waitMs === 0) start();
      else timer = clock.schedule(waitMs, start);
      let isOpen = true;
      return {
        kind: 'admitted',
        leave() {
          if (!isOpen) return;
          isOpen = false;
          timer?.cancel();
          open--;
          if (identity === undefined) return;
          const left = (byIdentity.get(identity) ?? 1) - 1;
          if (left === 0) byIdentity.delete(identity);
          else byIdentity.set(identity, left);
        },
      };
    },
  };
}
