import { isIP } from 'node:net';
import type { SocketAddress } from '../../model/address.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { Clock, Timer } from '../../runtime/clock.js';

type Callback<T> = (error: Error | null, made?: T) => void;
/** Opens a connection for what is wanted; the returned function gives up. */
type Opens<W, T> = (wanted: W, callback: Callback<T>) => Unsubscribe;

/** Envoy: the next address is tried after so long, unless the one before failed already. */
const ATTEMPT_DELAY_MS = 300;

/** Families in turn, beginning with that of the first address (RFC 8305 §4); within a family the order stays. */
export function alternateFamilies(addresses: readonly SocketAddress[]): readonly SocketAddress[] {
  const [first] = addresses;
  if (first === undefined) return [];
  const family = isIP(first.address);
  const own = addresses.filter(({ address }) => isIP(address) === family);
  const others = addresses.filter(({ address }) => isIP(address) !== family);
  const sorted: SocketAddress[] = [];
  for (let i = 0; i < Math.max(own.length, others.length); i++) {
    const [a, b] = [own[i], others[i]];
    if (a !== undefined) sorted.push(a);
    if (b !== undefined) sorted.push(b);
  }
  return sorted;
}

/**
 * Dials several addresses of one endpoint, each a little after the one before, and takes the first connection that
 * stands (Envoy `HappyEyeballsConnectionImpl`, RFC 8305). It fails with the last failure, or when the time is over.
 */
export function dialFirst<W, T>(
  dials: readonly Opens<W, T>[],
  clock: Clock,
  limit: { readonly ms: number; readonly error: () => Error },
): Opens<W, T> {
  return (wanted, callback) => {
    const race = new Race(dials, wanted, clock, callback);
    const timer = clock.schedule(limit.ms, () => race.fail(limit.error()));
    race.onEnd = () => timer.cancel();
    race.begin();
    return () => race.giveUp();
  };
}

class Race<W, T> {
  onEnd: () => void = () => {};
  readonly #dials: readonly Opens<W, T>[];
  readonly #wanted: W;
  readonly #clock: Clock;
  readonly #callback: Callback<T>;
  readonly #running = new Map<number, Unsubscribe>();
  #next = 0;
  #timer: Timer | undefined;
  #isOver = false;

  constructor(dials: readonly Opens<W, T>[], wanted: W, clock: Clock, callback: Callback<T>) {
    this.#dials = dials;
    this.#wanted = wanted;
    this.#clock = clock;
    this.#callback = callback;
  }

  /** Begins with the next address, if there is one. */
  begin(): void {
    this.#timer?.cancel();
    const index = this.#next++;
    const dial = this.#dials[index];
    if (dial === undefined) return;
    const cancel = dial(this.#wanted, (error, dialed) => {
      this.#running.delete(index);
      if (dialed !== undefined) {
        this.giveUp();
        this.#callback(null, dialed);
      } else if (this.#next < this.#dials.length) this.begin();
      else if (this.#running.size === 0) this.fail(error ?? new Error('no connection'));
    });
    this.#running.set(index, cancel);
    if (this.#next < this.#dials.length) {
      this.#timer = this.#clock.schedule(ATTEMPT_DELAY_MS, () => this.begin());
    }
  }

  fail(error: Error): void {
    if (this.#isOver) return;
    this.giveUp();
    this.#callback(error);
  }

  /** Ends every attempt that is still under way. */
  giveUp(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onEnd();
    this.#timer?.cancel();
    this.#next = this.#dials.length;
    for (const cancel of this.#running.values()) cancel();
    this.#running.clear();
  }
}
