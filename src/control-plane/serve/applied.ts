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

/** A client, and how it stands at this moment. */
export interface AppliedClient {
  readonly status: ClientStatus;
  /** Something that it asked for has not been sent to it, or not been answered by it. */
  readonly owes: boolean;
  /** When it said something last, in milliseconds of the clock. */
  readonly heardAtMs: number;
}

export interface AppliedOptions {
  readonly clock: Clock;
  readonly clients: () => readonly AppliedClient[];
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
  /** Since when nobody is waited for. */
  settledAtMs: number | undefined;
}

/**
 * What a client accepts may name more: it asks for that after its answer, with messages of their own. Whoever said
 * something just now is given the time for it.
 */
const QUIET_MS = 50;

/** Looks at the clients when something happened, at most once a turn of the event loop. */
export function createAppliedWaits({ clock, clients, published }: AppliedOptions): AppliedWaits {
  const waits = new Set<Wait>();
  let scheduled: NodeJS.Immediate | undefined;
  let quiet: Timer | undefined;
  const report = (revision: number, all: readonly AppliedClient[]): AppliedReport => {
    const newest = published();
    const missing = all.flatMap((one) => (isMissing(one, revision, newest) ? [one.status] : []));
    return { revision, isApplied: newest >= revision && missing.length === 0, missing };
  };
  const end = (wait: Wait, all = clients()) => {
    waits.delete(wait);
    wait.timer.cancel();
    wait.finish(report(wait.revision, all));
  };
  const look = () => {
    scheduled = undefined;
    quiet?.cancel();
    if (waits.size === 0) return;
    const all = clients();
    const [nowMs, heardAtMs] = [clock.now(), newestWord(all)];
    let nextMs = Number.POSITIVE_INFINITY;
    for (const wait of waits) {
      const { missing } = report(wait.revision, all);
      // Those that refuse what they have been sent will not change their mind.
      const isSettled = published() >= wait.revision && missing.every(({ state }) => state === 'NACKED');
      wait.settledAtMs = isSettled ? (wait.settledAtMs ?? nowMs) : undefined;
      if (wait.settledAtMs === undefined) continue;
      // Where there is always somebody who talks, it is enough that nothing new was asked for.
      const leftMs = Math.min(heardAtMs, wait.settledAtMs) + QUIET_MS - nowMs;
      if (leftMs > 0) nextMs = Math.min(nextMs, leftMs);
      else end(wait, all);
    }
    if (nextMs <= QUIET_MS) quiet = clock.schedule(nextMs, look);
  };
  return {
    wait: (revision, timeoutMs) =>
      new Promise((finish) => {
        const timer = clock.schedule(timeoutMs, () => end(wait), true);
        const wait: Wait = { revision, finish, timer, settledAtMs: undefined };
        waits.add(wait);
        look();
      }),
    touch() {
      if (waits.size > 0) scheduled ??= setImmediate(look);
    },
    close() {
      if (scheduled !== undefined) clearImmediate(scheduled);
      quiet?.cancel();
      for (const wait of waits) end(wait);
    },
  };
}

function isMissing({ status, owes }: AppliedClient, revision: number, published: number): boolean {
  const { applied, state } = status;
  if (applied < revision || state === 'NACKED') return true;
  // What it owes of a newer revision only is none of this one's business.
  return owes && applied >= published;
}

function newestWord(all: readonly AppliedClient[]): number {
  return all.reduce((newest, { heardAtMs }) => Math.max(newest, heardAtMs), Number.NEGATIVE_INFINITY);
}
