import { WILDCARD } from './protocol.js';
import { collectionOf, namespaceOf } from './resource-name.js';

/** Versions mean nothing but to their server, and none of them is this. */
const UNKNOWN_VERSION = '?';

/** A change of a subscription, as a request tells it. */
export interface SubscriptionChange {
  readonly subscribe: ReadonlySet<string>;
  readonly unsubscribe: ReadonlySet<string>;
  /** Name to version of everything that the client has; of the first request of a stream only. */
  readonly initialVersions: ReadonlyMap<string, string>;
}

/**
 * What a client wants of one type and which versions it has, by Envoy's rules. A name given up under a wildcard is
 * ambiguous, for the wildcard may mean it, too, until the server sends or removes it.
 */
export class DeltaSubscription {
  /** Names asked for, `*` among them, with the version that is there. */
  readonly #requested = new Map<string, string | undefined>();
  /** What only the wildcard brought. */
  readonly #wildcard = new Map<string, string>();
  readonly #ambiguous = new Map<string, string>();
  #added = new Set<string>();
  #removed = new Set<string>();
  /** Nothing but the wildcard was ever wanted: it is said by naming nothing, which every server understands. */
  #isLegacy = true;
  #isFirst = true;
  readonly #isNamespaced: boolean;

  constructor(isNamespaced = false) {
    this.#isNamespaced = isNamespaced;
  }

  get isEmpty(): boolean {
    return this.#requested.size === 0;
  }

  /** Whether a resource of this name is wanted. */
  wants(name: string): boolean {
    return this.#requested.has(name) || this.#isImplied(name);
  }

  /** Replaces the names; what changed gathers until `take`. */
  update(names: ReadonlySet<string>): void {
    for (const name of names) if (!this.#requested.has(name)) this.#add(name);
    for (const name of this.#requested.keys()) if (!names.has(name)) this.#remove(name);
  }

  /** Asks again for names that were never answered, or for all. */
  askAgain(isForAll: boolean): void {
    for (const [name, version] of this.#requested) {
      if (isForAll || (version === undefined && name !== WILDCARD)) this.#added.add(name);
    }
  }

  /** Whether there is something to tell the server. */
  get isDue(): boolean {
    return this.#isFirst ? !this.isEmpty : this.#added.size > 0 || this.#removed.size > 0;
  }

  /** What to tell the server, once, given the names that are held. */
  take(held: () => Iterable<string>): SubscriptionChange {
    const initialVersions = new Map<string, string>();
    if (this.#isFirst) {
      // The server may be another one: it has to hear of everything.
      this.#added = this.#isLegacyWildcard() ? new Set() : new Set(this.#requested.keys());
      this.#removed.clear();
      for (const name of held()) {
        const version = this.#versionOf(name);
        if (version !== undefined) initialVersions.set(name, version);
      }
    }
    const change = { subscribe: this.#added, unsubscribe: this.#removed, initialVersions };
    this.#added = new Set();
    this.#removed = new Set();
    this.#isFirst = false;
    return change;
  }

  /** A new stream begins. */
  restart(): void {
    this.#isFirst = true;
  }

  /** The versions that are there mean nothing to the server any more. */
  forgetVersions(): void {
    for (const name of this.#requested.keys()) this.#requested.set(name, undefined);
    this.#wildcard.clear();
    this.#ambiguous.clear();
  }

  /** The version of a resource that is wanted now is in force. */
  accepted(name: string, version: string): void {
    if (this.#requested.has(name)) {
      this.#requested.set(name, version);
      return;
    }
    this.#wildcard.set(name, version);
    this.#ambiguous.delete(name);
  }

  /** The server has no such resource (any more). */
  removed(name: string): void {
    if (this.#requested.has(name)) this.#requested.set(name, undefined);
    this.#wildcard.delete(name);
    this.#ambiguous.delete(name);
  }

  /**
   * Under a wildcard, what is held without a version (from the disk, from another server) is told with one that no server
   * has: it is sent again, or removed.
   */
  #versionOf(name: string): string | undefined {
    const version = this.#requested.get(name) ?? this.#wildcard.get(name) ?? this.#ambiguous.get(name);
    return version ?? (this.#isImplied(name) ? UNKNOWN_VERSION : undefined);
  }

  /** Whether the wildcard means it, a namespace, or a collection. */
  #isImplied(name: string): boolean {
    if (this.#requested.has(WILDCARD)) return true;
    if (this.#isNamespaced && this.#requested.has(namespaceOf(name))) return true;
    const collection = collectionOf(name);
    return collection !== undefined && this.#requested.has(collection);
  }

  #add(name: string): void {
    if (name !== WILDCARD) this.#isLegacy = false;
    this.#requested.set(name, this.#wildcard.get(name) ?? this.#ambiguous.get(name));
    this.#wildcard.delete(name);
    this.#ambiguous.delete(name);
    this.#removed.delete(name);
    this.#added.add(name);
  }

  #remove(name: string): void {
    const version = this.#requested.get(name);
    if (version !== undefined && this.#requested.has(WILDCARD)) this.#ambiguous.set(name, version);
    this.#requested.delete(name);
    this.#added.delete(name);
    // Envoy: also when the server never heard of it, for it may have been given up and wanted again in between.
    this.#removed.add(name);
    this.#isLegacy = false;
    if (name !== WILDCARD) return;
    this.#wildcard.clear();
    this.#ambiguous.clear();
  }

  #isLegacyWildcard(): boolean {
    if (this.#requested.size !== 1 || !this.#requested.has(WILDCARD)) return false;
    return this.#isLegacy || (this.#added.size === 0 && this.#removed.size === 0);
  }
}
