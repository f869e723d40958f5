import type { Clock, Timer } from '../runtime/clock.js';

/** A clock that stands still until a test moves it. */
export interface FakeClock extends Clock {
  /** Moves time forward, running each task at its time, and lets promises settle in between. */
  advance(ms: number): Promise<void>;
  /** Moves time forward without running anything, as when the event loop is blocked: what is due is late then. */
  block(ms: number): void;
  /** How many tasks wait. */
  readonly pending: number;
}

interface Task {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Makes a clock in virtual time; `wallTime` starts at the given calendar time. */
export function createFakeClock(wallTimeMs = Date.UTC(2030, 0, 1)): FakeClock {
  const tasks = new Set<Task>();
  let now = 0;
  let order = 0;
  const next = (untilMs: number): Task | undefined => {
    let first: Task | undefined;
    for (const task of tasks) {
      if (task.dueMs > untilMs) continue;
      if (
        first === undefined ||
        task.dueMs < first.dueMs ||
        (task.dueMs === first.dueMs && task.order < first.order)
      )
        first = task;
    }
    return first;
  };
  return {
    now: () => now,
    wallTime: () => wallTimeMs + now,
    schedule(delayMs, run): Timer {
      const task = { dueMs: now + Math.max(0, delayMs), order: order++, run };
      tasks.add(task);
      return { cancel: () => void tasks.delete(task) };
    },
    async advance(ms) {
      const untilMs = now + ms;
      await settle();
      for (let task = next(untilMs); task !== undefined; task = next(untilMs)) {
        tasks.delete(task);
        now = Math.max(now, task.dueMs);
        task.run();
        await settle();
      }
      now = untilMs;
    },
    block(ms) {
      now += ms;
    },
    get pending() {
      return tasks.size;
    },
  };
}

/** Lets promise chains and immediate callbacks run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
