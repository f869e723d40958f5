import type { Clock, Timer } from '../../../src/runtime/clock.js';

/** A clock in virtual time that runs as fast as the work allows. */
export interface VirtualClock extends Clock {
  /** Runs everything that is due until then, in order, and lets promises settle in between. */
  runUntil(ms: number): Promise<void>;
}

interface Task {
  readonly dueMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** Makes a virtual clock: a heap of tasks, so that a simulation may have hundreds of thousands of them. */
export function createVirtualClock(): VirtualClock {
  const heap: Task[] = [];
  let [now, order] = [0, 0];
  return {
    now: () => now,
    wallTime: () => Date.UTC(2030, 0, 1) + now,
    schedule(delayMs, run): Timer {
      // As Node's timers: whole milliseconds, never early.
      const task: Task = { dueMs: Math.ceil(now + Math.max(0, delayMs)), order: order++, run };
      push(heap, task);
      return {
        cancel() {
          task.run = undefined;
        },
      };
    },
    async runUntil(ms) {
      for (let first = heap[0]; first !== undefined && first.dueMs <= ms; first = heap[0]) {
        now = first.dueMs;
        // What is due at the same time runs in one turn: nothing in between could tell.
        for (let next = heap[0]; next !== undefined && next.dueMs === now; next = heap[0]) {
          pop(heap);
          next.run?.();
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      now = ms;
    },
  };
}

function isBefore(a: Task, b: Task): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

function push(heap: Task[], task: Task): void {
  let at = heap.push(task) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || !isBefore(task, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = task;
}

function pop(heap: Task[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    const [left, right] = [heap[child], heap[child + 1]];
    if (left === undefined) break;
    if (right !== undefined && isBefore(right, left)) child++;
    const least = heap[child];
    if (least === undefined || !isBefore(least, last)) break;
    heap[at] = least;
    at = child;
  }
  heap[at] = last;
}
