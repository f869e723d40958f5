import type { CookieMatcher } from '../model/matcher.js';
import type { FractionalPercent } from '../model/percent.js';
import type { RouteMatch, TlsContextMatch } from '../model/route-match.js';
import { remainderOf } from '../runtime/random.js';
import type { Exchange } from '../service/context.js';
import { findCookie } from '../service/cookie.js';
import type { RequestHead } from '../service/service.js';
import { compileHeaderMatchers, compileQueryMatchers, compileString } from './match.js';
import { compileMetadata, compileState } from './value-match.js';

/** What a route is chosen by: the head, and of requests under way what filters and the connection say. */
export interface RouteInput extends RequestHead {
  readonly context?: Exchange | undefined;
}

/** Tests a request; `random` is the exchange's one draw in [0, 1). */
export type RoutePredicate = (input: RouteInput, random: number) => boolean;

/** Compiles what a route asks for besides the path, in Envoy's order. */
export function compileConditions(match: RouteMatch): RoutePredicate {
  const tests: RoutePredicate[] = [];
  const { runtimeFraction, path, headers, queryParameters, cookies = [], tls } = match;
  const { dynamicMetadata = [], filterState = [] } = match;
  if (runtimeFraction !== undefined) tests.push((_, random) => isDrawn(runtimeFraction, random));
  if (path.kind === 'connect') tests.push(isConnect);
  if (match.grpcOnly) tests.push(hasGrpcType);
  if (headers.length > 0) tests.push(compileHeaderMatchers(headers));
  if (queryParameters.length > 0) tests.push(compileQueryMatchers(queryParameters));
  for (const cookie of cookies) tests.push(compileCookie(cookie));
  if (tls !== undefined) tests.push((input) => hasTls(input, tls));
  for (const test of dynamicMetadata.map(compileMetadata)) {
    tests.push(({ context }) => test(context?.dynamicMetadata));
  }
  for (const test of filterState.map(compileState)) tests.push(({ context }) => test(context?.filterState));
  return all(tests);
}

function all(tests: readonly RoutePredicate[]): RoutePredicate {
  const [first, second] = tests;
  if (first === undefined) return always;
  if (second === undefined) return first;
  if (tests.length === 2) return (input, random) => first(input, random) && second(input, random);
  return (input, random) => {
    for (const test of tests) if (!test(input, random)) return false;
    return true;
  };
}

const always = () => true;

/** Envoy: `random % denominator < numerator`, with the draw that also chooses among weighted clusters. */
function isDrawn(fraction: FractionalPercent, random: number): boolean {
  return remainderOf(random, fraction.denominator) < fraction.numerator;
}

function isConnect({ method }: RequestHead): boolean {
  return method === 'CONNECT';
}

/** Envoy: content type `application/grpc` or `application/grpc+…`, and a path. */
function hasGrpcType({ headers, path }: RequestHead): boolean {
  const type = headers.get('content-type');
  if (type === undefined || path === '') return false;
  return type === 'application/grpc' || type.startsWith('application/grpc+');
}

/** Compiles a CookieMatcher: a missing cookie counts as not matched before that is inverted. */
export function compileCookie({ name, matcher, invert }: CookieMatcher): (head: RequestHead) => boolean {
  const test = compileString(matcher);
  return ({ headers }) => {
    const value = findCookie(headers, name);
    return (value !== undefined && test(value)) !== invert;
  };
}

/** Envoy: without TLS nothing is presented and nothing validated. */
function hasTls({ context }: RouteInput, { presented, validated }: TlsContextMatch): boolean {
  const tls = context?.connection?.tls;
  const isPresented = tls?.peer !== undefined;
  if (presented !== undefined && presented !== isPresented) return false;
  return validated === undefined || validated === (isPresented && tls.peerVerified);
}
