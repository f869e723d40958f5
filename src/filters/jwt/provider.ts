import type { JwtProvider } from '../../model/jwt-authn.js';
import { compileString, type StringPredicate } from '../../routing/match.js';
import type { FilterTools } from '../filter.js';
import { TokenCache } from './cache.js';
import { createJwks, type Jwks } from './jwks.js';
import { verifySignature } from './keys.js';
import type { JwtStatus } from './status.js';
import type { Token } from './token.js';

/** A provider at work: its keys and the tokens it has verified. */
export class ProviderRuntime {
  readonly config: JwtProvider;
  readonly #jwks: Jwks;
  readonly #tools: FilterTools;
  readonly #subject: StringPredicate | undefined;
  readonly #audiences: ReadonlySet<string>;
  readonly #maxLifetimeSeconds: number | undefined;
  readonly #cache: TokenCache | undefined;

  constructor(config: JwtProvider, tools: FilterTools) {
    this.config = config;
    this.#tools = tools;
    this.#jwks = createJwks(config.jwks, tools);
    this.#subject = config.subjects && compileString(config.subjects);
    this.#audiences = audienceSet(config.audiences);
    this.#maxLifetimeSeconds = maxLifetime(config);
    this.#cache = config.cacheSize === undefined ? undefined : new TokenCache(config.cacheSize);
  }

  /** The token as it was verified before. */
  remembered(text: string): Token | undefined {
    return this.#cache?.get(text);
  }

  /** Everything but the place it was found at; `audiences` replaces the provider's own. */
  async verify(
    token: Token,
    audiences: ReadonlySet<string> | undefined,
    isRemembered: boolean,
  ): Promise<JwtStatus> {
    const claims = this.#checkClaims(token, audiences ?? this.#audiences);
    if (claims === 'expired' && isRemembered) this.#cache?.delete(token.text);
    if (claims !== 'ok' || isRemembered) return claims;
    const keys = await this.#jwks.keys();
    if (typeof keys === 'string') return keys;
    let signature = await verifySignature(token, keys);
    if (signature === 'keyMismatch' && token.keyId !== '') {
      const newer = await this.#jwks.newerKeys();
      if (newer !== undefined) signature = await verifySignature(token, newer);
    }
    if (signature === 'ok') this.#cache?.add(token);
    return signature;
  }

  #checkClaims(token: Token, audiences: ReadonlySet<string>): JwtStatus {
    const nowSeconds = Math.floor(this.#tools.clock.wallTime() / 1000);
    const { clockSkewSeconds: skew } = this.config;
    if (nowSeconds + skew < token.notBefore) return 'notYetValid';
    if (token.expires !== 0 && nowSeconds > token.expires + skew) return 'expired';
    if (audiences.size > 0 && !token.audiences.some((one) => audiences.has(bareAudience(one)))) {
      return 'audience';
    }
    if (this.#subject?.(token.subject) === false) return 'verification';
    const lifetime = this.#maxLifetimeSeconds;
    if (lifetime === undefined) return 'ok';
    return token.expires !== 0 && token.expires - nowSeconds < lifetime ? 'ok' : 'verification';
  }
}

/** Envoy: `max_lifetime` goes before `require_expiration`. */
function maxLifetime({ maxLifetimeMs, requireExpiration }: JwtProvider): number | undefined {
  if (maxLifetimeMs !== undefined) return maxLifetimeMs / 1000;
  return requireExpiration ? Number.POSITIVE_INFINITY : undefined;
}

/** The audiences that are taken; empty = any. */
export function audienceSet(audiences: readonly string[]): ReadonlySet<string> {
  return new Set(audiences.map(bareAudience));
}

/** Envoy compares audiences without scheme and final slash. */
function bareAudience(audience: string): string {
  return audience.replace(/^https?:\/\//, '').replace(/\/$/, '');
}
