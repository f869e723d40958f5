import type { CorsPolicyConfig } from '../model/cors.js';
import type { FilterConfig } from '../model/filter-config.js';
import { type FractionalPercent, isSampled } from '../model/percent.js';
import { compileString } from '../routing/match.js';
import { EMPTY_BODY } from '../service/body.js';
import { Completion } from '../service/completion.js';
import { HeaderMap } from '../service/headers.js';
import { changeHead } from '../service/response-head.js';
import type { Filter, Request, Response } from '../service/service.js';
import type { FilterTools } from './filter.js';

/** What the policies of a route and its virtual host come to: the first that says something about a field counts. */
interface Policy {
  readonly enabled: (random: number) => boolean;
  readonly allows: (origin: string) => boolean;
  readonly methods: string;
  readonly headers: string;
  readonly expose: string;
  readonly maxAge: string;
  readonly credentials: boolean;
  readonly privateNetwork: boolean;
  readonly forwardsOthers: boolean;
}

/**
 * CORS (Envoy `envoy.filters.http.cors`): answers preflight requests here and marks responses to allowed origins.
 * Requests of other origins go on as they are; the browser is what refuses their responses.
 */
export function cors(layers: readonly FilterConfig[], tools: FilterTools): Filter | undefined {
  const policies = layers.filter((layer) => layer.kind === 'cors-policy');
  if (policies.length === 0) return undefined;
  const policy = merge(policies);
  return (request, next) => {
    const origin = request.headers.get('origin');
    if (origin === undefined || origin === '' || !policy.enabled(tools.random())) return next(request);
    const allowed = policy.allows(origin);
    if (isPreflight(request)) {
      if (allowed) return Promise.resolve(preflight(request, origin, policy));
      return policy.forwardsOthers ? next(request) : Promise.resolve(answer(request, HeaderMap.empty()));
    }
    if (!allowed) return next(request);
    return changeHead(request, next, ({ headers }) => {
      headers.set('access-control-allow-origin', origin);
      if (policy.credentials) headers.set('access-control-allow-credentials', 'true');
      if (policy.expose !== '') headers.set('access-control-expose-headers', policy.expose);
    });
  };
}

function isPreflight({ method, headers }: Request): boolean {
  return method === 'OPTIONS' && (headers.get('access-control-request-method') ?? '') !== '';
}

function preflight(request: Request, origin: string, policy: Policy): Response {
  const headers = HeaderMap.empty();
  headers.append('access-control-allow-origin', origin);
  if (policy.credentials) headers.append('access-control-allow-credentials', 'true');
  if (policy.methods !== '') headers.append('access-control-allow-methods', policy.methods);
  if (policy.headers !== '') headers.append('access-control-allow-headers', policy.headers);
  if (policy.maxAge !== '') headers.append('access-control-max-age', policy.maxAge);
  const asksPrivate = request.headers.get('access-control-request-private-network') === 'true';
  if (policy.privateNetwork && asksPrivate) headers.append('access-control-allow-private-network', 'true');
  return answer(request, headers);
}

function answer(request: Request, headers: HeaderMap): Response {
  request.context.details = 'cors_response';
  return {
    status: 200,
    statusText: '',
    headers,
    body: EMPTY_BODY,
    completion: Completion.done,
    local: { reason: 'INMESH_CORS', details: 'cors_response' },
  };
}

function merge(policies: readonly CorsPolicyConfig[]): Policy {
  const first = <T>(read: (policy: CorsPolicyConfig) => T | undefined): T | undefined =>
    policies.map(read).find((value) => value !== undefined);
  const text = (read: (policy: CorsPolicyConfig) => string) => first((one) => read(one) || undefined) ?? '';
  const origins = first((one) => (one.allowOrigins.length > 0 ? one.allowOrigins : undefined)) ?? [];
  const tests = origins.map(compileString);
  return {
    enabled: enabledBy(policies.map((one) => one.enabled)),
    // Envoy: a matcher that takes the text `*` takes every origin.
    allows: (origin) => tests.some((test) => test('*') || test(origin)),
    methods: text((one) => one.allowMethods),
    headers: text((one) => one.allowHeaders),
    expose: text((one) => one.exposeHeaders),
    maxAge: text((one) => one.maxAge),
    credentials: first((one) => one.allowCredentials) ?? false,
    privateNetwork: first((one) => one.allowPrivateNetworkAccess) ?? false,
    forwardsOthers: first((one) => one.forwardNotMatchingPreflights) ?? true,
  };
}

/** Envoy: it is enabled when one of the policies is. */
function enabledBy(fractions: readonly (FractionalPercent | undefined)[]): (random: number) => boolean {
  if (fractions.includes(undefined)) return () => true;
  return (random) => fractions.some((fraction) => fraction !== undefined && isSampled(fraction, random));
}
