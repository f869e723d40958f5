import type { Clock, Timer } from './clock.js';

/** How often a watched event loop is looked at. */
const TICK_MS = 20;
/** Lateness that is ordinary: a long callback, garbage collection. Below this nothing counts as a stall. */
const ORDINARY_MS = 50;

/**
 * Knows for how long this process could not look at its sockets: a peer is not to blame for what happened meanwhile.
 * Runs a timer only while somebody watches.
 */
export interface Stalls {
  /** Watches from now on. Gives a mark for `since`; each call needs its `unwatch`. */
  watch(): number;
  /** Milliseconds that the event loop was blocked since the mark, in pieces that were no ordinary lateness. */
  since(mark: number): number;
  unwatch(): void;
}

/** Makes the one watcher of a process' event loop. */
export function createStalls(clock: Clock): Stalls {
  let watchers = 0;
  let totalMs = 0;
  let dueMs = 0;
  let timer: Timer | undefined;
  const account = () => {
    const now = clock.now();
    const lateMs = now - dueMs;
    if (lateMs <= ORDINARY_MS) return;
    totalMs += lateMs;
    dueMs = now;
  };
  const arm = () => {
    dueMs = clock.now() + TICK_MS;
    timer = clock.schedule(TICK_MS, tick);
  };
  const tick = () => {
    timer = undefined;
    account();
    if (watchers > 0) arm();
  };
  return {
    watch() {
      watchers++;
      if (timer === undefined) arm();
      // What was lost before is not counted for this watcher.
      else account();
      return totalMs;
    },
    since(mark) {
      // A timer that is due may run before the tick that would have noticed.
      if (timer !== undefined) account();
      return totalMs - mark;
    },
    unwatch() {
      watchers--;
    },
  };
}

/**
 * A clock for time limits on peers. When the process itself stalled while a timer ran, the timer gets the lost time once
 * more, at most its own length: the answer may lie unread in a socket, or the request may have left late.
 */
export function patientClock(clock: Clock, stalls: Stalls): Clock {
  return {
    now: () => clock.now(),
    wallTime: () => clock.wallTime(),
    schedule: (delayMs, task, keepAlive = false) =>
      new PatientTimer({ clock, stalls, delayMs, task, keepAlive }),
  };
}

interface Patience {
  readonly clock: Clock;
  readonly stalls: Stalls;
  readonly delayMs: number;
  readonly task: () => void;
  readonly keepAlive: boolean;
}

class PatientTimer implements Timer {
  readonly #patience: Patience;
  readonly #mark: number;
  #inner: Timer;
  #isExtended = false;
  #isOver = false;

  constructor(patience: Patience) {
    this.#patience = patience;
    this.#mark = patience.stalls.watch();
    this.#inner = patience.clock.schedule(patience.delayMs, () => this.#fire(), patience.keepAlive);
  }

  cancel(): void {
    if (this.#isOver) return;
    this.#end();
    this.#inner.cancel();
  }

  #fire(): void {
    const { clock, stalls, delayMs, task, keepAlive } = this.#patience;
    const lostMs = this.#isExtended ? 0 : stalls.since(this.#mark);
    if (lostMs > 0) {
      this.#isExtended = true;
      this.#inner = clock.schedule(extension(lostMs, delayMs), () => this.#fire(), keepAlive);
      return;
    }
    this.#end();
    task();
  }

  #end(): void {
    this.#isOver = true;
    this.#patience.stalls.unwatch();
  }
}

/** In powers of two, because timers of equal length share one of Node's. */
function extension(lostMs: number, delayMs: number): number {
  return Math.min(2 ** Math.ceil(Math.log2(lostMs)), delayMs);
}
