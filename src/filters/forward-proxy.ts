import type { DnsCacheConfig, ForwardProxyConfig, ForwardProxyRouteConfig } from '../model/dns-cache.js';
import type { FilterConfig } from '../model/filter-config.js';
import { isEqual } from '../runtime/equal.js';
import { localReply } from '../service/local-reply.js';
import type { Filter, Request, Response } from '../service/service.js';
import type { FilterTools, ForwardProxy } from './filter.js';

/** Envoy: the filter state that holds the address. */
const UPSTREAM_ADDRESS = 'envoy.stream.upstream_address';

/**
 * Dynamic forward proxy (Envoy `envoy.filters.http.dynamic_forward_proxy`): a request to a cluster of that kind waits
 * until the name of its host is resolved. A route may give it another host first; the most specific override counts.
 */
export function forwardProxy(
  config: ForwardProxyConfig,
  layers: readonly FilterConfig[],
  tools: FilterTools,
): Filter | undefined {
  const { clusterName, forwardProxy: find } = tools;
  if (clusterName === undefined || find === undefined) return undefined;
  const route = layers.find((layer) => layer.kind === 'forward-proxy-route');
  const shares = sharing(config.cache);
  return async (request, next) => {
    const proxy = find(clusterName);
    if (proxy === undefined) return next(request);
    rewriteHost(request, route?.hostRewrite);
    if (request.authority === '') return refuse(request, EMPTY_HOST);
    // Envoy: a cluster with another cache never hears of the name, and so has no host for it.
    if (!shares(proxy)) return next(request);
    const name = await proxy.resolve(request.authority, request.abort);
    switch (name.kind) {
      case 'resolved':
        if (config.saveUpstreamAddress) saveAddress(request, name.addresses[0]);
        return next(request);
      case 'failed':
        return refuse(request, {
          ...UNRESOLVED,
          details: `dns_resolution_failure{${name.details.replace(/\s/g, '_')}}`,
        });
      default:
        return refuse(request, name.kind === 'full' ? CACHE_FULL : TOO_MANY);
    }
  };
}

/** Whether a cluster has the cache that the filter has; each cluster is looked at once. */
function sharing(cache: DnsCacheConfig): (proxy: ForwardProxy) => boolean {
  const known = new WeakMap<ForwardProxy, boolean>();
  return (proxy) => {
    const found = known.get(proxy) ?? isEqual(proxy.cache, cache);
    known.set(proxy, found);
    return found;
  };
}

function rewriteHost(request: Request, rewrite: ForwardProxyRouteConfig['hostRewrite']): void {
  if (rewrite === undefined) return;
  const host = rewrite.kind === 'literal' ? rewrite.value : request.headers.get(rewrite.value);
  if (host === undefined || (rewrite.kind === 'literal' && host === '')) return;
  request.authority = host;
  if (request.headers.has('host')) request.headers.set('host', host);
}

function saveAddress({ context }: Request, address: string | undefined): void {
  if (address === undefined) return;
  context.filterState ??= new Map();
  context.filterState.set(UPSTREAM_ADDRESS, address);
}

interface Refusal {
  readonly status: number;
  readonly body: string;
  readonly details: string;
  readonly reason: string;
  readonly flag?: 'DF';
}

const EMPTY_HOST: Refusal = {
  status: 400,
  body: 'Empty host header',
  details: 'empty_host_header',
  reason: 'INMESH_NAME_UNRESOLVED',
};
const UNRESOLVED: Omit<Refusal, 'details'> = {
  status: 503,
  body: 'DNS resolution failure',
  reason: 'INMESH_NAME_UNRESOLVED',
  flag: 'DF',
};
const CACHE_FULL: Refusal = {
  status: 503,
  body: 'DNS cache overflow',
  details: 'dns_cache_overflow',
  reason: 'INMESH_OVERFLOW',
};
const TOO_MANY: Refusal = {
  status: 503,
  body: 'Dynamic forward proxy pending request overflow',
  details: 'dynamic_forward_proxy_pending_request_overflow',
  reason: 'INMESH_OVERFLOW',
};

function refuse(request: Request, refusal: Refusal): Response {
  return localReply(request, refusal);
}
