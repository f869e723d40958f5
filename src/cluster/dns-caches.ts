import type { DnsCacheConfig } from '../model/dns-cache.js';
import { isEqual } from '../runtime/equal.js';
import { DnsCache } from './dns-cache.js';
import type { DnsTools } from './resolve-dns.js';
import { createNameResolver, type ResolveName } from './resolve-name.js';

type CacheTools = Omit<DnsTools, 'resolve'> & { readonly resolveName?: ResolveName | undefined };

/** A cache that somebody holds. */
export interface HeldCache {
  readonly cache: DnsCache;
  /** Gives it back; with the last holder it goes. */
  release(): void;
}

/** The caches of all clusters that are made with these tools. */
export function createDnsCaches({ clock, random, logger, resolveName }: CacheTools): DnsCaches {
  return new DnsCaches(() => ({ clock, random, logger, resolve: resolveName ?? createNameResolver() }));
}

/** The caches of a process by configuration: clusters that name the same one share it, and a new one takes it over. */
export class DnsCaches {
  readonly #tools: () => DnsTools;
  readonly #held: { readonly config: DnsCacheConfig; readonly cache: DnsCache; holders: number }[] = [];

  /** The tools are made with the first cache: few processes have one. */
  constructor(tools: () => DnsTools) {
    this.#tools = tools;
  }

  acquire(config: DnsCacheConfig): HeldCache {
    let entry = this.#held.find((one) => isEqual(one.config, config));
    if (entry === undefined) {
      entry = { config, cache: new DnsCache(config, this.#tools()), holders: 0 };
      this.#held.push(entry);
    }
    const held = entry;
    held.holders++;
    let isReleased = false;
    return {
      cache: held.cache,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        held.holders--;
        if (held.holders > 0) return;
        this.#held.splice(this.#held.indexOf(held), 1);
        held.cache.close();
      },
    };
  }
}
