import type { Clock } from '../runtime/clock.js';
import { debounce } from '../runtime/debounce.js';
import { messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import type { SnapshotCache } from './cache.js';
import type { StoredResource } from './store.js';

/** What the cache writer works with. */
export interface CacheWriterOptions {
  readonly cache: SnapshotCache | undefined;
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

/** Writes at most once a second, one write at a time, and only what differs. A failure costs a log line, nothing else. */
export function createCacheWriter({ cache, clock, logger, collect }: CacheWriterOptions): CacheWriter {
  let isDue = false;
  let saved: readonly StoredResource[] = [];
  let writing: Promise<void> = Promise.resolve();
  const write = async () => {
    if (cache === undefined || !isDue) return;
    isDue = false;
    const resources = collect();
    if (isSameList(resources, saved)) return;
    try {
      await cache.save(resources);
      saved = resources;
    } catch (error) {
      logger.warn(
        { error: messageOf(error) },
        'the configuration could not be saved; a restart without control plane would miss it',
      );
    }
  };
  const enqueue = () => {
    writing = writing.then(write);
  };
  const later = debounce(enqueue, { quietMs: 1000, maxMs: 5000 }, clock);
  return {
    call() {
      isDue = true;
      if (cache !== undefined) later.call();
    },
    async close() {
      later.cancel();
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
