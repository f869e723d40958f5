import type { Clock } from '../../runtime/clock.js';

/** Until when a call may take; a date, or calendar milliseconds of which Infinity is no limit. */
export type Deadline = Date | number;

/** Node's longest timer: what lies behind it is no limit (grpc-js). */
const LONGEST_MS = 2 ** 31 - 1;

/** Milliseconds that are left; at most 0 when it is over, Infinity when there is no limit. */
export function leftOf(deadline: Deadline, clock: Clock): number {
  const atMs = typeof deadline === 'number' ? deadline : deadline.getTime();
  if (atMs === Number.POSITIVE_INFINITY) return atMs;
  const leftMs = atMs - clock.wallTime();
  return leftMs > LONGEST_MS ? Number.POSITIVE_INFINITY : leftMs;
}

/** The sooner of two. */
export function sooner(a: Deadline, b: Deadline): Deadline {
  return Number(a) <= Number(b) ? a : b;
}

/** Seconds, as grpc-js writes them. */
export function spent(ms: number): string {
  return `${(ms / 1000).toFixed(3)}s`;
}
