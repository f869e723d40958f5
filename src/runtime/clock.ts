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

/**
 * A waiting task in a doubly linked list. A cancelled one leaves the list at once: what it would have kept alive (an
 * exchange, its body) is garbage right away, not when its time would have come.
 */
class QueuedTask implements Timer {
  readonly dueMs: number;
  task: (() => void) | undefined;
  previous: QueuedTask | undefined;
  next: QueuedTask | undefined;
  readonly #queue: TimerQueue;

  constructor(queue: TimerQueue, task: () => void, dueMs: number) {
    this.#queue = queue;
    this.task = task;
    this.dueMs = dueMs;
  }

  cancel(): void {
    if (this.task === undefined) return;
    this.task = undefined;
    this.#queue.remove(this);
  }
}

/**
 * Timers of one delay share one Node timer: they come due in the order they were made, so a list is enough.
 */
class TimerQueue {
  readonly #delayMs: number;
  #first: QueuedTask | undefined;
  #last: QueuedTask | undefined;
  #armed = false;

  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }

  /** Whether nobody waits here. */
  get isIdle(): boolean {
    return !this.#armed && this.#first === undefined;
  }

  add(task: () => void): Timer {
    const entry = new QueuedTask(this, task, performance.now() + this.#delayMs);
    entry.previous = this.#last;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    if (!this.#armed) this.#arm(this.#delayMs);
    return entry;
  }

  remove(entry: QueuedTask): void {
    if (entry.previous === undefined) this.#first = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === undefined) this.#last = entry.previous;
    else entry.next.previous = entry.previous;
  }

  #arm(delayMs: number): void {
    this.#armed = true;
    setTimeout(() => this.#run(), Math.max(1, Math.ceil(delayMs))).unref();
  }

  #run(): void {
    this.#armed = false;
    const now = performance.now();
    for (let entry = this.#first; entry !== undefined; entry = this.#first) {
      if (entry.dueMs > now) {
        this.#arm(entry.dueMs - now);
        return;
      }
      const { task } = entry;
      entry.cancel();
      try {
        task?.();
      } catch (error) {
        // The next tasks must run though this one failed.
        if (!this.#armed && this.#first !== undefined) this.#arm(1);
        throw error;
      }
    }
  }
}

const queues = new Map<number, TimerQueue>();

/** Delays that never come again (jittered ones) must not take the places of those that do. */
function dropIdleQueues(): void {
  for (const [delayMs, queue] of queues) if (queue.isIdle) queues.delete(delayMs);
}

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
      if (queues.size >= MAX_QUEUES) dropIdleQueues();
      if (queues.size >= MAX_QUEUES) return nativeTimer(delayMs, task, false);
      queue = new TimerQueue(delayMs);
      queues.set(delayMs, queue);
    }
    return queue.add(task);
  },
};
