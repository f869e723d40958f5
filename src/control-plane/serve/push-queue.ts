/** Something that takes its turn. */
export interface Pushed {
  push(): void;
}

/** Gives sessions their turn. */
export interface PushQueue {
  /** It gets a turn soon; one that waits already waits once. */
  add(session: Pushed): void;
  remove(session: Pushed): void;
  close(): void;
}

/** How long one run may take before other work gets its turn. */
const SLICE_MS = 8;

/** Pushes in slices, so that a thousand clients do not keep the process from everything else. */
export function createPushQueue(now: () => number = () => performance.now()): PushQueue {
  const waiting = new Set<Pushed>();
  let scheduled: NodeJS.Immediate | undefined;
  const run = () => {
    scheduled = undefined;
    const end = now() + SLICE_MS;
    for (const session of waiting) {
      waiting.delete(session);
      session.push();
      if (now() >= end) break;
    }
    if (waiting.size > 0) schedule();
  };
  const schedule = () => {
    scheduled ??= setImmediate(run);
  };
  return {
    add(session) {
      waiting.add(session);
      schedule();
    },
    remove: (session) => void waiting.delete(session),
    close() {
      waiting.clear();
      if (scheduled !== undefined) clearImmediate(scheduled);
    },
  };
}
