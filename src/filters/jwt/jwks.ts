import type { JwksSource } from '../../model/jwt-authn.js';
import { createRetryBackoff } from '../../runtime/backoff.js';
import type { Timer } from '../../runtime/clock.js';
import { callService } from '../../service/call.js';
import { HeaderMap } from '../../service/headers.js';
import { splitUri } from '../call-out.js';
import type { FilterTools } from '../filter.js';
import { type KeySet, parseKeySet } from './keys.js';

/** Gives the keys of a provider. */
export interface Jwks {
  /** The keys; `noValidKeys` when the configured ones can't be used, `fetch` when they could not be fetched. */
  keys(): Promise<KeySet | 'noValidKeys' | 'fetch'>;
  /**
   * The keys fetched anew, for a token that names one which is not among them: perhaps it is new. Undefined when they
   * can't be, or were a moment ago: tokens with made-up names are not to become requests to the issuer.
   */
  newerKeys(): Promise<KeySet | undefined>;
}

/** The keys of a provider: from its configuration, or fetched and remembered. */
export function createJwks(source: JwksSource, tools: FilterTools): Jwks {
  if (source.kind === 'remote') return new RemoteJwks(source, tools);
  const keys = Promise.resolve(parseKeySet(source.text) ?? ('noValidKeys' as const));
  return { keys: () => keys, newerKeys: () => Promise.resolve(undefined) };
}

type RemoteSource = Extract<JwksSource, { kind: 'remote' }>;

const MAX_BYTES = 1024 * 1024;
/** Envoy fetches anew so long before the keys expire. */
const REFETCH_AHEAD_MS = 5000;

/** A key that nobody knows is looked for once in that time. */
const UNKNOWN_KEY_MS = 30_000;

class RemoteJwks implements Jwks {
  readonly #source: RemoteSource;
  readonly #tools: FilterTools;
  #keys: KeySet | undefined;
  #expiresMs = 0;
  #attemptedMs = Number.NEGATIVE_INFINITY;
  /** Requests that come meanwhile share it. */
  #fetching: Promise<KeySet | 'fetch'> | undefined;

  constructor(source: RemoteSource, tools: FilterTools) {
    this.#source = source;
    this.#tools = tools;
    if (source.asyncFetch !== undefined) refetch(new WeakRef(this), 0, tools);
  }

  keys(): Promise<KeySet | 'fetch'> {
    const keys = this.#keys;
    if (keys !== undefined && this.#tools.clock.now() < this.#expiresMs) return Promise.resolve(keys);
    return this.#fetch();
  }

  async newerKeys(): Promise<KeySet | undefined> {
    if (this.#tools.clock.now() - this.#attemptedMs < UNKNOWN_KEY_MS) return undefined;
    const keys = await this.#fetch();
    return keys === 'fetch' ? undefined : keys;
  }

  /** Fetches ahead of requests; gives the time until it is due again. */
  async refresh(): Promise<number> {
    const { cacheDurationMs, asyncFetch } = this.#source;
    if ((await this.#fetch()) === 'fetch') return asyncFetch?.failedRefetchMs ?? 0;
    return cacheDurationMs > REFETCH_AHEAD_MS ? cacheDurationMs - REFETCH_AHEAD_MS : cacheDurationMs;
  }

  #fetch(): Promise<KeySet | 'fetch'> {
    this.#attemptedMs = this.#tools.clock.now();
    this.#fetching ??= this.#fetchWithRetries().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchWithRetries(): Promise<KeySet | 'fetch'> {
    const { retry, cacheDurationMs, asyncFetch } = this.#source;
    const { clock, random } = this.#tools;
    const backoff = retry && createRetryBackoff(retry.baseIntervalMs, retry.maxIntervalMs, random);
    for (let left = retry?.numRetries ?? 0; ; left--) {
      const text = await this.#fetchOnce();
      if (text !== undefined) {
        const keys = parseKeySet(text);
        if (keys === undefined) return 'fetch';
        this.#keys = keys;
        // Envoy: what is fetched ahead is used until the next fetch succeeds.
        this.#expiresMs = asyncFetch === undefined ? clock.now() + cacheDurationMs : Number.POSITIVE_INFINITY;
        return keys;
      }
      if (left <= 0 || backoff === undefined) return 'fetch';
      const waitMs = backoff.next();
      await new Promise<void>((resolve) => {
        clock.schedule(waitMs, resolve);
      });
    }
  }

  /** The text of the set; undefined when there was no good answer. */
  async #fetchOnce(): Promise<string | undefined> {
    const { uri } = this.#source;
    const { clock, random, upstream } = this.#tools;
    const service = upstream(uri.cluster);
    if (service === undefined) return undefined;
    const call = {
      method: 'GET',
      ...splitUri(uri),
      headers: HeaderMap.from([['accept', 'application/json, application/jwk-set+json']]),
      timeoutMs: uri.timeoutMs,
      maxBytes: MAX_BYTES,
    };
    try {
      const { status, body } = await callService(service, call, { clock, random, abort: undefined });
      return status === 200 ? body.toString('utf8') : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Fetches again and again, as long as anybody uses the keys: a filter that was replaced is not kept alive. */
function refetch(keys: WeakRef<RemoteJwks>, delayMs: number, tools: FilterTools): Timer {
  return tools.clock.schedule(delayMs, () => {
    const alive = keys.deref();
    if (alive === undefined) return;
    alive.refresh().then(
      (nextMs) => refetch(keys, nextMs, tools),
      // A fetch never rejects; should it, the next request tries anew.
      () => {},
    );
  });
}
