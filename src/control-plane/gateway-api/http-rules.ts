import type { StatefulSession } from '../../model/stateful-session.js';
import type {
  ApiGrpcBackend,
  ApiGrpcMatch,
  ApiHttpBackend,
  ApiHttpMatch,
  ApiHttpRule,
  ApiSessionPersistence,
} from '../kinds/gateway-api/types.js';
import type { ApiBackendTarget, HttpMatch, HttpRoute, StringMatch } from '../kinds/types.js';
import type { Document } from '../kinds/view.js';
import { targetOfBackend } from './backends.js';
import { isComplaint } from './certificates.js';
import { effectsOf } from './filters.js';
import type { Grants } from './grants.js';
import type { ApiRoute } from './parents.js';
import { compareRanks, type RuleRank } from './precedence.js';

/** A match of a route as a rule of its own, with what its place among the others goes by. */
export interface RankedRule {
  readonly rank: RuleRank;
  readonly rule: HttpRoute;
}

/** How often a failed request is tried again where a route asks for retries, but not how many. */
const DEFAULT_ATTEMPTS = 2;
/** Along with the codes, what has not come to a server (Gateway API, Istio): what broke off may have been done there. */
const RETRY_ON = 'connect-failure,refused-stream,unavailable,cancelled';

/** The rules of a route, one for each match; `host` is the rank of its host name among those of others. */
export function rulesOfRoute(route: ApiRoute, grants: Grants, host = 0): readonly RankedRule[] {
  if (isKind(route, 'HTTPRoute')) return httpRules(route, grants, host);
  return isKind(route, 'GRPCRoute') ? grpcRules(route, grants, host) : [];
}

/** In the order in which they are tried. */
export function inOrder(rules: readonly RankedRule[]): readonly HttpRoute[] {
  return [...rules].sort((a, b) => compareRanks(a.rank, b.rank)).map(({ rule }) => rule);
}

function isKind<K extends ApiRoute['kind']>(route: ApiRoute, kind: K): route is Document<K> {
  return route.kind === kind;
}

function httpRules(route: Document<'HTTPRoute'>, grants: Grants, host: number): readonly RankedRule[] {
  let position = 0;
  return route.spec.rules.flatMap((rule) => {
    const common = {
      ...baseOf(route, rule, grants, 500),
      ...timeoutsOf(rule),
    };
    return rule.matches.map((match) => ({
      rank: { host, ...httpRank(match), ...ageOf(route), position: position++ },
      rule: { ...common, match: [httpMatchOf(match)] },
    }));
  });
}

function grpcRules(route: Document<'GRPCRoute'>, grants: Grants, host: number): readonly RankedRule[] {
  let position = 0;
  return (route.spec.rules ?? []).flatMap((rule) => {
    // To clients of gRPC a service that is not there is UNAVAILABLE, which is what 503 stands for.
    const common = baseOf(route, rule, grants, 503);
    const matches = rule.matches === undefined || rule.matches.length === 0 ? [{}] : rule.matches;
    return matches.map((match) => ({
      rank: { host, ...grpcRank(match), ...ageOf(route), position: position++ },
      rule: { ...common, match: [grpcMatchOf(match)] },
    }));
  });
}

type Rule = Pick<ApiHttpRule, 'name' | 'filters' | 'sessionPersistence' | 'timeouts'> & {
  readonly backendRefs?: readonly (ApiHttpBackend | ApiGrpcBackend)[] | undefined;
};

function baseOf(route: ApiRoute, rule: Rule, grants: Grants, failure: 500 | 503): HttpRoute {
  const effects = effectsOf(rule.filters, route, grants);
  const { headers, corsPolicy, mirrors, redirect, answer, rewrite, isBroken } = effects;
  const name = `${route.namespace}.${route.name}${rule.name === undefined ? '' : `.${rule.name}`}`;
  return {
    name,
    ...(headers !== undefined && { headers }),
    ...(corsPolicy !== undefined && { corsPolicy }),
    ...(mirrors !== undefined && { mirrors }),
    gatewayApi: {
      backends: isBroken ? [] : (rule.backendRefs ?? []).map((one) => backendOf(one, route, grants)),
      redirect: isBroken ? undefined : redirect,
      answer: isBroken ? undefined : answer,
      rewrite,
      session: sessionOf(rule.sessionPersistence, name),
      perTryTimeoutMs: rule.timeouts?.backendRequest || undefined,
      failure,
    },
  };
}

function backendOf(
  backend: ApiHttpBackend | ApiGrpcBackend,
  route: ApiRoute,
  grants: Grants,
): ApiBackendTarget {
  const target = targetOfBackend(route, backend, grants);
  const { headers, redirect, answer, rewrite, mirrors, isBroken } = effectsOf(backend.filters, route, grants);
  return {
    target: isComplaint(target) ? undefined : target,
    weight: backend.weight,
    headers,
    redirect,
    rewrite,
    mirrors,
    isHostname: backend.kind === 'Hostname',
    // An answer is for whole rules.
    isBroken: isBroken || answer !== undefined,
  };
}

/** A timeout of zero is none. */
function timeoutsOf({ timeouts, retry }: ApiHttpRule): Pick<HttpRoute, 'timeout' | 'retries'> {
  const { request = 0 } = timeouts ?? {};
  return {
    ...(request !== 0 && { timeout: request }),
    ...(retry !== undefined && {
      retries: {
        attempts: retry.attempts ?? DEFAULT_ATTEMPTS,
        retryOn: [RETRY_ON, ...(retry.codes ?? [])].join(','),
        ...(retry.backoff !== undefined && retry.backoff > 0 && { backoff: retry.backoff }),
      },
    }),
  };
}

/** Cookies of the browser's session unless they are permanent; Envoy tells the endpoint in them. */
function sessionOf(session: ApiSessionPersistence | undefined, route: string): StatefulSession | undefined {
  if (session === undefined) return undefined;
  const { type, sessionName, cookieConfig, absoluteTimeout = 0 } = session;
  const name = sessionName ?? `inmesh-session-${route.replaceAll('.', '-')}`;
  if (type === 'Header') return { state: { kind: 'header', name: name.toLowerCase() }, strict: false };
  const ttlSeconds = cookieConfig?.lifetimeType === 'Permanent' ? Math.ceil(absoluteTimeout / 1000) : 0;
  const attributes = [{ name: 'HttpOnly', value: '' }];
  return { state: { kind: 'cookie', name, ttlSeconds, path: '/', attributes }, strict: false };
}

function ageOf({ order, namespace, name }: ApiRoute): Pick<RuleRank, 'order' | 'name'> {
  return { order, name: `${namespace}/${name}` };
}

/** What tells matches of one route apart. */
type MatchRank = Omit<RuleRank, 'host' | 'order' | 'name' | 'position'>;

const KIND_RANKS = { Exact: 3, PathPrefix: 2, RegularExpression: 1 } as const;

function httpRank({ path, method, headers, queryParams }: ApiHttpMatch): MatchRank {
  const conditions = {
    method: method === undefined ? 0 : 1,
    headers: firstOf(headers).length,
    queryParams: queryParams?.length ?? 0,
  };
  const hasNone = Object.values(conditions).every((count) => count === 0);
  // Istio: what takes everything goes last, so that it does not hide the regular expressions.
  const isCatchAll = hasNone && path.type === 'PathPrefix' && path.value === '/';
  return { kind: isCatchAll ? 0 : KIND_RANKS[path.type], length: path.value.length, ...conditions };
}

function httpMatchOf({ path, method, headers, queryParams }: ApiHttpMatch): HttpMatch {
  return {
    uri: uriOf(path),
    ...(method !== undefined && { method: { exact: method } }),
    ...matchersOf('headers', firstOf(headers)),
    ...matchersOf('queryParams', queryParams ?? []),
  };
}

/** A prefix means whole segments, so that a slash at its end says nothing. */
function uriOf({ type, value }: ApiHttpMatch['path']): StringMatch {
  if (type === 'Exact') return { exact: value };
  if (type === 'RegularExpression') return { regex: value };
  return { prefix: value.length > 1 && value.endsWith('/') ? value.slice(0, -1) : value };
}

interface ValueMatch {
  readonly type: 'Exact' | 'RegularExpression';
  readonly name: string;
  readonly value: string;
}

/** Of headers whose names are the same but for case the first counts. */
function firstOf(list: readonly ValueMatch[] | undefined): readonly ValueMatch[] {
  const seen = new Set<string>();
  return (list ?? []).filter(({ name }) => {
    const key = name.toLowerCase();
    const isFirst = !seen.has(key);
    seen.add(key);
    return isFirst;
  });
}

function matchersOf(
  field: 'headers' | 'queryParams',
  list: readonly ValueMatch[],
): Pick<HttpMatch, 'headers' | 'queryParams'> {
  if (list.length === 0) return {};
  // Object.create is typed any; the object holds matchers by name.
  const map = Object.create(null) as Record<string, StringMatch>;
  for (const { type, name, value } of list)
    map[name] = type === 'Exact' ? { exact: value } : { regex: value };
  return { [field]: map };
}

function grpcRank({ method, headers }: ApiGrpcMatch): MatchRank {
  const { type = 'Exact', service = '', method: name = '' } = method ?? {};
  const isAny = service === '' && name === '';
  return {
    // Istio: a service, with or without a method, before what becomes a regular expression.
    kind: isAny ? 0 : type === 'Exact' && service !== '' ? 2 : 1,
    length: service.length,
    method: name.length,
    headers: firstOf(headers).length,
    queryParams: 0,
  };
}

function grpcMatchOf({ method, headers }: ApiGrpcMatch): HttpMatch {
  return { uri: grpcPath(method), ...matchersOf('headers', firstOf(headers)) };
}

/** The path of a call of gRPC is `/service/method`. */
function grpcPath(method: ApiGrpcMatch['method']): StringMatch {
  const { type = 'Exact', service = '', method: name = '' } = method ?? {};
  if (service === '' && name === '') return { prefix: '/' };
  if (type === 'Exact') {
    if (name === '') return { prefix: `/${service}` };
    return service === '' ? { regex: `/[^/]+/${name}` } : { exact: `/${service}/${name}` };
  }
  const part = (pattern: string) => (pattern === '' ? '[^/]+' : `(?:${pattern})`);
  return { regex: `/${part(service)}/${part(name)}` };
}
