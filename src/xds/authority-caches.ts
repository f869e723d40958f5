import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/log.js';
import { type SnapshotCache, toCacheError } from './cache.js';
import { type CacheWriter, createCacheWriter } from './cache-writer.js';
import type { Report } from './report.js';
import { authorityOf } from './resource-name.js';
import type { ResourceStore } from './store.js';

/** What the caches of a client work with. */
export interface AuthorityCachesOptions {
  /** Names of the authorities. */
  readonly names: readonly string[];
  readonly cacheOf: ((authority: string) => SnapshotCache | undefined) | undefined;
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly report: Report;
}

/** The last good configuration of each authority on disk: what one of them lacks or breaks is no matter of the others. */
export class AuthorityCaches {
  readonly #options: AuthorityCachesOptions;
  readonly #caches = new Map<string, SnapshotCache>();
  readonly #writers: readonly CacheWriter[];
  /** When what was read at the start had been saved, by authority. */
  readonly #savedAt = new Map<string, number>();

  constructor(options: AuthorityCachesOptions) {
    this.#options = options;
    const { names, cacheOf, store, clock, logger } = options;
    for (const name of names) {
      const cache = cacheOf?.(name);
      if (cache !== undefined) this.#caches.set(name, cache);
    }
    this.#writers = [...this.#caches].map(([name, cache]) => {
      const isOwn = (one: { readonly name: string }) => authorityOf(one.name) === name;
      const collect = () => (names.length === 1 ? [...store.stored()] : [...store.stored()].filter(isOwn));
      return createCacheWriter({ cache, clock, logger, collect });
    });
  }

  /** Fills the store. Answers with the time at which the oldest of what it found was saved; undefined: there was nothing. */
  async restore(): Promise<number | undefined> {
    await Promise.all([...this.#caches].map(([name, cache]) => this.#restoreOne(name, cache)));
    return this.#savedAt.size === 0 ? undefined : Math.min(...this.#savedAt.values());
  }

  /** When the values of an authority had been saved, as long as some come from the disk. */
  savedAt(authority: string): number | undefined {
    const savedAt = this.#savedAt.get(authority);
    if (savedAt === undefined) return undefined;
    for (const { name, isCached } of this.#options.store.statuses()) {
      if (isCached && authorityOf(name) === authority) return savedAt;
    }
    this.#savedAt.delete(authority);
    return undefined;
  }

  /** What is in force may have changed. */
  call(): void {
    for (const writer of this.#writers) writer.call();
  }

  /** Writes what is still due. */
  async close(): Promise<void> {
    await Promise.all(this.#writers.map((writer) => writer.close()));
  }

  /** Whatever is wrong with a cache is reported and passed over. */
  async #restoreOne(authority: string, cache: SnapshotCache): Promise<void> {
    const { store, report } = this.#options;
    try {
      const cached = await cache.load();
      for (const resource of cached?.resources ?? []) {
        // A file speaks for its own authority only.
        if (authorityOf(resource.name) !== authority) continue;
        try {
          store.restore(resource);
          this.#savedAt.set(authority, cached?.savedAt ?? 0);
        } catch (error) {
          report(toCacheError(error), resource);
        }
      }
    } catch (error) {
      report(toCacheError(error), { typeUrl: '', name: 'cache' });
    }
  }
}
