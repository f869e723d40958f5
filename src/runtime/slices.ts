import type { Clock, Timer } from './clock.js';

/** Long enough to get on, short enough that nobody notices. */
const SLICE_MS = 5;

/**
 * Does long work a few milliseconds at a time: it pauses where the generator yields. Cancelled work never calls
 * `onDone`.
 */
export function inSlices<T>(work: Generator<void, T>, clock: Clock, onDone: (result: T) => void): Timer {
  let timer: Timer;
  const slice = () => {
    const endMs = clock.now() + SLICE_MS;
    do {
      const { done, value } = work.next();
      if (done === true) {
        onDone(value);
        return;
      }
    } while (clock.now() < endMs);
    timer = clock.schedule(0, slice);
  };
  timer = clock.schedule(0, slice);
  return { cancel: () => timer.cancel() };
}
