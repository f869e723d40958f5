import type { RegexRewrite } from './rewrite.js';

/** Envoy RouteAction.HashPolicy: one thing that the hash of a request is made of. */
export interface HashPolicy {
  readonly source: HashSource;
  /** Whether the policies after it are left out when there is a hash by then. */
  readonly terminal: boolean;
}

export type HashSource =
  /** All values of a header (lower case), after the rewrite if there is one. */
  | { readonly kind: 'header'; readonly name: string; readonly rewrite?: RegexRewrite | undefined }
  | HashCookie
  /** The address of the caller. */
  | { readonly kind: 'source-ip' }
  /** The first value of a query parameter, undecoded. */
  | { readonly kind: 'query-parameter'; readonly name: string }
  /** An object that a filter left. */
  | { readonly kind: 'filter-state'; readonly key: string };

/** The value of a cookie. */
export interface HashCookie {
  readonly kind: 'cookie';
  readonly name: string;
  /** A caller without the cookie gets one that lives this long; 0 = for the session, undefined = gets none. */
  readonly ttlSeconds: number | undefined;
  /** Of the cookie that is given; may be empty. */
  readonly path: string;
  readonly attributes: readonly CookieAttribute[];
}

/** An attribute of a cookie that is given, e.g. `SameSite`; the value may be empty. */
export interface CookieAttribute {
  readonly name: string;
  readonly value: string;
}
