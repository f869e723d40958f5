import type { RegexRewrite } from './rewrite.js';

/** Envoy RedirectAction. */
export interface RedirectAction {
  readonly kind: 'redirect';
  readonly status: 301 | 302 | 303 | 307 | 308;
  /** Undefined keeps the request's scheme. */
  readonly scheme: string | undefined;
  /** Whether the scheme comes from `https_redirect`. */
  readonly https: boolean;
  /** Empty keeps the request's host. */
  readonly host: string;
  /** 0 keeps the port. */
  readonly port: number;
  readonly path:
    | { readonly kind: 'path'; readonly value: string }
    | { readonly kind: 'prefix'; readonly value: string }
    | { readonly kind: 'regex'; readonly rewrite: RegexRewrite }
    | undefined;
  readonly stripQuery: boolean;
}

/** Envoy InternalRedirectPolicy: follows a redirect of the upstream instead of passing it on. */
export interface InternalRedirectPolicy {
  /** Default 1. */
  readonly maxRedirects: number;
  /** Of 301, 302, 303, 307, 308; default 302. */
  readonly codes: readonly number[];
  readonly predicates: readonly InternalRedirectPredicate[];
  readonly allowCrossScheme: boolean;
  /** Headers of the redirect response that the new request takes over; lower case. */
  readonly copyHeaders: readonly string[];
}

export type InternalRedirectPredicate =
  | { readonly kind: 'allow-listed-routes'; readonly routes: readonly string[] }
  /** A route is not entered twice. */
  | { readonly kind: 'previous-routes' }
  /** A request that came by http may not be sent on by https. */
  | { readonly kind: 'safe-cross-scheme' };
