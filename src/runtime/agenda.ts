import type { Clock, Timer } from './clock.js';

/** Many tasks at times of their own, on one timer. */
export interface Agenda {
  /** Runs `task` once after `delayMs`. */
  schedule(delayMs: number, task: () => void): Timer;
}

class Entry implements Timer {
  readonly dueMs: number;
  task: (() => void) | undefined;
  readonly #onCancel: () => void;

  constructor(dueMs: number, task: () => void, onCancel: () => void) {
    this.dueMs = dueMs;
    this.task = task;
    this.#onCancel = onCancel;
  }

  cancel(): void {
    if (this.task === undefined) return;
    this.task = undefined;
    this.#onCancel();
  }
}

/** Makes an empty agenda. Its timer runs while something is on it, and does not keep the process alive. */
export function createAgenda(clock: Clock): Agenda {
  return new HeapAgenda(clock);
}

/** A binary heap by due time; cancelled entries stay until they come up. */
class HeapAgenda implements Agenda {
  readonly #clock: Clock;
  readonly #heap: Entry[] = [];
  #timer: Timer | undefined;
  #armedForMs = Number.POSITIVE_INFINITY;
  /** Entries that are still to run. */
  #live = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  schedule(delayMs: number, task: () => void): Timer {
    const entry = new Entry(this.#clock.now() + delayMs, task, this.#cancelled);
    this.#live++;
    this.#push(entry);
    if (entry.dueMs < this.#armedForMs) this.#arm();
    return entry;
  }

  readonly #cancelled = (): void => {
    this.#live--;
    if (this.#live > 0) return;
    this.#heap.length = 0;
    this.#arm();
  };

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armedForMs = Number.POSITIVE_INFINITY;
    while (this.#heap[0] !== undefined && this.#heap[0].task === undefined) this.#pop();
    const [first] = this.#heap;
    if (first === undefined) return;
    this.#armedForMs = first.dueMs;
    this.#timer = this.#clock.schedule(Math.max(0, first.dueMs - this.#clock.now()), () => this.#run());
  }

  #run(): void {
    const now = this.#clock.now();
    try {
      for (let first = this.#heap[0]; first !== undefined && first.dueMs <= now; first = this.#heap[0]) {
        this.#pop();
        const { task } = first;
        if (task === undefined) continue;
        first.task = undefined;
        this.#live--;
        task();
      }
    } finally {
      this.#arm();
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || parent.dueMs <= entry.dueMs) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      const right = heap[down + 1];
      let child = heap[down];
      if (right !== undefined && child !== undefined && right.dueMs < child.dueMs) {
        child = right;
        down += 1;
      }
      if (child === undefined || child.dueMs >= last.dueMs) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
  }
}
