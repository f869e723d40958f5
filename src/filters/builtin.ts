import type { FilterConfig, FilterOverrides, HttpFilter } from '../model/filter-config.js';
import { unreachable } from '../runtime/errors.js';
import type { Filter } from '../service/service.js';
import { adaptiveConcurrency } from './adaptive-concurrency.js';
import { admissionControl } from './admission-control.js';
import { buffer } from './buffer.js';
import { compressor } from './compressor.js';
import { cors } from './cors.js';
import { decompressor } from './decompressor.js';
import { extAuthz } from './ext-authz.js';
import { fault } from './fault.js';
import type { FilterTools, OwnConfig } from './filter.js';
import { forwardProxy } from './forward-proxy.js';
import { globalRateLimit } from './global-rate-limit.js';
import { headerMutation } from './header-mutation.js';
import { jwtAuthn } from './jwt-authn.js';
import { localFilter } from './local-filters.js';
import { missingConfig } from './missing-config.js';
import { rbac } from './rbac.js';
import { clearsRouteCache } from './route-cache.js';
import { statefulSession } from './stateful-session.js';

/** Makes the filter of a configuration; undefined when it does nothing here. A new filter that reads all its levels adds one line. */
function createFilter(config: FilterConfig, own: OwnConfig, tools: FilterTools): Filter | undefined {
  switch (own.base.kind) {
    case 'header-mutation':
      return headerMutation(own.base, own.layers, tools);
    case 'cors':
      return cors(own.layers, tools);
    case 'rbac':
      return rbac(own.base, own.layers, tools);
    case 'jwt-authn':
      return jwtAuthn(own.base, own.layers, tools);
    case 'forward-proxy':
      return forwardProxy(own.base, own.layers, tools);
    case 'ext-authz':
      return extAuthz(own.base, own.layers, tools);
    case 'global-rate-limit':
      return globalRateLimit(own.base, own.layers, tools);
    case 'stateful-session':
      return statefulSession(own.base, own.layers, tools);
    case 'buffer':
      return buffer(own.base, own.layers);
    case 'compressor':
      return compressor(own.base, own.layers, tools);
    case 'decompressor':
      return decompressor(own.base, tools);
    case 'custom':
      return tools.custom.create(own.base, own, tools);
    case 'missing-config':
      return missingConfig;
    default:
      return replaceableFilter(config, own, tools);
  }
}

/** The filters whose most specific configuration replaces the others. */
function replaceableFilter(config: FilterConfig, own: OwnConfig, tools: FilterTools): Filter | undefined {
  switch (config.kind) {
    case 'local-rate-limit':
    case 'rbac':
    case 'rbac-route':
    case 'disabled':
      return localFilter(config, own, tools);
    case 'fault':
      return fault(config, own.base, tools);
    case 'adaptive-concurrency':
      return adaptiveConcurrency(config, tools);
    case 'admission-control':
      return admissionControl(config, tools);
    case 'header-mutation':
    case 'header-mutation-route':
    case 'cors':
    case 'cors-policy':
    case 'forward-proxy':
    case 'forward-proxy-route':
    case 'global-rate-limit':
    case 'global-rate-limit-route':
    case 'ext-authz':
    case 'ext-authz-route':
    case 'jwt-authn':
    case 'jwt-authn-route':
    case 'stateful-session':
    case 'stateful-session-route':
    case 'custom':
    case 'buffer':
    case 'buffer-route':
    case 'compressor':
    case 'compressor-route':
    case 'decompressor':
    case 'on-demand-route':
      // Of an instance that is another filter: it says nothing to that one.
      return undefined;
    case 'missing-config':
    case 'router':
    case 'on-demand':
      // The router is the stack below the filters, what comes on demand is waited for before there is a route.
      return undefined;
    default:
      return unreachable(config);
  }
}

/**
 * Builds the HTTP filters of one stack in configured order.
 * `overrides` go from the most specific to the least (weighted cluster, route, virtual host); the first that names
 * the filter's instance replaces its configuration (Envoy `typed_per_filter_config`).
 */
export function buildFilters(
  filters: readonly HttpFilter[],
  overrides: readonly FilterOverrides[],
  tools: FilterTools,
): Filter[] {
  const built: Filter[] = [];
  const { turnouts } = tools;
  for (const [index, one] of tools.custom.arrange(filters, tools.direction).entries()) {
    const filter = buildFilter(one, overrides, tools);
    if (filter !== undefined) built.push(filter);
    // Also where the filter does nothing for this route: requests come here from routes where it does.
    if (turnouts !== undefined && clearsRouteCache(one.config)) built.push(turnouts.below(index));
  }
  return built;
}

function buildFilter(
  { name, config, disabled = false }: HttpFilter,
  overrides: readonly FilterOverrides[],
  tools: FilterTools,
): Filter | undefined {
  const all = overrides.flatMap((layer) => layer.get(name) ?? []);
  // Envoy: the most specific level that says anything decides whether the filter is there.
  if (all[0] === undefined ? disabled : all[0].kind === 'disabled') return undefined;
  const layers = all.filter(({ kind }) => kind !== 'disabled');
  return createFilter(layers[0] ?? config, { base: config, layers }, tools);
}
