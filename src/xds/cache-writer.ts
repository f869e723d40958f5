import type { Clock, Timer } from '../runtime/clock.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { SnapshotCache } from './cache.js';
import type { StoredResource } from './store.js';

/** What the cache writer works with. */
export interface CacheWriterOptions {
  readonly cache: SnapshotCache;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What is in force at the moment of writing. */
  readonly collect: () => readonly StoredResource[];
}

/** Saves what is in force, some time after it changed. */
export interface CacheWriter {
  /** Something may have changed. */
  call(): void;
  /** Writes what is still due. */
  close(): Promise<void>;
}

const MIN_QUIET_MS = 1000;
const MAX_QUIET_MS = 60_000;
/** A file is always written as a whole, so a large one seldom: about a megabyte per second at most. */
const BYTES_PER_MS = 1024;
/** While changes go on, a write comes at the latest after this many quiet times. */
const PATIENCE = 5;

/** Writes at most once a second, one write at a time, and only what differs. A failure costs a log line, nothing else. */
export function createCacheWriter({ cache, clock, logger, collect }: CacheWriterOptions): CacheWriter {
  let isDue = false;
  let saved: readonly StoredResource[] = [];
  let savedBytes = 0;
  let firstMs = 0;
  let timer: Timer | undefined;
  let writing: Promise<void> = Promise.resolve();
  const write = async () => {
    if (!isDue) return;
    isDue = false;
    const resources = collect();
    if (isSameList(resources, saved)) return;
    try {
      await cache.save(resources);
      saved = resources;
      savedBytes = resources.reduce((sum, { bytes }) => sum + bytes.length, 0);
    } catch (error) {
      logger.warn(
        { error: messageOf(error) },
        'the configuration could not be saved; a restart without control plane would miss it',
      );
    }
  };
  const enqueue = () => {
    timer = undefined;
    writing = writing.then(write);
  };
  return {
    call() {
      isDue = true;
      const now = clock.now();
      if (timer === undefined) firstMs = now;
      timer?.cancel();
      const quietMs = Math.min(MAX_QUIET_MS, Math.max(MIN_QUIET_MS, savedBytes / BYTES_PER_MS));
      timer = clock.schedule(Math.min(quietMs, Math.max(0, firstMs + PATIENCE * quietMs - now)), enqueue);
    },
    async close() {
      timer?.cancel();
      enqueue();
      await writing;
    },
  };
}

/** Bytes are immutable and kept while they do not change, so identity tells. */
function isSameList(a: readonly StoredResource[], b: readonly StoredResource[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, index) => one.bytes === b[index]?.bytes && one.name === b[index]?.name)
  );
}
