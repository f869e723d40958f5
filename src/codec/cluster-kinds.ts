import { create } from '@bufbuild/protobuf';
import type { ClusterDiscovery, DnsDiscovery, OriginalDestination } from '../model/cluster.js';
import { packAny } from '../proto/any.js';
import { cluster, clusterAggregate, clusterDns, clusterDynamicForwardProxy } from '../proto/xds.js';
import { decodeTypedDns } from './cluster-dns.js';
import { decodeAny } from './codec.js';
import { decodePositiveDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { decodeForwardProxyCluster } from './forward-proxy.js';
import { headerName } from './header-mutation.js';
import { decodeMetadataPath, encodeMetadataPath } from './metadata-path.js';
import { at, type Path, refuse, required } from './path.js';

/** Envoy: a host that nobody asked for leaves after 5 s; the header that names one. */
const DEFAULT_CLEANUP_MS = 5000;
const DEFAULT_HEADER = 'x-envoy-original-dst-host';
const AGGREGATE = 'envoy.clusters.aggregate';

const destinationFields = onlyFields(() => cluster.Cluster_OriginalDstLbConfigSchema, {
  enforced: ['use_http_header', 'http_header_name', 'upstream_port_override', 'metadata_key'],
});
const aggregateFields = onlyFields(() => clusterAggregate.ClusterConfigSchema, { enforced: ['clusters'] });
const typeFields = onlyFields(() => cluster.Cluster_CustomClusterTypeSchema, {
  enforced: ['typed_config'],
  // Names the extension for logs; what it is, its configuration says.
  ignored: ['name'],
});

/** A cluster that dials what was asked for. */
export function decodeOriginalDestination(message: cluster.Cluster, path: Path): OriginalDestination {
  if (message.loadAssignment !== undefined) {
    refuse(at(path, 'load_assignment'), 'must not be set in an ORIGINAL_DST cluster');
  }
  if (message.healthChecks.length > 0) {
    refuse(at(path, 'health_checks'), 'are not supported in an ORIGINAL_DST cluster');
  }
  const configPath = at(path, 'original_dst_lb_config');
  const config =
    message.lbConfig.case === 'originalDstLbConfig'
      ? message.lbConfig.value
      : create(cluster.Cluster_OriginalDstLbConfigSchema);
  destinationFields(config, configPath);
  const { useHttpHeader, httpHeaderName, upstreamPortOverride: port, metadataKey } = config;
  if (port !== undefined && port > 65_535)
    refuse(at(configPath, 'upstream_port_override'), 'must be at most 65535');
  return {
    kind: 'original-dst',
    header: useHttpHeader
      ? headerName(httpHeaderName || DEFAULT_HEADER, at(configPath, 'http_header_name'))
      : undefined,
    metadata: metadataKey && decodeMetadataPath(metadataKey, at(configPath, 'metadata_key')),
    port,
    cleanupIntervalMs: decodePositiveDuration(
      message.cleanupInterval,
      DEFAULT_CLEANUP_MS,
      at(path, 'cleanup_interval'),
    ),
  };
}

/** The fields that stand in ORIGINAL_DST clusters only. */
export function refuseDestinationFields(message: cluster.Cluster, path: Path): void {
  if (message.lbConfig.case === 'originalDstLbConfig') {
    refuse(at(path, 'original_dst_lb_config'), 'must be set in an ORIGINAL_DST cluster only');
  }
  if (message.cleanupInterval !== undefined) {
    refuse(at(path, 'cleanup_interval'), 'must be set in an ORIGINAL_DST cluster only');
  }
}

/** A cluster whose kind is an extension. */
export function decodeClusterType(
  type: cluster.Cluster_CustomClusterType,
  path: Path,
): ClusterDiscovery | { readonly cluster: Omit<DnsDiscovery, 'assignment'> } {
  typeFields(type, path);
  const configPath = at(path, 'typed_config');
  const any = required(type.typedConfig, configPath);
  const dns = decodeAny(clusterDns.DnsClusterSchema, any, configPath);
  // Its endpoints stand elsewhere in the cluster.
  if (dns !== undefined) return { cluster: decodeTypedDns(dns, configPath) };
  const proxy = decodeAny(clusterDynamicForwardProxy.ClusterConfigSchema, any, configPath);
  if (proxy !== undefined) return decodeForwardProxyCluster(proxy, configPath);
  const aggregate = decodeAny(clusterAggregate.ClusterConfigSchema, any, configPath);
  if (aggregate === undefined) {
    return refuse(configPath, `the cluster type ${JSON.stringify(any.typeUrl)} is not supported`);
  }
  aggregateFields(aggregate, configPath);
  if (aggregate.clusters.length === 0) refuse(at(configPath, 'clusters'), 'must not be empty');
  return { kind: 'aggregate', clusters: aggregate.clusters };
}

/** Envoy: kinds that provide their hosts themselves need the policy that says so, and no other may have it. */
export function checkClusterProvided(kind: ClusterDiscovery['kind'], policy: string, path: Path): void {
  const provides = kind === 'original-dst' || kind === 'aggregate' || kind === 'forward-proxy';
  if (provides && policy !== 'cluster-provided') {
    refuse(at(path, 'lb_policy'), `must be CLUSTER_PROVIDED in a cluster of the kind ${kind}`);
  }
  if (!provides && policy === 'cluster-provided') {
    refuse(at(path, 'lb_policy'), `must not be CLUSTER_PROVIDED in a cluster of the kind ${kind}`);
  }
}

/** The fields of a cluster that dials what was asked for. */
export function encodeOriginalDestination(
  model: OriginalDestination,
): Pick<cluster.Cluster, 'lbConfig' | 'cleanupInterval'> {
  const config = create(cluster.Cluster_OriginalDstLbConfigSchema, {
    useHttpHeader: model.header !== undefined,
    httpHeaderName: model.header ?? '',
  });
  if (model.port !== undefined) config.upstreamPortOverride = model.port;
  if (model.metadata !== undefined) config.metadataKey = encodeMetadataPath(model.metadata);
  return {
    lbConfig: { case: 'originalDstLbConfig', value: config },
    cleanupInterval: encodeDuration(model.cleanupIntervalMs),
  };
}

/** The kind of an aggregate cluster. */
export function encodeAggregate(clusters: readonly string[]): cluster.Cluster_CustomClusterType {
  const config = create(clusterAggregate.ClusterConfigSchema, { clusters: [...clusters] });
  return create(cluster.Cluster_CustomClusterTypeSchema, {
    name: AGGREGATE,
    typedConfig: packAny(clusterAggregate.ClusterConfigSchema, config),
  });
}
