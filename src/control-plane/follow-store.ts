import type { Clock, Timer } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import { journalStamp, readJournalOnly } from './store/journal.js';
import { readKept } from './store/kept-state.js';
import type { ObjectStore } from './store/object-store.js';

export interface FollowTools {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Takes the place of the process that writes; false while there is one. */
  readonly takeOver: () => Promise<boolean>;
}

/** A look at two files; what a writer acknowledged is in force here within that time. */
const POLL_MS = 500;

/** Follows what another process writes into a store, and takes its place when it ends. */
export function followStore(
  directory: string,
  objects: ObjectStore,
  { clock, logger, takeOver }: FollowTools,
): { close(): Promise<void> } {
  let stamp = '';
  let isClosed = false;
  let timer: Timer | undefined;
  let running = Promise.resolve();
  const look = async (): Promise<boolean> => {
    if (await takeOver()) return true;
    const now = journalStamp(directory);
    if (now === stamp) return false;
    objects.follow(readKept(await readJournalOnly(directory)));
    stamp = now;
    return false;
  };
  const turn = (): void => {
    running = look().then(
      (isOver) => {
        if (!isOver && !isClosed) timer = clock.schedule(POLL_MS, turn);
      },
      (error: unknown) => {
        // It may be in the middle of being written: the next look tells.
        logger.warn(
          { directory, error: messageOf(error) },
          'the store of the other control plane was not read',
        );
        if (!isClosed) timer = clock.schedule(POLL_MS, turn);
      },
    );
  };
  timer = clock.schedule(POLL_MS, turn);
  return {
    close() {
      isClosed = true;
      timer?.cancel();
      return running;
    },
  };
}
