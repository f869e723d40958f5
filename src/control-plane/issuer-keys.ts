import { createJwksCache, type JwksCache, type JwksLocation } from '../identity/jwks-cache.js';
import type { WebFetch } from '../identity/web-fetch.js';
import type { Unsubscribe } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/log.js';
import type { Random } from '../runtime/random.js';
import type { Signal } from '../runtime/signal.js';
import { type IssuerKeys, inlineKeys, NO_KEYS } from './compile/issuer-keys.js';
import type { JwtRule } from './kinds/types.js';
import type { ConfigView } from './kinds/view.js';

/** Where and how keys are fetched. */
export interface IssuerKeysOptions {
  /** PEM of the roots that vouch for issuers, in place of the platform's. */
  readonly ca?: string;
  /**
   * Which addresses may be asked, looked at after names are resolved: a document names URLs, and must not make the control
   * plane ask what its author can't. Default: all.
   */
  readonly allowsAddress?: (address: string) => boolean;
  /** Keys are fetched anew after so long unless the issuer says how long, in milliseconds. Default 20 minutes (istiod). */
  readonly refreshMs?: number;
}

export interface IssuerKeysTools {
  readonly fetch: WebFetch;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Keys came, changed or went. */
  readonly changed: () => void;
}

/** The keys of the issuers that documents name, fetched and kept fresh. */
export interface FollowedKeys extends IssuerKeys {
  close(): void;
}

/** Follows the keys of the issuers of a configuration: those it no longer names are forgotten. */
export function followIssuerKeys(
  view: Signal<ConfigView>,
  options: IssuerKeysOptions,
  tools: IssuerKeysTools,
): FollowedKeys {
  return new Followed(view, options, tools);
}

/** Where keys are, and how long a fetch may take. */
interface Wanted {
  readonly location: JwksLocation;
  readonly timeoutMs: number;
}

/** Istio: 5 s. */
const TIMEOUT_MS = 5_000;

interface Entry {
  readonly cache: JwksCache;
  readonly unsubscribe: Unsubscribe;
}

class Followed implements FollowedKeys {
  readonly #options: IssuerKeysOptions;
  readonly #tools: IssuerKeysTools;
  readonly #entries = new Map<string, Entry>();
  readonly #unsubscribe: Unsubscribe;
  #revision = 0;

  constructor(view: Signal<ConfigView>, options: IssuerKeysOptions, tools: IssuerKeysTools) {
    this.#options = options;
    this.#tools = tools;
    this.#unsubscribe = view.subscribe((value) => this.#follow(value));
    this.#follow(view.value);
  }

  get revision(): number {
    return this.#revision;
  }

  keysOf(rule: JwtRule): string {
    const inline = inlineKeys(rule);
    if (inline !== undefined) return inline;
    return this.#entries.get(keyOf(locationOf(rule), rule.timeout))?.cache.document.value?.text ?? NO_KEYS;
  }

  close(): void {
    this.#unsubscribe();
    for (const entry of this.#entries.values()) drop(entry);
    this.#entries.clear();
  }

  #follow(view: ConfigView): void {
    const wanted = new Map<string, Wanted>();
    for (const { spec } of view.list('RequestAuthentication')) {
      for (const rule of spec.jwtRules ?? []) {
        if ((rule.jwks ?? '') !== '') continue;
        const location = locationOf(rule);
        const key = keyOf(location, rule.timeout);
        wanted.set(key, { location, timeoutMs: rule.timeout ?? TIMEOUT_MS });
      }
    }
    for (const [key, entry] of this.#entries) {
      if (wanted.has(key)) continue;
      drop(entry);
      this.#entries.delete(key);
    }
    for (const [key, one] of wanted) if (!this.#entries.has(key)) this.#add(key, one);
  }

  #add(key: string, { location, timeoutMs }: Wanted): void {
    const { fetch, clock, random, logger } = this.#tools;
    const { ca, allowsAddress, refreshMs } = this.#options;
    const cache = createJwksCache({
      location,
      fetch: async (request) => {
        try {
          return await fetch({ ...request, timeoutMs });
        } catch (error) {
          logger.warn({ url: request.url, error }, 'the keys of an issuer can’t be fetched');
          throw error;
        }
      },
      clock,
      random,
      ca,
      allowsAddress,
      ...(refreshMs !== undefined && { refreshMs }),
    });
    const unsubscribe = cache.document.subscribe(() => {
      this.#revision++;
      this.#tools.changed();
    });
    this.#entries.set(key, { cache, unsubscribe });
    cache.follow();
  }
}

function drop({ cache, unsubscribe }: Entry): void {
  unsubscribe();
  cache.close();
}

/** Istio: without `jwksUri` the issuer is asked where its keys are (OpenID Connect Discovery). */
function locationOf({ issuer = '', jwksUri, jwks_uri: uri = jwksUri }: JwtRule): JwksLocation {
  return uri === undefined ? { kind: 'issuer', issuer } : { kind: 'uri', uri };
}

function keyOf(location: JwksLocation, timeoutMs = TIMEOUT_MS): string {
  return `${timeoutMs} ${location.kind} ${location.kind === 'uri' ? location.uri : location.issuer}`;
}
