import type { Clock, Timer } from '../runtime/clock.js';

/** Calendars jump (suspended machines, corrected clocks) where timers do not: so waiting looks at the calendar this often. */
const LOOK_MS = 5000;

/**
 * Runs `task` once when the calendar reaches `whenMs`, or when it falls back before `notBeforeMs`; after a jump at most
 * five seconds late.
 */
export function atWallTime(
  clock: Clock,
  whenMs: number,
  task: () => void,
  notBeforeMs = Number.NEGATIVE_INFINITY,
): Timer {
  let timer: Timer;
  const left = () => Math.min(Math.max(0, Math.ceil(whenMs - clock.wallTime())), LOOK_MS);
  const look = () => {
    const now = clock.wallTime();
    if (now >= whenMs || now < notBeforeMs) task();
    else timer = clock.schedule(left(), look);
  };
  timer = clock.schedule(left(), look);
  return { cancel: () => timer.cancel() };
}
