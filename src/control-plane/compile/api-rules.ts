import type { FilterConfig, FilterOverrides } from '../../model/filter-config.js';
import { NO_OVERRIDES } from '../../model/filter-config.js';
import type { FractionalPercent } from '../../model/percent.js';
import type { RetryPolicy } from '../../model/retry.js';
import type { DirectResponseAction, Route, RouteAction } from '../../model/route.js';
import type { RouteMatch } from '../../model/route-match.js';
import type { ApiBackendTarget, ApiRuleExtras, Destination, HttpRoute } from '../kinds/types.js';
import { clusterName } from '../mesh/names.js';
import { redirectOf, rewriteOf } from './api-paths.js';
import { withCors } from './cors.js';
import { compileHeaders } from './header-operations.js';
import { compileRetry } from './retry-policy.js';
import { forward, hashPoliciesOf, type RouteContext, type Target } from './route-context.js';
import { compileMirrors } from './route-effects.js';
import { SESSION } from './session-filter.js';

// Rules of the Gateway API. A share of requests that leads to nothing is answered here, which no weighted cluster can
// say: then each backend has a route of its own that takes its fraction of the requests.

/** What a rule with its match is compiled from. */
export interface ApiRule {
  readonly name: string;
  readonly rule: HttpRoute;
  readonly api: ApiRuleExtras;
  readonly match: RouteMatch;
}

/** A backend that is there, with the cluster that it means. */
interface Backend extends ApiBackendTarget {
  /** Undefined = it is not there. */
  readonly cluster: Target | undefined;
}

/** The routes of a rule for one match. */
export function compileApiRule({ name, rule, api, match }: ApiRule, context: RouteContext): readonly Route[] {
  const filterOverrides = overridesOf(rule, api);
  const { rules: headers } = compileHeaders(rule.headers);
  const make = (action: Route['action'], one: RouteMatch = match, own = headers): Route => ({
    name,
    match: one,
    action,
    filterOverrides,
    headers: own,
  });
  if (api.redirect !== undefined) return [make(redirectOf(api.redirect, match, context))];
  if (api.answer !== undefined) return [make(answerOf(api.answer))];
  const backends = api.backends
    .filter(({ weight }) => weight > 0)
    .map((backend) => ({ ...backend, cluster: clusterOf(backend, context) }));
  if (backends.length === 0) return [make(failing(api))];
  const base = { rule, api, match, context };
  if (backends.every(isPlain)) {
    const only = backends.length === 1 ? backends[0] : undefined;
    const own = only === undefined ? headers : compileHeaders(rule.headers, only.headers).rules;
    return [make(forwardTo(backends, base), match, own)];
  }
  return sharesOf(backends, context).map(({ backend, fraction }) => {
    const own = compileHeaders(rule.headers, backend.headers).rules;
    const part = fraction === undefined ? match : { ...match, runtimeFraction: fraction };
    return make(actionOf(backend, base), part, own);
  });
}

interface Base {
  readonly rule: HttpRoute;
  readonly api: ApiRuleExtras;
  readonly match: RouteMatch;
  readonly context: RouteContext;
}

function overridesOf(rule: HttpRoute, { session }: ApiRuleExtras): FilterOverrides {
  const overrides = withCors(NO_OVERRIDES, rule.corsPolicy);
  if (session === undefined) return overrides;
  return new Map<string, FilterConfig>([
    ...overrides,
    [SESSION, { kind: 'stateful-session-route', session }],
  ]);
}

function failing({ failure }: ApiRuleExtras): DirectResponseAction {
  return { kind: 'direct-response', status: failure, body: '' };
}

function answerOf({ statusCode, body }: NonNullable<ApiRuleExtras['answer']>): DirectResponseAction {
  return { kind: 'direct-response', status: statusCode, body: body?.string ?? '' };
}

function clusterOf(
  { target, isHostname, isBroken }: ApiBackendTarget,
  context: RouteContext,
): Target | undefined {
  if (target === undefined || isBroken) return undefined;
  // Istio: a host is a name, which a service may get later.
  if (!isHostname && !isThere(target, context)) return undefined;
  return { host: target.host, port: target.port, subset: '' };
}

function isThere({ host, port }: Omit<Target, 'subset'>, { serviceOf }: RouteContext): boolean {
  return serviceOf(host)?.ports.some(({ number }) => number === port) === true;
}

/** Whether a weighted cluster says all about it. */
function isPlain({ cluster, redirect, rewrite, mirrors }: Backend): boolean {
  return cluster !== undefined && redirect === undefined && rewrite === undefined && mirrors === undefined;
}

function actionOf(backend: Backend, base: Base): Route['action'] {
  const { redirect, rewrite = base.api.rewrite, mirrors = [] } = backend;
  if (redirect !== undefined && !backend.isBroken) return redirectOf(redirect, base.match, base.context);
  if (backend.cluster === undefined) return failing(base.api);
  const rule = { ...base.rule, mirrors: [...(base.rule.mirrors ?? []), ...mirrors] };
  return forwardTo([backend], { ...base, rule, api: { ...base.api, rewrite } });
}

function forwardTo(backends: readonly Backend[], { rule, api, match, context }: Base): RouteAction {
  const targets = backends.flatMap(({ cluster }) => cluster ?? []);
  const { authority } = compileHeaders(
    rule.headers,
    ...(backends.length === 1 ? [backends[0]?.headers] : []),
  );
  return {
    ...forward(context, rule.timeout ?? 0),
    ...(targets.some((one) => !isThere(one, context)) && { clusterNotFoundStatus: 500 }),
    cluster: specifierOf(backends),
    retryPolicy: retryOf(rule, api, context),
    hashPolicies: hashPoliciesOf(targets, context),
    ...rewriteOf(api.rewrite, match, authority),
    mirrors: compileMirrors(existing(rule, context), nameOfDestination),
  };
}

/** A mirror that leads nowhere is none. */
function existing(rule: HttpRoute, { serviceOf }: RouteContext): HttpRoute {
  if (rule.mirrors === undefined) return rule;
  const mirrors = rule.mirrors.filter(({ destination: { host, port } }) =>
    serviceOf(host)?.ports.some(({ number }) => number === port?.number),
  );
  return { ...rule, mirrors };
}

function nameOfDestination({ host, port }: Destination): string {
  return clusterName(port?.number ?? 0, '', host);
}

/** A time limit for each try holds also where failed requests are not tried again. */
function retryOf(
  { retries }: HttpRoute,
  { perTryTimeoutMs }: ApiRuleExtras,
  { defaultRetry }: RouteContext,
): RetryPolicy {
  const policy = retries === undefined ? defaultRetry : compileRetry(retries);
  return perTryTimeoutMs === undefined ? policy : { ...policy, perTryTimeoutMs };
}

function specifierOf(backends: readonly Backend[]): RouteAction['cluster'] {
  const all = backends.flatMap(({ cluster, weight, headers }) =>
    cluster === undefined ? [] : [{ name: clusterName(cluster.port, '', cluster.host), weight, headers }],
  );
  const [only] = all;
  if (only !== undefined && all.length === 1) return { kind: 'cluster', name: only.name };
  const clusters = all.map(({ name, weight, headers }) => {
    const { rules, authority } = compileHeaders(headers);
    return { name, weight, filterOverrides: NO_OVERRIDES, headers: rules, hostRewrite: authority };
  });
  return { kind: 'weighted', clusters, totalWeight: clusters.reduce((sum, { weight }) => sum + weight, 0) };
}

const MILLION = 1_000_000;

/**
 * The backends with the fraction of requests that each takes of those that the ones before it left. Envoy draws once for a
 * request, so that fractions add up; clients of gRPC draw for each route anew.
 */
function sharesOf(
  backends: readonly Backend[],
  { profile }: RouteContext,
): readonly { readonly backend: Backend; readonly fraction: FractionalPercent | undefined }[] {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  let before = 0;
  return backends.map((backend, index) => {
    const { weight } = backend;
    const share = profile.generator === 'grpc' ? weight / (total - before) : (before + weight) / total;
    before += weight;
    const isLast = index === backends.length - 1;
    const fraction = { numerator: Math.round(share * MILLION), denominator: MILLION } as const;
    return { backend, fraction: isLast ? undefined : fraction };
  });
}
