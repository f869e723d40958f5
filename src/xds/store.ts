import type { Clock } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import { isAbsence } from './data-errors.js';
import type { Found } from './found.js';
import {
  type DecodableType,
  type HeldBytes,
  type HeldResources,
  type ResourceChange,
  WILDCARD,
} from './protocol.js';
import {
  blankEntry,
  clearValue,
  type Entry,
  inUse,
  isWaiting,
  type RefusedValue,
  type ResourceState,
  type Value,
} from './resource-entry.js';
import { collectionOf, isCollection, namespaceOf } from './resource-name.js';

/** What is known about one resource, for status pages. */
export interface ResourceStatus {
  readonly typeUrl: string;
  readonly name: string;
  readonly state: ResourceState;
  /** Of the value in force; empty while there is none. */
  readonly version: string;
  /** Whether a value is in force, be it an old one. */
  readonly isHeld: boolean;
  /** The value comes from the disk and the server has not spoken about it yet. */
  readonly isCached: boolean;
  /** Monotonic time until which an old value is served in place of the one received last; undefined = it is not. */
  readonly lastResortUntilMs: number | undefined;
  /** Why the value received last is not in force. */
  readonly error: MeshError | undefined;
  /** The value in force. */
  readonly bytes: Uint8Array | undefined;
  /** Calendar time in milliseconds since which it is; undefined while there is none, and for one from the disk. */
  readonly updatedAtMs: number | undefined;
  /** The value received last, when it is not in force. */
  readonly refused: RefusedValue | undefined;
}

/** A value in force, as the cache keeps it. */
export interface StoredResource {
  readonly typeUrl: string;
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
}

/** What the passing of time did, and when it does the next thing. */
export interface Expiry {
  /** Monotonic time. */
  readonly nextMs: number | undefined;
  readonly hasExpired: boolean;
}

/** How long a value that was emptied or removed wholesale stays in use. */
export const LAST_RESORT_MS = 600_000;

/** What the store works with. */
export interface StoreOptions {
  readonly types: readonly DecodableType[];
  readonly clock: Clock;
  /** Whether a value is so empty that the one before is kept as a last resort. */
  readonly isHollow?: (typeUrl: string, resource: unknown) => boolean;
  /** Hears of each value that stays in use although the server removed it. */
  readonly onKept?: (type: DecodableType, name: string) => void;
  /** Hears of each value that is kept as a last resort. */
  readonly onLastResort?: (typeUrl: string, name: string) => void;
}

/** Holds the resources of every type with their three outcomes: a new value, no usable value, or the old value kept. */
export class ResourceStore implements HeldResources {
  readonly #types: ReadonlyMap<string, DecodableType>;
  readonly #entries: ReadonlyMap<string, Map<string, Entry>>;
  readonly #options: StoreOptions;
  /** Entries that may have a last resort. */
  readonly #withLastResort = new Set<Entry>();
  /** Entries whose value ends, by type and name. */
  readonly #ending = new Map<Entry, { readonly typeUrl: string; readonly name: string }>();
  readonly #names = new Map<string, ReadonlySet<string>>();

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#types = new Map(options.types.map((type) => [type.typeUrl, type]));
    this.#entries = new Map(options.types.map((type) => [type.typeUrl, new Map()]));
  }

  get(typeUrl: string, name: string): HeldBytes | undefined {
    const entry = this.#of(typeUrl).get(name);
    if (entry === undefined) return undefined;
    return {
      accepted: entry.value?.bytes,
      resource: entry.value?.resource,
      version: entry.value?.version ?? '',
      rejected: entry.rejected,
    };
  }

  *names(typeUrl: string): Iterable<string> {
    for (const [name, { value }] of this.#of(typeUrl)) if (value !== undefined) yield name;
  }

  /** Every name of a type that anything is known about. */
  known(typeUrl: string): Iterable<string> {
    return this.#of(typeUrl).keys();
  }

  /**
   * The value to use, typed by its resource type. With `isConfirmed` a value from the disk counts as pending until the
   * server has spoken about it.
   */
  find<T extends object>(type: DecodableType<T>, name: string, isConfirmed = false): Found<T> {
    const entry = this.#of(type.typeUrl).get(name);
    if (entry === undefined || (isConfirmed && entry.isCached)) return 'pending';
    const value = inUse(entry);
    // Values under a type's URL were made by that type's decode.
    if (value !== undefined) return value.resource as T;
    if (entry.state === 'requested') return 'pending';
    return entry.isBroken ? 'refused' : 'absent';
  }

  /** Puts a value from the disk. Throws a MeshError when it does not decode. */
  restore({ typeUrl, name, version, bytes }: StoredResource): void {
    const type = this.#types.get(typeUrl);
    if (type === undefined) return;
    try {
      const entry = blankEntry();
      const decoded = type.decode(bytes);
      if (type.isNamespaced !== true && decoded.name !== name)
        throw new TypeError(`its name reads ${JSON.stringify(decoded.name)}`);
      entry.value = { resource: decoded.resource, bytes, version };
      entry.isCached = true;
      this.#of(typeUrl).set(name, entry);
    } catch (cause) {
      throw new MeshError('INMESH_CACHE_CORRUPT', `a cached resource does not decode: ${messageOf(cause)}`, {
        cause,
        resource: name,
      });
    }
  }

  /**
   * Makes room for the names subscribed to and forgets the others of the type; next to a wildcard, only those that
   * the server never sent.
   */
  retain(typeUrl: string, names: ReadonlySet<string>): void {
    const entries = this.#of(typeUrl);
    this.#names.set(typeUrl, names);
    const isWildcard = names.has(WILDCARD);
    const isNamespaced = this.#types.get(typeUrl)?.isNamespaced === true;
    for (const [name, entry] of entries) {
      const isSent = entry.value !== undefined || entry.rejected !== undefined;
      const isImplied =
        isWildcard || names.has(collectionOf(name) ?? '') || (isNamespaced && names.has(namespaceOf(name)));
      if (!names.has(name) && !(isImplied && isSent)) entries.delete(name);
    }
    for (const name of names) {
      // What stands for others is none itself.
      if (name !== WILDCARD && !isCollection(name) && !entries.has(name)) entries.set(name, blankEntry());
    }
  }

  /** Puts what a response said in force. `keepsValue`: a value that is held stays in use whatever was said. */
  apply(change: ResourceChange, keepsValue: boolean): void {
    const { type, name, kind } = change;
    const entry = this.#of(type.typeUrl).get(name) ?? blankEntry();
    this.#of(type.typeUrl).set(name, entry);
    entry.waitingSinceMs = undefined;
    entry.isCached = false;
    entry.failure = undefined;
    switch (kind) {
      case 'updated':
        this.#update(type.typeUrl, name, entry, change);
        this.#renew(type.typeUrl, name, entry, change.ttlMs);
        return;
      case 'unchanged':
        this.#renew(type.typeUrl, name, entry, change.ttlMs);
        if (entry.value !== undefined) entry.value = { ...entry.value, version: change.version };
        entry.state = 'acked';
        entry.isBroken = false;
        entry.rejected = undefined;
        return;
      case 'rejected':
        entry.state = 'nacked';
        entry.isBroken = true;
        entry.rejected = {
          bytes: change.bytes,
          version: change.version,
          error: change.error,
          atMs: this.#options.clock.wallTime(),
        };
        break;
      case 'failed':
        entry.state = isAbsence(change.code) ? 'does-not-exist' : 'received-error';
        entry.isBroken = !isAbsence(change.code);
        entry.failure = change.error;
        break;
      case 'removed':
        if (!keepsValue || entry.value === undefined) this.#remove(type.typeUrl, name);
        else this.#keep(type, name, entry);
        return;
    }
    if (!keepsValue) clearValue(entry);
  }

  /** Starts or stops the clock of what is unanswered of a type: it runs only while a stream is ready (gRFC A57). */
  setConnected(typeUrl: string, isConnected: boolean, isMeant: (name: string) => boolean): void {
    const now = this.#options.clock.now();
    for (const [name, entry] of this.#of(typeUrl)) {
      if (!isWaiting(entry) || !isMeant(name)) continue;
      entry.waitingSinceMs = isConnected ? (entry.waitingSinceMs ?? now) : undefined;
    }
  }

  /** Whether no server has spoken about a name yet, as far as this process knows. */
  isUnanswered(typeUrl: string, name: string): boolean {
    const entry = this.#of(typeUrl).get(name);
    return entry === undefined || isWaiting(entry);
  }

  /** The wait for a resource, counted from now if it did not run yet; undefined when it was answered. */
  waitingSince(typeUrl: string, name: string): number | undefined {
    const entry = this.#of(typeUrl).get(name);
    if (entry === undefined || !isWaiting(entry)) return undefined;
    entry.waitingSinceMs ??= this.#options.clock.now();
    return entry.waitingSinceMs;
  }

  /**
   * Gives up on an answer: a value from the disk stays, anything else counts as absent until it arrives, or as an outage.
   */
  giveUp(typeUrl: string, name: string, isOutage = false): void {
    const entry = this.#of(typeUrl).get(name);
    if (entry === undefined) return;
    entry.state = 'timeout';
    entry.isBroken = isOutage;
    entry.isCached = false;
    entry.waitingSinceMs = undefined;
  }

  /**
   * Drops the values and last resorts whose time is over. Returns when the next one ends, and whether any did.
   */
  expire(): Expiry {
    const now = this.#options.clock.now();
    let nextMs = Number.POSITIVE_INFINITY;
    let hasExpired = false;
    for (const [entry, { typeUrl, name }] of this.#ending) {
      const { endsAtMs } = entry;
      const isIn = this.#of(typeUrl).get(name) === entry;
      if (isIn && endsAtMs !== undefined && endsAtMs > now) nextMs = Math.min(nextMs, endsAtMs);
      else {
        this.#ending.delete(entry);
        if (!isIn || endsAtMs === undefined) continue;
        // Envoy: as if the server had removed it.
        this.#remove(typeUrl, name);
        hasExpired = true;
      }
    }
    for (const entry of this.#withLastResort) {
      const { lastResort } = entry;
      if (lastResort !== undefined && lastResort.untilMs > now) nextMs = Math.min(nextMs, lastResort.untilMs);
      else {
        entry.lastResort = undefined;
        this.#withLastResort.delete(entry);
        hasExpired = true;
      }
    }
    return { nextMs: Number.isFinite(nextMs) ? nextMs : undefined, hasExpired };
  }

  /** Everything in force, for the cache. Secrets do not touch the disk; what has to be renewed is not for later. */
  *stored(): Iterable<StoredResource> {
    for (const [typeUrl, entries] of this.#entries) {
      if (this.#types.get(typeUrl)?.isSecret === true) continue;
      for (const [name, entry] of entries) {
        if (entry.endsAtMs !== undefined) continue;
        const value = inUse(entry);
        if (value !== undefined) yield { typeUrl, name, version: value.version, bytes: value.bytes };
      }
    }
  }

  /** The state of every resource. */
  *statuses(): Iterable<ResourceStatus> {
    for (const [typeUrl, entries] of this.#entries) {
      for (const [name, entry] of entries) {
        const value = inUse(entry);
        yield {
          typeUrl,
          name,
          state: entry.state,
          version: value?.version ?? '',
          isHeld: value !== undefined,
          isCached: entry.isCached,
          lastResortUntilMs: entry.lastResort?.untilMs,
          error: entry.failure ?? entry.rejected?.error,
          bytes: value?.bytes,
          updatedAtMs: value?.updatedAtMs,
          refused: entry.rejected,
        };
      }
    }
  }

  #update(typeUrl: string, name: string, entry: Entry, value: Value): void {
    const { isHollow, onLastResort, clock } = this.#options;
    const hollow = isHollow?.(typeUrl, value.resource) === true;
    if (!hollow) entry.lastResort = undefined;
    else if (
      entry.lastResort === undefined &&
      entry.value !== undefined &&
      !isHollow?.(typeUrl, entry.value.resource)
    ) {
      entry.lastResort = { value: entry.value, untilMs: clock.now() + LAST_RESORT_MS };
      this.#withLastResort.add(entry);
      onLastResort?.(typeUrl, name);
    }
    const { resource, bytes, version } = value;
    entry.value = { resource, bytes, version, updatedAtMs: clock.wallTime() };
    entry.state = 'acked';
    entry.isBroken = false;
    entry.rejected = undefined;
  }

  #keep(type: DecodableType, name: string, entry: Entry): void {
    if (entry.state !== 'does-not-exist') this.#options.onKept?.(type, name);
    entry.state = 'does-not-exist';
  }

  #renew(typeUrl: string, name: string, entry: Entry, ttlMs: number | undefined): void {
    entry.endsAtMs = ttlMs === undefined ? undefined : this.#options.clock.now() + ttlMs;
    if (ttlMs === undefined) this.#ending.delete(entry);
    else this.#ending.set(entry, { typeUrl, name });
  }

  /** A name that is asked for is remembered as one that does not exist. */
  #remove(typeUrl: string, name: string): void {
    const entries = this.#of(typeUrl);
    if (this.#names.get(typeUrl)?.has(name) === true)
      entries.set(name, { ...blankEntry(), state: 'does-not-exist' });
    else entries.delete(name);
  }

  #of(typeUrl: string): Map<string, Entry> {
    const entries = this.#entries.get(typeUrl);
    if (entries === undefined) throw new TypeError(`resource type ${typeUrl} is not known to this store`);
    return entries;
  }
}
