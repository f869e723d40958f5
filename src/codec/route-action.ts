import { create } from '@bufbuild/protobuf';
import type { RouteAction, RoutePriority } from '../model/route.js';
import { core, route } from '../proto/xds.js';
import { CLUSTER_FIELDS, decodeClusterSpecifier, encodeClusterSpecifier } from './cluster-specifier.js';
import { onlyFields } from './field-guard.js';
import { decodeHashPolicies, encodeHashPolicies } from './hash-policy.js';
import { decodeHedge, encodeHedge } from './hedge.js';
import { decodeInternalRedirect, encodeInternalRedirect } from './internal-redirect.js';
import { decodeMetadataMatch, encodeMetadataMatch } from './metadata-match.js';
import { decodeMirrors, encodeMirrors } from './mirror.js';
import { at, type Path, refuse } from './path.js';
import { decodeRateLimits, encodeRateLimits } from './rate-limit.js';
import { decodeRetry, encodeRetryPolicy } from './retry.js';
import {
  decodeHostRewrite,
  decodePathRewrite,
  encodeHostRewrite,
  encodePathRewrite,
  REWRITE_FIELDS,
} from './rewrite.js';
import { decodeTimeouts, encodeTimeouts, TIMEOUT_FIELDS } from './route-timeouts.js';
import { decodeRouteUpgrades, encodeRouteUpgrades } from './upgrade.js';

const actionFields = onlyFields(() => route.RouteActionSchema, {
  enforced: [
    ...CLUSTER_FIELDS,
    'rate_limits',
    'include_vh_rate_limits',
    'retry_policy',
    'retry_policy_typed_config',
    'hedge_policy',
    'priority',
    'request_mirror_policies',
    'internal_redirect_policy',
    'hash_policy',
    'metadata_match',
    'upgrade_configs',
    ...REWRITE_FIELDS,
    ...TIMEOUT_FIELDS,
  ],
});

/** The action that forwards to a cluster. */
export function decodeRouteAction(action: route.RouteAction, path: Path): RouteAction {
  actionFields(action, path);
  return {
    kind: 'forward',
    cluster: decodeClusterSpecifier(action.clusterSpecifier, path),
    clusterNotFoundStatus: decodeNotFound(action.clusterNotFoundResponseCode, path),
    rateLimits: decodeRateLimits(action.rateLimits, path),
    includeVirtualHostRateLimits: action.includeVhRateLimits || undefined,
    ...decodeTimeouts(action, path),
    retryPolicy: decodeRetry(action, path),
    hedge: decodeHedge(action.hedgePolicy, at(path, 'hedge_policy')),
    priority: decodePriority(action.priority, at(path, 'priority')),
    pathRewrite: decodePathRewrite(action, path),
    hostRewrite: decodeHostRewrite(action.hostRewriteSpecifier, path),
    appendForwardedHost: action.appendXForwardedHost || undefined,
    mirrors: decodeMirrors(action.requestMirrorPolicies, path),
    internalRedirect:
      action.internalRedirectPolicy &&
      decodeInternalRedirect(action.internalRedirectPolicy, at(path, 'internal_redirect_policy')),
    hashPolicies: decodeHashPolicies(action.hashPolicy, path),
    metadataMatch: decodeMetadataMatch(action.metadataMatch),
    upgrades: decodeRouteUpgrades(action.upgradeConfigs, path),
  };
}

/** The priority, which chooses the circuit breaker. */
export function decodePriority(priority: core.RoutingPriority, path: Path): RoutePriority {
  switch (priority) {
    case core.RoutingPriority.DEFAULT:
      return 'default';
    case core.RoutingPriority.HIGH:
      return 'high';
    default:
      return refuse(path, `has no value ${String(priority)}`);
  }
}

/** The priority as its enum value. */
export function encodePriority(priority: RoutePriority): core.RoutingPriority {
  return priority === 'high' ? core.RoutingPriority.HIGH : core.RoutingPriority.DEFAULT;
}

/** Envoy: 503 unless the route says otherwise. */
function decodeNotFound(
  code: route.RouteAction_ClusterNotFoundResponseCode,
  path: Path,
): RouteAction['clusterNotFoundStatus'] {
  const { SERVICE_UNAVAILABLE, NOT_FOUND, INTERNAL_SERVER_ERROR } =
    route.RouteAction_ClusterNotFoundResponseCode;
  switch (code) {
    case SERVICE_UNAVAILABLE:
      return undefined;
    case NOT_FOUND:
      return 404;
    case INTERNAL_SERVER_ERROR:
      return 500;
    default:
      return refuse(at(path, 'cluster_not_found_response_code'), `has no value ${String(code)}`);
  }
}

function encodeNotFound(
  status: RouteAction['clusterNotFoundStatus'],
): route.RouteAction_ClusterNotFoundResponseCode {
  const { SERVICE_UNAVAILABLE, NOT_FOUND, INTERNAL_SERVER_ERROR } =
    route.RouteAction_ClusterNotFoundResponseCode;
  if (status === undefined) return SERVICE_UNAVAILABLE;
  return status === 404 ? NOT_FOUND : INTERNAL_SERVER_ERROR;
}

/** The forwarding action as a message. */
export function encodeRouteAction(action: RouteAction): route.RouteAction {
  const message = create(route.RouteActionSchema, {
    clusterSpecifier: encodeClusterSpecifier(action.cluster),
    clusterNotFoundResponseCode: encodeNotFound(action.clusterNotFoundStatus),
    rateLimits: encodeRateLimits(action.rateLimits),
    priority: encodePriority(action.priority),
    hostRewriteSpecifier: encodeHostRewrite(action.hostRewrite),
    appendXForwardedHost: action.appendForwardedHost ?? false,
    requestMirrorPolicies: encodeMirrors(action.mirrors),
    hashPolicy: encodeHashPolicies(action.hashPolicies),
    ...encodeMetadataMatch(action.metadataMatch),
    upgradeConfigs: encodeRouteUpgrades(action.upgrades),
  });
  encodePathRewrite(action.pathRewrite, message);
  if (action.includeVirtualHostRateLimits === true) message.includeVhRateLimits = true;
  encodeTimeouts(action, message);
  if (action.hedge !== undefined) message.hedgePolicy = encodeHedge(action.hedge);
  if (action.internalRedirect !== undefined) {
    message.internalRedirectPolicy = encodeInternalRedirect(action.internalRedirect);
  }
  if (action.retryPolicy !== undefined) message.retryPolicy = encodeRetryPolicy(action.retryPolicy);
  return message;
}
