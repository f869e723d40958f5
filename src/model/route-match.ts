import type { CookieMatcher, HeaderMatcher, PathMatcher, QueryParameterMatcher } from './matcher.js';
import type { FractionalPercent } from './percent.js';
import type { FilterStateMatcher, MetadataMatcher } from './value-matcher.js';

/** Envoy RouteMatch: all of it must hold. */
export interface RouteMatch {
  readonly path: PathMatcher;
  readonly headers: readonly HeaderMatcher[];
  readonly queryParameters: readonly QueryParameterMatcher[];
  readonly runtimeFraction: FractionalPercent | undefined;
  /** Matches gRPC requests only. */
  readonly grpcOnly: boolean;
  readonly cookies?: readonly CookieMatcher[] | undefined;
  /** What the connection that the request came in on must have. */
  readonly tls?: TlsContextMatch | undefined;
  readonly dynamicMetadata?: readonly MetadataMatcher[] | undefined;
  readonly filterState?: readonly FilterStateMatcher[] | undefined;
}

/** Envoy TlsContextMatchOptions; undefined = either. */
export interface TlsContextMatch {
  /** The peer presented a certificate. */
  readonly presented: boolean | undefined;
  /** It was verified. */
  readonly validated: boolean | undefined;
}
