import type { Clock, Timer } from './clock.js';

export interface DebounceOptions {
  /** Run after this long without a further call, in milliseconds. */
  readonly quietMs: number;
  /** Run at the latest this long after the first call, in milliseconds. */
  readonly maxMs: number;
}

export interface Debounced {
  /** Asks for a run. */
  call(): void;
  /** Whether a run waits. */
  readonly isWaiting: boolean;
  /** Runs now what waits; nothing when nothing does. */
  flush(): void;
  /** Drops a waiting run. */
  cancel(): void;
}

/** Merges calls that follow each other closely into one run of `task`. */
export function debounce(task: () => void, options: DebounceOptions, clock: Clock): Debounced {
  let timer: Timer | undefined;
  let firstMs = 0;
  const run = () => {
    timer = undefined;
    task();
  };
  return {
    call() {
      const now = clock.now();
      if (timer === undefined) firstMs = now;
      timer?.cancel();
      const left = Math.max(0, firstMs + options.maxMs - now);
      timer = clock.schedule(Math.min(options.quietMs, left), run);
    },
    get isWaiting() {
      return timer !== undefined;
    },
    flush() {
      if (timer === undefined) return;
      timer.cancel();
      run();
    },
    cancel() {
      timer?.cancel();
      timer = undefined;
    },
  };
}
