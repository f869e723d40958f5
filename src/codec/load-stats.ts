import { create, toBinary } from '@bufbuild/protobuf';
import type { ClusterLoad, EndpointLoad, LoadNumbers, LocalityLoad, MetricSum } from '../model/load-stats.js';
import type { Node } from '../model/node.js';
import { readMessage } from '../proto/read-message.js';
import { endpoint, loadStats } from '../proto/xds.js';
import { encodeAddress } from './address.js';
import { decodeDuration, encodeDuration } from './duration.js';
import { encodeLocality, encodeNode } from './node.js';
import { at, required, rootPath } from './path.js';

/** What a load reporting server wants to hear (LoadStatsResponse). */
export interface LoadWish {
  /** Names of clusters, or all that report to it. */
  readonly clusters: readonly string[] | 'all';
  readonly intervalMs: number;
  readonly withEndpoints: boolean;
}

/** Envoy: says that the server need not name the clusters. */
const SUPPORTS_ALL = 'envoy.lrs.supports_send_all_clusters';

/** The first message of a stream: who reports. */
export function encodeLoadGreeting(reporter: Node): Uint8Array {
  const node = encodeNode(reporter);
  node.clientFeatures.push(SUPPORTS_ALL);
  return toBinary(loadStats.LoadStatsRequestSchema, create(loadStats.LoadStatsRequestSchema, { node }));
}

/** A report. */
export function encodeLoadReports(loads: readonly ClusterLoad[]): Uint8Array {
  const message = create(loadStats.LoadStatsRequestSchema, { clusterStats: loads.map(encodeCluster) });
  return toBinary(loadStats.LoadStatsRequestSchema, message);
}

/**
 * What a server wants to hear.
 * @throws MeshError `INMESH_XDS_DECODE`
 */
export function decodeLoadWish(bytes: Uint8Array): LoadWish {
  const path = rootPath('LoadStatsResponse');
  const message = readMessage(loadStats.LoadStatsResponseSchema, bytes);
  const where = at(path, 'load_reporting_interval');
  return {
    clusters: message.sendAllClusters ? 'all' : message.clusters,
    intervalMs: decodeDuration(required(message.loadReportingInterval, where), where),
    withEndpoints: message.reportEndpointGranularity,
  };
}

function encodeCluster(load: ClusterLoad): endpoint.ClusterStats {
  return create(endpoint.ClusterStatsSchema, {
    clusterName: load.clusterName,
    clusterServiceName: load.serviceName,
    upstreamLocalityStats: load.localities.map(encodeLocalityLoad),
    totalDroppedRequests: BigInt(load.dropped),
    droppedRequests: load.drops.map(({ category, count }) => ({ category, droppedCount: BigInt(count) })),
    loadReportInterval: encodeDuration(load.intervalMs),
  });
}

/** gRFC A85: these have fields of their own, of localities. */
const OWN_FIELDS = {
  cpu_utilization: 'cpuUtilization',
  mem_utilization: 'memUtilization',
  application_utilization: 'applicationUtilization',
} as const;

function encodeLocalityLoad(load: LocalityLoad): endpoint.UpstreamLocalityStats {
  const message = create(endpoint.UpstreamLocalityStatsSchema, {
    locality: encodeLocality(load.locality),
    priority: load.priority,
    ...encodeNumbers(load),
    loadMetricStats: load.metrics.filter(({ name }) => !Object.hasOwn(OWN_FIELDS, name)).map(encodeMetric),
    upstreamEndpointStats: load.endpoints.map(encodeEndpointLoad),
  });
  for (const { name, count, sum } of load.metrics) {
    if (!Object.hasOwn(OWN_FIELDS, name)) continue;
    // It is a key of the table, as the line above found.
    const field = OWN_FIELDS[name as keyof typeof OWN_FIELDS];
    message[field] = create(endpoint.UnnamedEndpointLoadMetricStatsSchema, {
      numRequestsFinishedWithMetric: BigInt(count),
      totalMetricValue: sum,
    });
  }
  return message;
}

function encodeEndpointLoad(load: EndpointLoad): endpoint.UpstreamEndpointStats {
  return create(endpoint.UpstreamEndpointStatsSchema, {
    address: encodeAddress(load.address),
    ...encodeNumbers(load),
    loadMetricStats: load.metrics.map(encodeMetric),
  });
}

function encodeNumbers({ successes, errors, inProgress, issued }: LoadNumbers) {
  return {
    totalSuccessfulRequests: BigInt(successes),
    totalErrorRequests: BigInt(errors),
    totalRequestsInProgress: BigInt(inProgress),
    totalIssuedRequests: BigInt(issued),
  };
}

function encodeMetric({ name, count, sum }: MetricSum): endpoint.EndpointLoadMetricStats {
  return create(endpoint.EndpointLoadMetricStatsSchema, {
    metricName: name,
    numRequestsFinishedWithMetric: BigInt(count),
    totalMetricValue: sum,
  });
}
