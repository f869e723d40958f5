import { type EventLoopUtilization, performance } from 'node:perf_hooks';

/** Over less time a share says nothing. */
const LEAST_MS = 25;
/** What is left below this is no time to spend. */
const BUSY_SHARE = 0.9;

/** Reads how long the event loop worked and waited since `from`, or in all. */
export type ReadUtilization = (from?: EventLoopUtilization) => EventLoopUtilization;

/** Tells whether the event loop has had time left lately; it is looked at when somebody asks. */
export function createLoopLoad(
  read: ReadUtilization = (from) => performance.eventLoopUtilization(from),
): () => boolean {
  let from = read();
  let isBusy = false;
  return () => {
    const { active, idle, utilization } = read(from);
    if (active + idle >= LEAST_MS) {
      isBusy = utilization > BUSY_SHARE;
      from = read();
    }
    return isBusy;
  };
}
