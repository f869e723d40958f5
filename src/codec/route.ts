import { create } from '@bufbuild/protobuf';
import { NO_OVERRIDES } from '../model/filter-config.js';
import { type Metadata, NO_METADATA } from '../model/metadata.js';
import type { Route, RouteConfiguration, VirtualCluster, VirtualHost } from '../model/route.js';
import { type core, route } from '../proto/xds.js';
import { unreachable } from '../runtime/errors.js';
import { decodePlugins, lacksPlugin } from './cluster-specifier.js';
import { adsSource, checkConfigSource } from './config-source.js';
import {
  bodyLimitOf,
  checkBodySizes,
  decodeDirectResponse,
  encodeDirectResponse,
} from './direct-response.js';
import { onlyFields } from './field-guard.js';
import { decodeOverrides, encodeOverrides } from './filter-config.js';
import {
  decodeHeaderRules,
  encodeHeaderRules,
  HEADER_RULE_FIELDS,
  headerName,
  readableHeader,
} from './header-mutation.js';
import { decodeHedge, encodeHedge } from './hedge.js';
import { decodeMatchTree, encodeMatchTree } from './match-tree.js';
import { decodeHeaderMatcher, encodeHeaderMatcher } from './matcher.js';
import { decodeMetadata, encodeMetadata } from './metadata.js';
import { decodeMirrors, encodeMirrors } from './mirror.js';
import { at, type Path, refuse, required } from './path.js';
import { checkTemplateRewrite } from './path-template.js';
import { decodeRateLimits, encodeRateLimits } from './rate-limit.js';
import { decodeRedirect, encodeRedirect } from './redirect.js';
import { decodeRetry, encodeRetryPolicy } from './retry.js';
import { decodeRouteAction, encodeRouteAction } from './route-action.js';
import { decodeRouteMatch, encodeRouteMatch } from './route-match.js';
import { routeTreeCodec } from './route-tree.js';
import { decodeDecorator, decodeRouteTracing, encodeDecorator, encodeRouteTracing } from './tracing.js';

const tableFields = onlyFields(() => route.RouteConfigurationSchema, {
  enforced: [
    'name',
    'virtual_hosts',
    'vhds',
    'max_direct_response_body_size_bytes',
    'most_specific_header_mutations_wins',
    'internal_only_headers',
    'vhost_header',
    'ignore_port_in_host_matching',
    'ignore_path_parameters_in_path_matching',
    'cluster_specifier_plugins',
    'typed_per_filter_config',
    'request_mirror_policies',
    ...HEADER_RULE_FIELDS,
  ],
  ignored: [
    // Whether a route to an unknown cluster is refused at once; here it always answers 503 when a request comes.
    'validate_clusters',
    // Read by filters that we do not have, and shown in logs.
    'metadata',
  ],
});

const vhdsFields = onlyFields(() => route.VhdsSchema, { enforced: ['config_source'] });

const hostFields = onlyFields(() => route.VirtualHostSchema, {
  enforced: [
    'name',
    'domains',
    'virtual_clusters',
    'routes',
    'matcher',
    'rate_limits',
    'retry_policy',
    'typed_per_filter_config',
    'include_request_attempt_count',
    'include_attempt_count_in_response',
    'request_mirror_policies',
    'require_tls',
    'retry_policy_typed_config',
    'hedge_policy',
    'include_is_timeout_retry_header',
    'per_request_buffer_limit_bytes',
    ...HEADER_RULE_FIELDS,
  ],
  ignored: [
    // Read by filters that we do not have, and shown in logs.
    'metadata',
  ],
});

const routeFields = onlyFields(() => route.RouteSchema, {
  enforced: [
    'name',
    'metadata',
    'match',
    'route',
    'redirect',
    'direct_response',
    'non_forwarding_action',
    'typed_per_filter_config',
    'per_request_buffer_limit_bytes',
    'decorator',
    'tracing',
    'stat_prefix',
    ...HEADER_RULE_FIELDS,
  ],
});

/** The route table. */
export function decodeRouteConfiguration(message: route.RouteConfiguration, path: Path): RouteConfiguration {
  tableFields(message, path);
  const plugins = decodePlugins(message.clusterSpecifierPlugins, path);
  const virtualHosts = message.virtualHosts.map((host, index) =>
    decodeVirtualHost(host, at(path, 'virtual_hosts', index), plugins),
  );
  refuseSharedDomains(virtualHosts, path);
  const table = {
    name: message.name,
    virtualHosts,
    virtualHostDiscovery: decodeVhds(message.vhds, at(path, 'vhds')),
    headers: decodeHeaderRules(message, path),
    mostSpecificHeaderMutationsWins: message.mostSpecificHeaderMutationsWins || undefined,
    internalOnlyHeaders: decodeInternalOnly(message.internalOnlyHeaders, path),
    virtualHostHeader:
      message.vhostHeader === '' ? undefined : readableHeader(message.vhostHeader, at(path, 'vhost_header')),
    ignorePortInHost: message.ignorePortInHostMatching || undefined,
    ignorePathParameters: message.ignorePathParametersInPathMatching || undefined,
    filterOverrides:
      Object.keys(message.typedPerFilterConfig).length === 0
        ? undefined
        : decodeOverrides(message.typedPerFilterConfig, path),
    mirrors: decodeMirrors(message.requestMirrorPolicies, path),
  };
  checkBodySizes(table, message.maxDirectResponseBodySizeBytes, path);
  return table;
}

function decodeVhds(vhds: route.Vhds | undefined, path: Path): true | undefined {
  if (vhds === undefined) return undefined;
  vhdsFields(vhds, path);
  checkConfigSource(vhds.configSource, at(path, 'config_source'));
  return true;
}

function decodeInternalOnly(names: readonly string[], path: Path): readonly string[] | undefined {
  if (names.length === 0) return undefined;
  return names.map((name, index) => headerName(name, at(path, 'internal_only_headers', index)));
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
export function decodeVirtualHost(
  message: route.VirtualHost,
  path: Path,
  plugins: ReadonlySet<string>,
): VirtualHost {
  hostFields(message, path);
  if (message.matcher !== undefined && message.routes.length > 0) {
    refuse(path, 'may have only one of routes and matcher');
  }
  const tree = routeTreeCodec({
    decode: (entry, where) => decodeRoute(entry, where, plugins),
    encode: encodeRoute,
  });
  if (message.domains.length === 0) refuse(at(path, 'domains'), 'must not be empty');
  return {
    name: message.name,
    domains: message.domains.map((domain, index) => decodeDomain(domain, at(path, 'domains', index))),
    routes: message.routes
      .map((entry, index) => decodeRoute(entry, at(path, 'routes', index), plugins))
      .filter((one) => one !== undefined),
    matcher: message.matcher && decodeMatchTree(message.matcher, at(path, 'matcher'), tree),
    rateLimits: decodeRateLimits(message.rateLimits, path),
    retryPolicy: decodeRetry(message, path),
    hedge: decodeHedge(message.hedgePolicy, at(path, 'hedge_policy')),
    includeIsTimeoutRetry: message.includeIsTimeoutRetryHeader || undefined,
    bufferLimitBytes: message.perRequestBufferLimitBytes,
    filterOverrides: decodeOverrides(message.typedPerFilterConfig, path),
    includeRequestAttemptCount: message.includeRequestAttemptCount,
    includeAttemptCountInResponse: message.includeAttemptCountInResponse || undefined,
    headers: decodeHeaderRules(message, path),
    mirrors: decodeMirrors(message.requestMirrorPolicies, path),
    requireTls: decodeRequireTls(message.requireTls, at(path, 'require_tls')),
    virtualClusters: decodeVirtualClusters(message.virtualClusters, path),
  };
}

function decodeVirtualClusters(
  clusters: readonly route.VirtualCluster[],
  path: Path,
): readonly VirtualCluster[] | undefined {
  if (clusters.length === 0) return undefined;
  return clusters.map(({ name, headers }, index) => {
    const where = at(path, 'virtual_clusters', index);
    if (name === '') refuse(at(where, 'name'), 'must not be empty');
    if (headers.length === 0) refuse(at(where, 'headers'), 'must not be empty');
    const decode = (header: route.HeaderMatcher, number: number) =>
      decodeHeaderMatcher(header, at(where, 'headers', number));
    return { name, headers: headers.map(decode) };
  });
}

function decodeRequireTls(
  value: route.VirtualHost_TlsRequirementType,
  path: Path,
): VirtualHost['requireTls'] {
  const { NONE, EXTERNAL_ONLY, ALL } = route.VirtualHost_TlsRequirementType;
  if (value === NONE) return undefined;
  if (value === ALL) return 'all';
  return value === EXTERNAL_ONLY ? 'external-only' : refuse(path, `has no value ${String(value)}`);
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

/** Undefined when the route is left out. */
function decodeRoute(message: route.Route, path: Path, plugins: ReadonlySet<string>): Route | undefined {
  routeFields(message, path);
  if (lacksPlugin(message.action, plugins, path)) return undefined;
  const match = decodeRouteMatch(required(message.match, at(path, 'match')), at(path, 'match'));
  const action = decodeAction(message.action, path);
  if (action.kind === 'forward') checkTemplateRewrite(match.path, action.pathRewrite, at(path, 'route'));
  return {
    name: message.name,
    metadata: message.metadata && decodeRouteMetadata(message.metadata),
    statPrefix: message.statPrefix || undefined,
    match,
    action,
    filterOverrides: decodeOverrides(message.typedPerFilterConfig, path),
    headers: decodeHeaderRules(message, path),
    bufferLimitBytes: message.perRequestBufferLimitBytes,
    tracing: decodeRouteTracing(message.tracing, at(path, 'tracing')),
    decorator: decodeDecorator(message.decorator, at(path, 'decorator')),
  };
}

function decodeRouteMetadata(message: core.Metadata): Metadata | undefined {
  const metadata = decodeMetadata(message);
  return metadata === NO_METADATA ? undefined : metadata;
}

function decodeAction(action: route.Route['action'], path: Path): Route['action'] {
  switch (action.case) {
    case 'route':
      return decodeRouteAction(action.value, at(path, 'route'));
    case 'redirect':
      return decodeRedirect(action.value, at(path, 'redirect'));
    case 'directResponse':
      return decodeDirectResponse(action.value, at(path, 'direct_response'));
    case 'nonForwardingAction':
      return { kind: 'non-forwarding' };
    default:
      return refuse(path, 'needs an action');
  }
}

/** The route table as a message. */
export function encodeRouteConfiguration(table: RouteConfiguration): route.RouteConfiguration {
  const message = create(route.RouteConfigurationSchema, {
    name: table.name,
    virtualHosts: table.virtualHosts.map(encodeVirtualHost),
    mostSpecificHeaderMutationsWins: table.mostSpecificHeaderMutationsWins ?? false,
    internalOnlyHeaders: [...(table.internalOnlyHeaders ?? [])],
    vhostHeader: table.virtualHostHeader ?? '',
    ignorePortInHostMatching: table.ignorePortInHost ?? false,
    ignorePathParametersInPathMatching: table.ignorePathParameters ?? false,
    typedPerFilterConfig: encodeOverrides(table.filterOverrides ?? NO_OVERRIDES),
    requestMirrorPolicies: encodeMirrors(table.mirrors),
    ...encodeHeaderRules(table.headers),
  });
  if (table.virtualHostDiscovery === true)
    message.vhds = create(route.VhdsSchema, { configSource: adsSource() });
  const limit = bodyLimitOf(table);
  if (limit !== undefined) message.maxDirectResponseBodySizeBytes = limit;
  return message;
}

/** Encodes only. */
const TREE = routeTreeCodec({ decode: () => undefined, encode: (one) => encodeRoute(one) });

/** The virtual host as a message. */
export function encodeVirtualHost(host: VirtualHost): route.VirtualHost {
  const message = create(route.VirtualHostSchema, {
    name: host.name,
    domains: [...host.domains],
    routes: host.routes.map(encodeRoute),
    rateLimits: encodeRateLimits(host.rateLimits),
    typedPerFilterConfig: encodeOverrides(host.filterOverrides),
    includeRequestAttemptCount: host.includeRequestAttemptCount,
    includeAttemptCountInResponse: host.includeAttemptCountInResponse ?? false,
    requestMirrorPolicies: encodeMirrors(host.mirrors),
    requireTls: encodeRequireTls(host.requireTls),
    virtualClusters: (host.virtualClusters ?? []).map(({ name, headers }) => ({
      name,
      headers: headers.map(encodeHeaderMatcher),
    })),
    includeIsTimeoutRetryHeader: host.includeIsTimeoutRetry ?? false,
    ...encodeHeaderRules(host.headers),
  });
  if (host.matcher !== undefined) message.matcher = encodeMatchTree(host.matcher, TREE);
  if (host.retryPolicy !== undefined) message.retryPolicy = encodeRetryPolicy(host.retryPolicy);
  if (host.hedge !== undefined) message.hedgePolicy = encodeHedge(host.hedge);
  if (host.bufferLimitBytes !== undefined) message.perRequestBufferLimitBytes = host.bufferLimitBytes;
  return message;
}

function encodeRequireTls(value: VirtualHost['requireTls']): route.VirtualHost_TlsRequirementType {
  const { NONE, EXTERNAL_ONLY, ALL } = route.VirtualHost_TlsRequirementType;
  if (value === undefined) return NONE;
  return value === 'all' ? ALL : EXTERNAL_ONLY;
}

function encodeRoute(entry: Route): route.Route {
  const { name, match, action, filterOverrides, headers, statPrefix = '', bufferLimitBytes } = entry;
  const message = create(route.RouteSchema, {
    name,
    match: encodeRouteMatch(match),
    action: encodeAction(action),
    statPrefix,
    typedPerFilterConfig: encodeOverrides(filterOverrides),
    ...encodeHeaderRules(headers),
  });
  if (bufferLimitBytes !== undefined) message.perRequestBufferLimitBytes = bufferLimitBytes;
  if (entry.tracing !== undefined) message.tracing = encodeRouteTracing(entry.tracing);
  if (entry.decorator !== undefined) message.decorator = encodeDecorator(entry.decorator);
  const metadata = entry.metadata && encodeMetadata(entry.metadata);
  if (metadata !== undefined) message.metadata = metadata;
  return message;
}

function encodeAction(action: Route['action']): route.Route['action'] {
  switch (action.kind) {
    case 'forward':
      return { case: 'route', value: encodeRouteAction(action) };
    case 'redirect':
      return { case: 'redirect', value: encodeRedirect(action) };
    case 'direct-response':
      return { case: 'directResponse', value: encodeDirectResponse(action) };
    case 'non-forwarding':
      return { case: 'nonForwardingAction', value: create(route.NonForwardingActionSchema) };
    default:
      return unreachable(action);
  }
}
