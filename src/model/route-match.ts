import type { HeaderMatcher, PathMatcher, QueryParameterMatcher } from './matcher.js';
import type { FractionalPercent } from './percent.js';

/** Envoy RouteMatch: all of it must hold. */
export interface RouteMatch {
  readonly path: PathMatcher;
  readonly headers: readonly HeaderMatcher[];
  readonly queryParameters: readonly QueryParameterMatcher[];
  readonly runtimeFraction: FractionalPercent | undefined;
  /** Matches gRPC requests only. */
  readonly grpcOnly: boolean;
}
