import { connectivityState } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../runtime/clock.js';
import { type Deadline, leftOf } from './deadline.js';

interface Watcher {
  readonly from: connectivityState;
  readonly callback: (error?: Error) => void;
  timer: Timer | undefined;
}

/** The state of a channel, and who waits for it to change. */
export class Connectivity {
  readonly #clock: Clock;
  readonly #watchers = new Set<Watcher>();
  #state: connectivityState = connectivityState.IDLE;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get state(): connectivityState {
    return this.#state;
  }

  become(state: connectivityState): void {
    if (this.#state === state || this.#state === connectivityState.SHUTDOWN) return;
    this.#state = state;
    for (const watcher of this.#watchers) {
      if (watcher.from === state) continue;
      this.#watchers.delete(watcher);
      watcher.timer?.cancel();
      watcher.callback();
    }
  }

  /** Calls back at the first change from `from`, or with an error at the deadline. */
  watch(from: connectivityState, deadline: Deadline, callback: (error?: Error) => void): void {
    const leftMs = leftOf(deadline, this.#clock);
    if (leftMs <= 0) {
      process.nextTick(callback, tooLate());
      return;
    }
    const watcher: Watcher = { from, callback, timer: undefined };
    this.#watchers.add(watcher);
    if (leftMs === Number.POSITIVE_INFINITY) return;
    watcher.timer = this.#clock.schedule(
      leftMs,
      () => {
        this.#watchers.delete(watcher);
        callback(tooLate());
      },
      true,
    );
  }
}

function tooLate(): Error {
  return new Error('Deadline passed without connectivity state change');
}
