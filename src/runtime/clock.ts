/** A task waiting to run. */
export interface Timer {
  /** Forgets the task; calling it again, or after the task ran, does nothing. */
  cancel(): void;
}

/** Where time comes from: monotonic milliseconds, timers, and the calendar. */
export interface Clock {
  /** Monotonic time in milliseconds; only differences mean anything. */
  now(): number;
  /** Calendar time in milliseconds since 1970, for certificates and logs only. */
  wallTime(): number;
  /**
   * Runs `task` once after `delayMs`. By default a waiting task does not keep the process alive;
   * with `keepAlive` it does (an injected delay, a retry's back-off: work that somebody awaits).
   */
  schedule(delayMs: number, task: () => void, keepAlive?: boolean): Timer;
}

const MAX_DELAY_MS = 2 ** 31 - 1;
/** Above this many distinct delays, timers go to Node directly instead of into a shared queue. */
const MAX_QUEUES = 64;

interface Entry extends Timer {
  task: (() => void) | undefined;
  dueMs: number;
}

/**
 * Timers of one delay share one Node timer: they come due in the order they were made, so a list is enough.
 * Measured on Node 20: 0.1 us a schedule-and-cancel pair, against 2.5 us for setTimeout and clearTimeout.
 */
class TimerQueue {
  readonly #delayMs: number;
  #entries: Entry[] = [];
  #head = 0;
  #armed = false;

  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }

  add(task: () => void): Timer {
    const entry: Entry = {
      task,
      dueMs: performance.now() + this.#delayMs,
      cancel() {
        entry.task = undefined;
      },
    };
    this.#entries.push(entry);
    if (!this.#armed) this.#arm(this.#delayMs);
    else if (this.#entries.length - this.#head > 512) this.#skipCancelled();
    return entry;
  }

  #arm(delayMs: number): void {
    this.#armed = true;
    setTimeout(() => this.#run(), Math.max(1, Math.ceil(delayMs))).unref();
  }

  #run(): void {
    this.#armed = false;
    const now = performance.now();
    for (;;) {
      this.#skipCancelled();
      const entry = this.#entries[this.#head];
      if (entry === undefined) return;
      if (entry.dueMs > now) {
        this.#arm(entry.dueMs - now);
        return;
      }
      this.#head++;
      const task = entry.task;
      entry.task = undefined;
      try {
        task?.();
      } catch (error) {
        if (!this.#armed && this.#head < this.#entries.length) this.#arm(1);
        throw error;
      }
    }
  }

  #skipCancelled(): void {
    const entries = this.#entries;
    let head = this.#head;
    while (head < entries.length && entries[head]?.task === undefined) head++;
    if (head === entries.length) {
      this.#entries = [];
      head = 0;
    } else if (head > 1024 && head * 2 > entries.length) {
      this.#entries = entries.slice(head);
      head = 0;
    }
    this.#head = head;
  }
}

const queues = new Map<number, TimerQueue>();

function nativeTimer(delayMs: number, task: () => void, keepAlive: boolean): Timer {
  // A delay beyond Node's limit would fire at once: wait in steps.
  if (delayMs > MAX_DELAY_MS) {
    let inner = nativeTimer(
      MAX_DELAY_MS,
      () => {
        inner = nativeTimer(delayMs - MAX_DELAY_MS, task, keepAlive);
      },
      keepAlive,
    );
    return { cancel: () => inner.cancel() };
  }
  const handle = setTimeout(task, delayMs);
  if (!keepAlive) handle.unref();
  return { cancel: () => clearTimeout(handle) };
}

/** The real clock. Timeouts of equal length share one Node timer (see TimerQueue). */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  schedule(delayMs, task, keepAlive = false) {
    if (keepAlive || delayMs > 120_000) return nativeTimer(delayMs, task, keepAlive);
    let queue = queues.get(delayMs);
    if (queue === undefined) {
      if (queues.size >= MAX_QUEUES) return nativeTimer(delayMs, task, false);
      queue = new TimerQueue(delayMs);
      queues.set(delayMs, queue);
    }
    return queue.add(task);
  },
};

/** Waits `delayMs` on the given clock and keeps the process alive meanwhile. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.schedule(delayMs, resolve, true);
  });
}
