import { EMPTY_SNAPSHOT, type Snapshot } from '../model/snapshot.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { createSignal } from '../runtime/signal.js';
import { withAssignments } from './changed-assignments.js';
import type { FollowedNames, MissingResource, Resolution, ResourceView } from './resolution.js';
import { resolve } from './resolve.js';
import type { ResourceStore } from './store.js';

/** A configuration with where it comes from. */
export interface PublishedSnapshot {
  readonly snapshot: Snapshot;
  readonly source: 'none' | 'cache' | 'control-plane';
  /** Calendar time in milliseconds at which a cached configuration was saved. */
  readonly savedAt?: number;
}

/** What the synchronization of the published configuration with the store works with. */
export interface SynchronizerOptions {
  readonly clock: Clock;
  readonly store: ResourceStore;
  /** What the references are looked up in; `isFirst`: nothing of a control plane is published yet. */
  readonly view: (isFirst: boolean) => ResourceView;
  /** Listeners from which references are followed. */
  readonly roots: () => Iterable<string>;
  /** What to follow besides. */
  readonly followed: FollowedNames;
  /** Whether it is known what listeners there are. */
  readonly isAnswered: () => boolean;
  /** Takes the names that are referred to. */
  readonly want: (wanted: Resolution['wanted']) => void;
  /** Takes what was not answered yet. */
  readonly watch: (missing: readonly MissingResource[]) => void;
  /** What is in force may have changed. */
  readonly onChange: () => void;
}

/** Publishes the newest complete configuration that the store holds. */
export class Synchronizer {
  readonly published = createSignal<PublishedSnapshot>({ snapshot: EMPTY_SNAPSHOT, source: 'none' });
  readonly #options: SynchronizerOptions;
  #isClosed = false;
  #timer: Timer | undefined;
  #lastResortTimer: Timer | undefined;
  /** EDS names that changed since the last synchronization; undefined = anything may have changed. */
  #changedAssignments: Set<string> | undefined;
  /** Whether the last resolution found everything that it looked for. */
  #isComplete = false;

  constructor(options: SynchronizerOptions) {
    this.#options = options;
  }

  /** Responses that arrive together lead to one resolution; with names, when no more than their endpoints changed. */
  schedule(assignments?: readonly string[]): void {
    if (this.#isClosed) return;
    if (assignments === undefined) this.#changedAssignments = undefined;
    else for (const name of assignments) this.#changedAssignments?.add(name);
    this.#timer ??= this.#options.clock.schedule(0, () => {
      this.#timer = undefined;
      this.#run();
    });
  }

  /** Publishes what the store holds from the disk. */
  publishCached(savedAt: number): void {
    const { view, roots, followed, want } = this.#options;
    const stored = view(false);
    // Secrets are not kept on the disk: what needs them is there, and its connections fail until they come.
    const secret: ResourceView['secret'] = (name) => {
      const found = stored.secret(name);
      return found === 'pending' ? 'absent' : found;
    };
    // What came on demand is there, what did not is asked for again.
    const virtualHosts: ResourceView['virtualHosts'] = (table) => ({
      ...stored.virtualHosts(table),
      isPending: false,
    });
    const known = { ...stored, secret, virtualHosts };
    const { wanted, snapshot } = resolve(known, roots(), EMPTY_SNAPSHOT, followed);
    want(wanted);
    this.published.set({ snapshot, source: 'cache', savedAt });
  }

  /** Publishes nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#lastResortTimer?.cancel();
  }

  #run(): void {
    const { view, roots, followed, isAnswered, store, want, watch } = this.#options;
    if (!isAnswered()) return;
    const { nextMs, hasExpired } = store.expire();
    this.#expireAt(nextMs);
    const { source, snapshot } = this.published.value;
    const current = view(source !== 'control-plane');
    const changed = hasExpired ? undefined : this.#changedAssignments;
    this.#changedAssignments = new Set();
    if (changed !== undefined && this.#isComplete && source === 'control-plane') {
      const next = withAssignments(current, snapshot, changed);
      if (next !== undefined) {
        this.#publish({ missing: [], snapshot: next });
        return;
      }
    }
    const resolution = resolve(current, roots(), snapshot, followed);
    this.#isComplete = resolution.missing.length === 0;
    want(resolution.wanted);
    this.#publish(resolution);
    watch(resolution.missing);
  }

  #expireAt(nextExpiryMs: number | undefined): void {
    this.#lastResortTimer?.cancel();
    if (nextExpiryMs === undefined) return;
    const { clock } = this.#options;
    this.#lastResortTimer = clock.schedule(Math.max(0, nextExpiryMs - clock.now()), () => this.schedule());
  }

  #publish({ missing, snapshot }: Pick<Resolution, 'missing' | 'snapshot'>): void {
    const current = this.published.value;
    // The first one replaces the cache, or nothing: it has to be whole.
    if (current.source !== 'control-plane' && missing.length > 0) return;
    this.#options.onChange();
    if (current.source === 'control-plane' && current.snapshot === snapshot) return;
    this.published.set({ snapshot, source: 'control-plane' });
  }
}
