import type { X509Bundle } from '../../identity/bundle.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import type { Clock } from '../../runtime/clock.js';
import type { CaState } from './ca-state.js';
import { isBarePem, readState, writeState } from './ca-state.js';
import type { IssuingAuthority } from './issuing-authority.js';
import type { CaStore } from './root.js';
import { type TrustOutcome, trustFrom } from './trust-document.js';

/** Where roots come from: made here, plugged in from files, or somebody else's. */
export interface AuthorityOrigin {
  /** The state that a trust domain begins with. */
  begin(): Promise<CaState>;
  /** Takes over what was kept before there were states: a key and its root. */
  takeOver(pem: string): CaState;
  /** What has to change now: roots that came or go by themselves, intermediates that are due; the same state if nothing has. */
  adapt(state: CaState, isStart: boolean): Promise<CaState>;
  /** What signs in a state; undefined when somebody else does. */
  issuing(state: CaState): IssuingAuthority | undefined;
  /** PEM of roots beside those of the state. */
  moreRoots(): string;
}

export interface AuthorityLifeOptions {
  readonly trustDomain: string;
  readonly store: CaStore;
  readonly origin: AuthorityOrigin;
  readonly clock: Clock;
  readonly renewWithinMs: number;
}

/** The state of an authority, on disk and in force. Whatever changes it is on the disk before it is in force. */
export class AuthorityLife {
  readonly #options: AuthorityLifeOptions;
  readonly #listeners = new Set<() => void>();
  #state: CaState;
  #issuing: IssuingAuthority | undefined;
  #trust: TrustOutcome;
  #federated: readonly X509Bundle[] = [];
  #stamp = '';
  /** Changes of this process go one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(options: AuthorityLifeOptions, state: CaState) {
    this.#options = options;
    this.#state = state;
    this.#issuing = options.origin.issuing(state);
    this.#trust = this.#work();
  }

  static async open(options: AuthorityLifeOptions): Promise<AuthorityLife> {
    const { store, origin } = options;
    const state = await exclusively(store, async () => {
      const saved = await load(options);
      const adapted = await origin.adapt(saved ?? (await origin.begin()), true);
      // Before anything is signed with it.
      if (adapted !== saved) await store.save(writeState(adapted));
      return adapted;
    });
    const life = new AuthorityLife(options, state);
    life.#stamp = (await store.stamp?.()) ?? '';
    return life;
  }

  get state(): CaState {
    return this.#state;
  }

  get issuing(): IssuingAuthority | undefined {
    return this.#issuing;
  }

  get trust(): TrustOutcome {
    return this.#trust;
  }

  onChange(listener: () => void): Unsubscribe {
    const entry = () => listener();
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  /** Takes one step from the newest state, whoever made it. */
  change(step: (state: CaState) => CaState | Promise<CaState>): Promise<CaState> {
    const { store } = this.#options;
    const take = async () => {
      const current = (await load(this.#options)) ?? this.#state;
      const changed = await step(current);
      if (changed !== current) await store.save(writeState(changed));
      this.#stamp = (await store.stamp?.()) ?? '';
      this.#apply(changed);
      return changed;
    };
    const work = this.#queue.then(() => exclusively(store, take));
    this.#queue = work.catch(() => {});
    return work;
  }

  /** Looks whether another process changed the state, or the origin has something new. */
  async refresh(): Promise<void> {
    const { store, origin } = this.#options;
    const stamp = (await store.stamp?.()) ?? '';
    const next = await origin.adapt(this.#state, false);
    if (stamp === this.#stamp && next === this.#state) {
      this.#apply(this.#state);
      return;
    }
    await this.change((state) => origin.adapt(state, false));
  }

  setFederated(bundles: readonly X509Bundle[]): void {
    this.#federated = bundles;
    this.#apply(this.#state);
  }

  #apply(state: CaState): void {
    const issuing = this.#options.origin.issuing(state);
    const before = this.#trust.document;
    this.#state = state;
    const trust = this.#work();
    const isSameTrust = JSON.stringify(trust.document) === JSON.stringify(before);
    const isSameIssuing = issuing?.certificate === this.#issuing?.certificate;
    this.#issuing = issuing;
    if (!isSameTrust) this.#trust = trust;
    if (isSameTrust && isSameIssuing) return;
    for (const listener of Array.from(this.#listeners)) listener();
  }

  #work(): TrustOutcome {
    const { origin, clock, renewWithinMs } = this.#options;
    return trustFrom({
      state: this.#state,
      moreRoots: origin.moreRoots(),
      federated: this.#federated,
      nowMs: clock.wallTime(),
      renewWithinMs,
    });
  }
}

async function load({ store, trustDomain, origin }: AuthorityLifeOptions): Promise<CaState | undefined> {
  const text = await store.load();
  if (text === undefined) return undefined;
  return isBarePem(text) ? origin.takeOver(text) : readState(text, trustDomain);
}

function exclusively<T>(store: CaStore, work: () => Promise<T>): Promise<T> {
  return store.exclusively === undefined ? work() : store.exclusively(work);
}

/** Keeps a state as long as the process lives. */
export function createMemoryCaStore(): CaStore {
  let kept: string | undefined;
  return {
    load: () => Promise.resolve(kept),
    save(text) {
      kept = text;
      return Promise.resolve();
    },
  };
}
