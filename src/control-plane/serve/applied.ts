import type { Clock, Timer } from '../../runtime/clock.js';
import type { ClientStatus } from './status.js';

/** Whether a revision of the configuration has arrived everywhere. */
export interface AppliedReport {
  readonly revision: number;
  /** Every connected client accepted everything that follows from the revision. */
  readonly isApplied: boolean;
  /** Those that did not: they have not answered yet, or refused. */
  readonly missing: readonly ClientStatus[];
}

export interface AppliedOptions {
  readonly clock: Clock;
  readonly clients: () => readonly ClientStatus[];
  /** Revision that clients are being brought to. */
  readonly published: () => number;
}

/** Waits for clients. */
export interface AppliedWaits {
  wait(revision: number, timeoutMs: number): Promise<AppliedReport>;
  /** A client answered, came or went. */
  touch(): void;
  close(): void;
}

interface Wait {
  readonly revision: number;
  readonly finish: (report: AppliedReport) => void;
  readonly timer: Timer;
}

/** Looks at the clients when something happened, at most once a turn of the event loop. */
export function createAppliedWaits({ clock, clients, published }: AppliedOptions): AppliedWaits {
  const waits = new Set<Wait>();
  let scheduled: NodeJS.Immediate | undefined;
  const report = (revision: number): AppliedReport & { readonly isFinal: boolean } => {
    const missing = clients().filter(({ applied, state }) => applied < revision || state === 'NACKED');
    const isPublished = published() >= revision;
    return {
      revision,
      isApplied: isPublished && missing.length === 0,
      missing,
      // Those that refuse what they have been sent will not change their mind.
      isFinal: isPublished && missing.every(({ state }) => state === 'NACKED'),
    };
  };
  const end = (wait: Wait) => {
    waits.delete(wait);
    wait.timer.cancel();
    const { revision, isApplied, missing } = report(wait.revision);
    wait.finish({ revision, isApplied, missing });
  };
  const look = () => {
    scheduled = undefined;
    for (const wait of waits) if (report(wait.revision).isFinal) end(wait);
  };
  return {
    wait: (revision, timeoutMs) =>
      new Promise((finish) => {
        const wait: Wait = { revision, finish, timer: clock.schedule(timeoutMs, () => end(wait), true) };
        waits.add(wait);
        look();
      }),
    touch() {
      if (waits.size > 0) scheduled ??= setImmediate(look);
    },
    close() {
      if (scheduled !== undefined) clearImmediate(scheduled);
      for (const wait of waits) end(wait);
    },
  };
}
