import type { Clock, Timer } from '../../runtime/clock.js';

/** Something that takes its turn. */
export interface Pushed {
  /** Work that may be interrupted wherever it yields, to be done before `push`, which then is short. */
  prepare(): Iterator<void>;
  /** Sends what is due; true when the other end has to read before there is more. */
  push(): boolean;
}

/** Gives sessions their turn. */
export interface PushQueue {
  /** It gets a turn soon; one that waits already waits once. */
  add(session: Pushed): void;
  /** It can go on sending, or is gone. */
  release(session: Pushed): void;
  remove(session: Pushed): void;
  close(): void;
}

export interface PushQueueOptions {
  /** How many clients may be in the middle of a transfer. */
  readonly maxTransfers: number;
  readonly clock: Clock;
}

/** How long one run may take before other work gets its turn. */
const SLICE_MS = 8;
/** A transfer that takes longer no longer keeps others waiting. */
const TRANSFER_MS = 1_000;

/**
 * Pushes in slices, so that a thousand clients do not keep the process from everything else, and to a bounded number of
 * clients at a time, so that what lies in buffers is bounded too.
 */
export function createPushQueue({ maxTransfers, clock }: PushQueueOptions): PushQueue {
  const waiting = new Set<Pushed>();
  const transfers = new Map<Pushed, Timer>();
  let scheduled: NodeJS.Immediate | undefined;
  const schedule = () => {
    scheduled ??= setImmediate(run);
  };
  const release = (session: Pushed) => {
    const timer = transfers.get(session);
    if (timer === undefined) return;
    timer.cancel();
    transfers.delete(session);
    if (waiting.size > 0) schedule();
  };
  let preparing: { readonly session: Pushed; readonly steps: Iterator<void> } | undefined;
  /** False when it takes longer than the slice has left. */
  const prepare = (session: Pushed, endMs: number): boolean => {
    const steps = preparing?.session === session ? preparing.steps : session.prepare();
    preparing = undefined;
    while (steps.next().done !== true) {
      if (clock.now() < endMs) continue;
      preparing = { session, steps };
      return false;
    }
    return true;
  };
  const push = (session: Pushed) => {
    waiting.delete(session);
    if (!session.push() || transfers.has(session)) return;
    transfers.set(
      session,
      clock.schedule(TRANSFER_MS, () => release(session)),
    );
  };
  const run = () => {
    scheduled = undefined;
    const endMs = clock.now() + SLICE_MS;
    for (const session of waiting) {
      if (transfers.size >= maxTransfers) return;
      if (!prepare(session, endMs)) break;
      push(session);
      if (clock.now() >= endMs) break;
    }
    if (waiting.size > 0) schedule();
  };
  return {
    add(session) {
      waiting.add(session);
      schedule();
    },
    release,
    remove(session) {
      waiting.delete(session);
      release(session);
    },
    close() {
      waiting.clear();
      for (const timer of transfers.values()) timer.cancel();
      transfers.clear();
      if (scheduled !== undefined) clearImmediate(scheduled);
    },
  };
}
