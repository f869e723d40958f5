import { create } from '@bufbuild/protobuf';
import type { Route, RouteConfiguration, VirtualHost } from '../model/route.js';
import { route } from '../proto/xds.js';
import { unreachable } from '../runtime/errors.js';
import { onlyFields } from './field-guard.js';
import { decodeOverrides, encodeOverrides } from './filter-config.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeRetryPolicy, encodeRetryPolicy } from './retry.js';
import {
  decodeDirectResponse,
  decodeRouteAction,
  encodeDirectResponse,
  encodeRouteAction,
} from './route-action.js';
import { decodeRouteMatch, encodeRouteMatch } from './route-match.js';

const tableFields = onlyFields(() => route.RouteConfigurationSchema, {
  enforced: ['name', 'virtual_hosts'],
  ignored: [
    // Whether a route to an unknown cluster is refused at once; here it always answers 503 when a request comes.
    'validate_clusters',
    // Limits the memory that Envoy gives to direct responses.
    'max_direct_response_body_size_bytes',
    // Orders header mutations, and those are refused.
    'most_specific_header_mutations_wins',
    // Read by filters that we do not have, and shown in logs.
    'metadata',
  ],
});

const hostFields = onlyFields(() => route.VirtualHostSchema, {
  enforced: [
    'name',
    'domains',
    'routes',
    'retry_policy',
    'typed_per_filter_config',
    'include_request_attempt_count',
  ],
  ignored: [
    // Groups requests for Envoy's statistics only.
    'virtual_clusters',
    // Read by filters that we do not have, and shown in logs.
    'metadata',
  ],
});

const routeFields = onlyFields(() => route.RouteSchema, {
  enforced: ['name', 'match', 'route', 'direct_response', 'non_forwarding_action', 'typed_per_filter_config'],
  ignored: [
    // Read by filters that we do not have, and shown in logs.
    'metadata',
    // How spans of the route are named and sampled, and which statistics it has.
    'decorator',
    'tracing',
    'stat_prefix',
  ],
});

/** The route table. */
export function decodeRouteConfiguration(message: route.RouteConfiguration, path: Path): RouteConfiguration {
  tableFields(message, path);
  const virtualHosts = message.virtualHosts.map((host, index) =>
    decodeVirtualHost(host, at(path, 'virtual_hosts', index)),
  );
  refuseSharedDomains(virtualHosts, path);
  return { name: message.name, virtualHosts };
}

/** Envoy: a domain, and so also `*`, stands only once in a table. */
function refuseSharedDomains(virtualHosts: readonly VirtualHost[], path: Path): void {
  const seen = new Set<string>();
  virtualHosts.forEach(({ domains }, hostIndex) => {
    domains.forEach((domain, index) => {
      if (seen.has(domain)) {
        const where = at(at(path, 'virtual_hosts', hostIndex), 'domains', index);
        refuse(where, `the domain ${JSON.stringify(domain)} stands twice in the table`);
      }
      seen.add(domain);
    });
  });
}

/** The name may be empty: it is a label, and Istio sends inbound tables without. */
function decodeVirtualHost(message: route.VirtualHost, path: Path): VirtualHost {
  hostFields(message, path);
  if (message.domains.length === 0) refuse(at(path, 'domains'), 'must not be empty');
  return {
    name: message.name,
    domains: message.domains.map((domain, index) => decodeDomain(domain, at(path, 'domains', index))),
    routes: message.routes.map((entry, index) => decodeRoute(entry, at(path, 'routes', index))),
    retryPolicy: message.retryPolicy && decodeRetryPolicy(message.retryPolicy, at(path, 'retry_policy')),
    filterOverrides: decodeOverrides(message.typedPerFilterConfig, path),
    includeRequestAttemptCount: message.includeRequestAttemptCount,
  };
}

function decodeDomain(domain: string, path: Path): string {
  if (domain === '') refuse(path, 'must not be empty');
  if (/[\0\r\n]/.test(domain)) refuse(path, 'contains a control character');
  const star = domain.indexOf('*');
  const isWildcardInPlace = star === 0 || star === domain.length - 1;
  if (star >= 0 && (!isWildcardInPlace || star !== domain.lastIndexOf('*'))) {
    refuse(path, `${JSON.stringify(domain)} may have one "*", as its first or its last character`);
  }
  return domain.toLowerCase();
}

function decodeRoute(message: route.Route, path: Path): Route {
  routeFields(message, path);
  return {
    name: message.name,
    match: decodeRouteMatch(required(message.match, at(path, 'match')), at(path, 'match')),
    action: decodeAction(message.action, path),
    filterOverrides: decodeOverrides(message.typedPerFilterConfig, path),
  };
}

function decodeAction(action: route.Route['action'], path: Path): Route['action'] {
  switch (action.case) {
    case 'route':
      return decodeRouteAction(action.value, at(path, 'route'));
    case 'directResponse':
      return decodeDirectResponse(action.value, at(path, 'direct_response'));
    case 'nonForwardingAction':
      return { kind: 'non-forwarding' };
    default:
      return refuse(path, 'needs an action');
  }
}

/** The route table as a message. */
export function encodeRouteConfiguration({
  name,
  virtualHosts,
}: RouteConfiguration): route.RouteConfiguration {
  return create(route.RouteConfigurationSchema, { name, virtualHosts: virtualHosts.map(encodeVirtualHost) });
}

function encodeVirtualHost(host: VirtualHost): route.VirtualHost {
  const message = create(route.VirtualHostSchema, {
    name: host.name,
    domains: [...host.domains],
    routes: host.routes.map(encodeRoute),
    typedPerFilterConfig: encodeOverrides(host.filterOverrides),
    includeRequestAttemptCount: host.includeRequestAttemptCount,
  });
  if (host.retryPolicy !== undefined) message.retryPolicy = encodeRetryPolicy(host.retryPolicy);
  return message;
}

function encodeRoute({ name, match, action, filterOverrides }: Route): route.Route {
  return create(route.RouteSchema, {
    name,
    match: encodeRouteMatch(match),
    action: encodeAction(action),
    typedPerFilterConfig: encodeOverrides(filterOverrides),
  });
}

function encodeAction(action: Route['action']): route.Route['action'] {
  switch (action.kind) {
    case 'forward':
      return { case: 'route', value: encodeRouteAction(action) };
    case 'direct-response':
      return { case: 'directResponse', value: encodeDirectResponse(action) };
    case 'non-forwarding':
      return { case: 'nonForwardingAction', value: create(route.NonForwardingActionSchema) };
    default:
      return unreachable(action);
  }
}
