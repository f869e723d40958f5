import { create } from '@bufbuild/protobuf';
import { LB_NAMESPACE, type MetadataStruct } from '../model/metadata.js';
import type { ClusterSpecifier, RouteAction, RoutePriority, WeightedCluster } from '../model/route.js';
import { core, route } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeOverrides, encodeOverrides } from './filter-config.js';
import { decodeHashPolicies, encodeHashPolicies } from './hash-policy.js';
import { decodeHeaderRules, encodeHeaderRules, HEADER_RULE_FIELDS } from './header-mutation.js';
import { decodeHedge, encodeHedge } from './hedge.js';
import { decodeInternalRedirect, encodeInternalRedirect } from './internal-redirect.js';
import { encodeMetadata } from './metadata.js';
import { decodeMirrors, encodeMirrors } from './mirror.js';
import { at, type Path, refuse, required } from './path.js';
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

const MAX_TOTAL_WEIGHT = 0xffff_ffff;

const actionFields = onlyFields(() => route.RouteActionSchema, {
  enforced: [
    'cluster',
    'weighted_clusters',
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
    ...REWRITE_FIELDS,
    ...TIMEOUT_FIELDS,
  ],
});

const weightedFields = onlyFields(() => route.WeightedClusterSchema, {
  enforced: ['clusters', 'total_weight'],
  // Names overrides of the weights in Envoy's runtime layer. There is no such layer here.
  ignored: ['runtime_key_prefix'],
});

const weightFields = onlyFields(() => route.WeightedCluster_ClusterWeightSchema, {
  enforced: [
    'name',
    'weight',
    'typed_per_filter_config',
    'host_rewrite_literal',
    'metadata_match',
    ...HEADER_RULE_FIELDS,
  ],
});

/** The action that forwards to a cluster. */
export function decodeRouteAction(action: route.RouteAction, path: Path): RouteAction {
  actionFields(action, path);
  return {
    kind: 'forward',
    cluster: decodeClusterSpecifier(action.clusterSpecifier, path),
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
  };
}

/** Envoy reads one namespace of it. */
function decodeMetadataMatch(message: core.Metadata | undefined): MetadataStruct | undefined {
  return message?.filterMetadata[LB_NAMESPACE];
}

function encodeMetadataMatch(match: MetadataStruct | undefined): { metadataMatch?: core.Metadata } {
  const metadataMatch = match && encodeMetadata({ [LB_NAMESPACE]: match });
  return metadataMatch === undefined ? {} : { metadataMatch };
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

function decodeClusterSpecifier(
  specifier: route.RouteAction['clusterSpecifier'],
  path: Path,
): ClusterSpecifier {
  switch (specifier.case) {
    case 'cluster':
      if (specifier.value === '') refuse(at(path, 'cluster'), 'must not be empty');
      return { kind: 'cluster', name: specifier.value };
    case 'weightedClusters':
      return decodeWeightedClusters(specifier.value, at(path, 'weighted_clusters'));
    default:
      return refuse(path, 'needs a cluster or weighted_clusters');
  }
}

function decodeWeightedClusters(message: route.WeightedCluster, path: Path): ClusterSpecifier {
  weightedFields(message, path);
  const clusters = message.clusters.map((cluster, index) =>
    decodeWeight(cluster, at(path, 'clusters', index)),
  );
  const totalWeight = clusters.reduce((sum, { weight }) => sum + weight, 0);
  if (totalWeight === 0) refuse(at(path, 'clusters'), 'the sum of the weights must be at least 1');
  if (totalWeight > MAX_TOTAL_WEIGHT)
    refuse(at(path, 'clusters'), 'the sum of the weights must be below 2^32');
  if (message.totalWeight !== undefined && message.totalWeight !== totalWeight) {
    refuse(at(path, 'total_weight'), `is ${message.totalWeight} but the weights add up to ${totalWeight}`);
  }
  return { kind: 'weighted', clusters, totalWeight };
}

function decodeWeight(message: route.WeightedCluster_ClusterWeight, path: Path): WeightedCluster {
  weightFields(message, path);
  if (message.name === '') refuse(at(path, 'name'), 'must not be empty');
  return {
    name: message.name,
    weight: required(message.weight, at(path, 'weight')),
    filterOverrides: decodeOverrides(message.typedPerFilterConfig, path),
    headers: decodeHeaderRules(message, path),
    hostRewrite: message.hostRewriteSpecifier.value || undefined,
    metadataMatch: decodeMetadataMatch(message.metadataMatch),
  };
}

/** The forwarding action as a message. */
export function encodeRouteAction(action: RouteAction): route.RouteAction {
  const message = create(route.RouteActionSchema, {
    clusterSpecifier: encodeClusterSpecifier(action.cluster),
    rateLimits: encodeRateLimits(action.rateLimits),
    priority: encodePriority(action.priority),
    hostRewriteSpecifier: encodeHostRewrite(action.hostRewrite),
    appendXForwardedHost: action.appendForwardedHost ?? false,
    requestMirrorPolicies: encodeMirrors(action.mirrors),
    hashPolicy: encodeHashPolicies(action.hashPolicies),
    ...encodeMetadataMatch(action.metadataMatch),
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

function encodeClusterSpecifier(specifier: ClusterSpecifier): route.RouteAction['clusterSpecifier'] {
  if (specifier.kind === 'cluster') return { case: 'cluster', value: specifier.name };
  const value = create(route.WeightedClusterSchema, {
    clusters: specifier.clusters.map(
      ({ name, weight, filterOverrides, headers, hostRewrite, metadataMatch }) => ({
        name,
        weight,
        typedPerFilterConfig: encodeOverrides(filterOverrides),
        ...encodeHeaderRules(headers),
        ...encodeMetadataMatch(metadataMatch),
        hostRewriteSpecifier:
          hostRewrite === undefined
            ? { case: undefined }
            : { case: 'hostRewriteLiteral' as const, value: hostRewrite },
      }),
    ),
    // Deprecated, but clients of before its deprecation take its absence for 100.
    totalWeight: specifier.totalWeight,
  });
  return { case: 'weightedClusters', value };
}
