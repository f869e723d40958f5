import { create } from '@bufbuild/protobuf';
import type {
  ClusterSpecifier,
  DirectResponseAction,
  RouteAction,
  RoutePriority,
  WeightedCluster,
} from '../model/route.js';
import { core, route } from '../proto/xds.js';
import { decodeDuration, decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { decodeOverrides, encodeOverrides } from './filter-config.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeRetryPolicy, encodeRetryPolicy } from './retry.js';

/** Envoy: a route without a timeout has one of 15 s. */
const DEFAULT_TIMEOUT_MS = 15_000;
const MAX_TOTAL_WEIGHT = 0xffff_ffff;

const actionFields = onlyFields(() => route.RouteActionSchema, {
  enforced: ['cluster', 'weighted_clusters', 'timeout', 'retry_policy', 'max_stream_duration', 'priority'],
});

const streamDurationFields = onlyFields(() => route.RouteAction_MaxStreamDurationSchema, {
  enforced: ['max_stream_duration'],
});

const weightedFields = onlyFields(() => route.WeightedClusterSchema, {
  enforced: ['clusters', 'total_weight'],
  // Names overrides of the weights in Envoy's runtime layer. There is no such layer here.
  ignored: ['runtime_key_prefix'],
});

const weightFields = onlyFields(() => route.WeightedCluster_ClusterWeightSchema, {
  enforced: ['name', 'weight', 'typed_per_filter_config'],
});

const directFields = onlyFields(() => route.DirectResponseActionSchema, { enforced: ['status', 'body'] });
const bodyFields = onlyFields(() => core.DataSourceSchema, { enforced: ['inline_string'] });

/** The action that forwards to a cluster. */
export function decodeRouteAction(action: route.RouteAction, path: Path): RouteAction {
  actionFields(action, path);
  const { timeout, retryPolicy, maxStreamDuration } = action;
  return {
    kind: 'forward',
    cluster: decodeClusterSpecifier(action.clusterSpecifier, path),
    timeoutMs: timeout === undefined ? DEFAULT_TIMEOUT_MS : decodeDuration(timeout, at(path, 'timeout')),
    retryPolicy: retryPolicy && decodeRetryPolicy(retryPolicy, at(path, 'retry_policy')),
    maxStreamDurationMs:
      maxStreamDuration && decodeStreamDuration(maxStreamDuration, at(path, 'max_stream_duration')),
    priority: decodePriority(action.priority, at(path, 'priority')),
  };
}

function decodeStreamDuration(message: route.RouteAction_MaxStreamDuration, path: Path): number | undefined {
  streamDurationFields(message, path);
  return decodeOptionalDuration(message.maxStreamDuration, at(path, 'max_stream_duration'));
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
  };
}

/** The action that answers without going upstream. */
export function decodeDirectResponse(action: route.DirectResponseAction, path: Path): DirectResponseAction {
  directFields(action, path);
  const { status, body } = action;
  if (status < 200 || status > 599) refuse(at(path, 'status'), 'must be between 200 and 599');
  return {
    kind: 'direct-response',
    status,
    body: body === undefined ? '' : decodeBody(body, at(path, 'body')),
  };
}

function decodeBody(body: core.DataSource, path: Path): string {
  bodyFields(body, path);
  return body.specifier.case === 'inlineString'
    ? body.specifier.value
    : refuse(path, 'needs an inline_string');
}

/** The forwarding action as a message; the timeout is always written, because its absence means 15 s. */
export function encodeRouteAction(action: RouteAction): route.RouteAction {
  const message = create(route.RouteActionSchema, {
    clusterSpecifier: encodeClusterSpecifier(action.cluster),
    timeout: encodeDuration(action.timeoutMs),
    priority: encodePriority(action.priority),
  });
  if (action.retryPolicy !== undefined) message.retryPolicy = encodeRetryPolicy(action.retryPolicy);
  if (action.maxStreamDurationMs !== undefined) {
    const maxStreamDuration = encodeDuration(action.maxStreamDurationMs);
    message.maxStreamDuration = create(route.RouteAction_MaxStreamDurationSchema, { maxStreamDuration });
  }
  return message;
}

function encodeClusterSpecifier(specifier: ClusterSpecifier): route.RouteAction['clusterSpecifier'] {
  if (specifier.kind === 'cluster') return { case: 'cluster', value: specifier.name };
  const value = create(route.WeightedClusterSchema, {
    clusters: specifier.clusters.map(({ name, weight, filterOverrides }) => ({
      name,
      weight,
      typedPerFilterConfig: encodeOverrides(filterOverrides),
    })),
    // Deprecated, but clients of before its deprecation take its absence for 100.
    totalWeight: specifier.totalWeight,
  });
  return { case: 'weightedClusters', value };
}

/** The direct response as a message. */
export function encodeDirectResponse({ status, body }: DirectResponseAction): route.DirectResponseAction {
  const message = create(route.DirectResponseActionSchema, { status });
  if (body !== '')
    message.body = create(core.DataSourceSchema, { specifier: { case: 'inlineString', value: body } });
  return message;
}
