import { type Backoff, createBackoff } from '../runtime/backoff.js';
import type { Clock, Timer } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import { createSignal, type MutableSignal, type Signal } from '../runtime/signal.js';
import { isJsonObject, parseStrictJson } from '../runtime/strict-json.js';
import { readKeys } from './jwk-set.js';
import { checkedUrl, type WebFetch, type WebRequest } from './web-fetch.js';

/** The public keys of an issuer, as they were fetched last. */
export interface JwksDocument {
  /** The JWK set as it was received. */
  readonly text: string;
  /** Its keys, unread. */
  readonly keys: readonly Readonly<Record<string, unknown>>[];
}

/** Where the keys of an issuer are. */
export type JwksLocation =
  | { readonly kind: 'uri'; readonly uri: string }
  /** OpenID Connect Discovery: `<issuer>/.well-known/openid-configuration` names it. */
  | { readonly kind: 'issuer'; readonly issuer: string };

/** How the keys of an issuer are fetched and kept. */
export interface JwksCacheOptions extends Pick<WebRequest, 'ca' | 'allowsAddress'> {
  readonly location: JwksLocation;
  readonly fetch: WebFetch;
  readonly clock: Clock;
  readonly random: Random;
  /** Fetched anew after that time, unless the server says how long; between 1 minute and 1 hour. Default 20 minutes (istiod). */
  readonly refreshMs?: number;
  /** While fetching fails, keys are used until they are that old; then nobody is let in. Default 24 hours. */
  readonly maxAgeMs?: number;
  /** A key that is not known is looked for at most once in that time. Default 30 s. */
  readonly unknownKeyMs?: number;
}

/** The keys of an issuer: fetched when they are needed, kept, refreshed. */
export interface JwksCache {
  /** What was fetched last and is not too old; the same object until the set changes. */
  readonly document: Signal<JwksDocument | undefined>;
  /** The keys, fetched first when there are none or they are due; undefined when there are none that may be used. */
  keys(): Promise<JwksDocument | undefined>;
  /** A token names a key that `keys` does not have: perhaps it is new. Fetches within the rate limit. */
  keysWith(keyId: string): Promise<JwksDocument | undefined>;
  /** Keeps the keys fresh without being asked, until `close`. */
  follow(): void;
  close(): void;
}

const MIN_REFRESH_MS = 60_000;
const MAX_REFRESH_MS = 3_600_000;
const REFRESH_MS = 20 * 60_000;
const MAX_AGE_MS = 24 * 3_600_000;
const UNKNOWN_KEY_MS = 30_000;

/** Makes a cache; nothing is fetched yet. */
export function createJwksCache(options: JwksCacheOptions): JwksCache {
  return new RemoteJwks(options);
}

class RemoteJwks implements JwksCache {
  readonly document: MutableSignal<JwksDocument | undefined> = createSignal<JwksDocument | undefined>(
    undefined,
  );
  readonly #options: JwksCacheOptions;
  readonly #backoff: Backoff;
  /** Monotonic times. */
  #fetchedAtMs = Number.NEGATIVE_INFINITY;
  #refreshAtMs = Number.NEGATIVE_INFINITY;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #unknownAtMs = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;
  #timer: Timer | undefined;
  #isFollowing = false;
  #isClosed = false;

  constructor(options: JwksCacheOptions) {
    this.#options = options;
    this.#backoff = createBackoff({ baseMs: 1_000, maxMs: 60_000, factor: 2, jitter: 0.2 }, options.random);
  }

  async keys(): Promise<JwksDocument | undefined> {
    const { clock } = this.#options;
    if (clock.now() >= this.#refreshAtMs) {
      const fetching = this.#fetch();
      // What is due for a refresh but good is used meanwhile: nobody waits for a slow issuer.
      if (this.#usable() === undefined) await fetching;
    }
    return this.#usable();
  }

  async keysWith(keyId: string): Promise<JwksDocument | undefined> {
    const document = await this.keys();
    if (document?.keys.some(({ kid }) => kid === keyId)) return document;
    const now = this.#options.clock.now();
    const isRecent = document !== undefined && now - this.#fetchedAtMs < this.#unknownKeyMs;
    if (isRecent || now < this.#unknownAtMs) return document;
    this.#unknownAtMs = now + this.#unknownKeyMs;
    await this.#fetch();
    return this.#usable();
  }

  follow(): void {
    if (this.#isFollowing || this.#isClosed) return;
    this.#isFollowing = true;
    this.#follow(0);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  get #unknownKeyMs(): number {
    return this.#options.unknownKeyMs ?? UNKNOWN_KEY_MS;
  }

  #usable(): JwksDocument | undefined {
    const { clock, maxAgeMs = MAX_AGE_MS } = this.#options;
    const document = this.document.value;
    if (document === undefined || clock.now() - this.#fetchedAtMs <= maxAgeMs) return document;
    this.document.set(undefined);
    return undefined;
  }

  #follow(delayMs: number): void {
    const { clock } = this.#options;
    this.#timer = clock.schedule(delayMs, () => {
      void this.#fetch().then(() => {
        this.#usable();
        if (this.#isClosed) return;
        this.#follow(Math.max(1_000, Math.max(this.#refreshAtMs, this.#retryAtMs) - clock.now()));
      });
    });
  }

  /** Shared by all who ask meanwhile; after a failure nobody asks again before the back-off is over. */
  #fetch(): Promise<void> {
    const { clock } = this.#options;
    if (this.#isClosed || clock.now() < this.#retryAtMs) return Promise.resolve();
    this.#fetching ??= this.#attempt().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #attempt(): Promise<void> {
    const { clock, refreshMs = REFRESH_MS } = this.#options;
    try {
      const { text, maxAgeMs } = await this.#ask(await this.#uri());
      const keys = readKeys(text);
      if (keys === undefined) throw new TypeError('it is no JWK set');
      const now = clock.now();
      this.#fetchedAtMs = now;
      this.#backoff.reset();
      this.#retryAtMs = Number.NEGATIVE_INFINITY;
      this.#refreshAtMs = now + Math.min(MAX_REFRESH_MS, Math.max(MIN_REFRESH_MS, maxAgeMs ?? refreshMs));
      if (this.document.value?.text !== text) this.document.set({ text, keys });
    } catch {
      // Who needs keys and has none is refused; why is of no use to a caller, and the next attempt comes by itself.
      this.#retryAtMs = clock.now() + this.#backoff.next();
    }
  }

  async #uri(): Promise<string> {
    const { location } = this.#options;
    if (location.kind === 'uri') return location.uri;
    const { issuer } = location;
    const { text } = await this.#ask(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const found = parseStrictJson(text, (what) => new TypeError(`the discovery document: ${what}`));
    if (!isJsonObject(found)) throw new TypeError('the discovery document is no object');
    const { issuer: named, jwks_uri: uri } = found;
    // OpenID Connect Discovery §4.3: it must name exactly the issuer that was asked.
    if (named !== issuer || typeof uri !== 'string')
      throw new TypeError('the discovery document is of another issuer');
    return checkedUrl(uri).href;
  }

  async #ask(url: string) {
    const { fetch, ca, allowsAddress } = this.#options;
    const answer = await fetch({ url, ca, allowsAddress });
    if (answer.status !== 200) throw new Error(`it answered ${answer.status}`);
    return answer;
  }
}
