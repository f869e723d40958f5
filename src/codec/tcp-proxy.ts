import { create } from '@bufbuild/protobuf';
import {
  DEFAULT_TCP_IDLE_MS,
  type TcpCluster,
  type TcpHash,
  type TcpProxy,
  type TcpServer,
  type TcpTunnel,
} from '../model/tcp-proxy.js';
import { core, tcpProxy, type } from '../proto/xds.js';
import { decodeAccessLogs, encodeAccessLogs } from './access-log.js';
import { decodeOptionalDuration, decodePositiveDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { decodeMetadataMatch, encodeMetadataMatch } from './metadata-match.js';
import { at, type Path, refuse, required } from './path.js';
import { decodePercent, encodePercent } from './percent.js';

const IGNORED = [
  // Name and form of Envoy's statistics and logs.
  'stat_prefix',
  'access_log_flush_interval',
  'flush_access_log_on_connected',
  'access_log_options',
];

const SHARED = [
  'cluster',
  'weighted_clusters',
  'idle_timeout',
  'access_log',
  'max_downstream_connection_duration',
  'max_downstream_connection_duration_jitter_percentage',
];

const outboundFields = onlyFields(() => tcpProxy.TcpProxySchema, {
  enforced: [
    ...SHARED,
    'metadata_match',
    'max_connect_attempts',
    'backoff_options',
    'hash_policy',
    'tunneling_config',
  ],
  ignored: IGNORED,
});

const inboundFields = onlyFields(() => tcpProxy.TcpProxySchema, { enforced: SHARED, ignored: IGNORED });

const weightFields = onlyFields(() => tcpProxy.TcpProxy_WeightedCluster_ClusterWeightSchema, {
  enforced: ['name', 'weight', 'metadata_match'],
});

const backoffFields = onlyFields(() => core.BackoffStrategySchema, {
  enforced: ['base_interval', 'max_interval'],
});

const tunnelFields = onlyFields(() => tcpProxy.TcpProxy_TunnelingConfigSchema, {
  enforced: ['hostname', 'use_post', 'post_path'],
  // They are for other network filters, of which there are none here.
  ignored: ['propagate_response_headers', 'propagate_response_trailers'],
});

/** The TCP proxy of an outbound filter chain. */
export function decodeTcpProxy(message: tcpProxy.TcpProxy, path: Path): TcpProxy {
  outboundFields(message, path);
  const { maxConnectAttempts = 1 } = message;
  if (maxConnectAttempts === 0) refuse(at(path, 'max_connect_attempts'), 'must be at least 1');
  return {
    cluster: decodeCluster(message.clusterSpecifier, path),
    metadataMatch: decodeMetadataMatch(message.metadataMatch),
    maxConnectAttempts,
    connectBackoff:
      message.backoffOptions && decodeBackoff(message.backoffOptions, at(path, 'backoff_options')),
    hash: decodeHash(message.hashPolicy, path),
    tunnel: message.tunnelingConfig && decodeTunnel(message.tunnelingConfig, at(path, 'tunneling_config')),
    ...decodeLimits(message, path),
  };
}

/** The TCP proxy of an inbound filter chain. */
export function decodeTcpServer(message: tcpProxy.TcpProxy, path: Path): TcpServer {
  inboundFields(message, path);
  const cluster = decodeCluster(message.clusterSpecifier, path);
  if (cluster.kind !== 'cluster') return refuse(at(path, 'weighted_clusters'), 'is not supported');
  return { cluster: cluster.name, ...decodeLimits(message, path) };
}

function decodeLimits(message: tcpProxy.TcpProxy, path: Path): Omit<TcpServer, 'cluster'> {
  return {
    idleTimeoutMs:
      decodeOptionalDuration(message.idleTimeout, at(path, 'idle_timeout')) ?? DEFAULT_TCP_IDLE_MS,
    maxDurationMs: decodeLife(message, path),
    maxDurationJitterPercent: decodeJitter(message, path),
    accessLogs: decodeAccessLogs(message.accessLog, path),
  };
}

function decodeLife(
  { maxDownstreamConnectionDuration: life }: tcpProxy.TcpProxy,
  path: Path,
): number | undefined {
  if (life === undefined) return undefined;
  const where = at(path, 'max_downstream_connection_duration');
  const ms = decodePositiveDuration(life, 0, where);
  return ms < 1 ? refuse(where, 'must be at least 1 ms') : ms;
}

function decodeJitter(
  { maxDownstreamConnectionDurationJitterPercentage: percent }: tcpProxy.TcpProxy,
  path: Path,
): number | undefined {
  return (
    percent && decodePercent(percent, 0, at(path, 'max_downstream_connection_duration_jitter_percentage'))
  );
}

function decodeCluster(specifier: tcpProxy.TcpProxy['clusterSpecifier'], path: Path): TcpCluster {
  switch (specifier.case) {
    case 'cluster':
      if (specifier.value === '') refuse(at(path, 'cluster'), 'must not be empty');
      return { kind: 'cluster', name: specifier.value };
    case 'weightedClusters':
      return decodeWeighted(specifier.value, at(path, 'weighted_clusters'));
    default:
      return refuse(path, 'needs cluster or weighted_clusters');
  }
}

/** Envoy draws from the sum of the weights as a number of 32 bits. */
const MAX_TOTAL_WEIGHT = 0xffff_ffff;

function decodeWeighted(message: tcpProxy.TcpProxy_WeightedCluster, path: Path): TcpCluster {
  if (message.clusters.length === 0) refuse(at(path, 'clusters'), 'must not be empty');
  const clusters = message.clusters.map((one, index) => {
    const where = at(path, 'clusters', index);
    weightFields(one, where);
    if (one.name === '') refuse(at(where, 'name'), 'must not be empty');
    if (one.weight === 0) refuse(at(where, 'weight'), 'must be at least 1');
    return { name: one.name, weight: one.weight, metadataMatch: decodeMetadataMatch(one.metadataMatch) };
  });
  const totalWeight = clusters.reduce((sum, { weight }) => sum + weight, 0);
  if (totalWeight > MAX_TOTAL_WEIGHT)
    refuse(at(path, 'clusters'), 'the sum of the weights must be below 2^32');
  return { kind: 'weighted', clusters, totalWeight };
}

function decodeBackoff(message: core.BackoffStrategy, path: Path): NonNullable<TcpProxy['connectBackoff']> {
  backoffFields(message, path);
  const where = at(path, 'base_interval');
  const baseMs = decodePositiveDuration(required(message.baseInterval, where), 0, where);
  if (baseMs < 1) refuse(where, 'must be at least 1 ms');
  // Envoy: ten times the base.
  const maxMs = decodePositiveDuration(message.maxInterval, 10 * baseMs, at(path, 'max_interval'));
  if (maxMs < baseMs) refuse(at(path, 'max_interval'), 'must be at least base_interval');
  return { baseMs, maxMs };
}

function decodeHash(policies: readonly type.HashPolicy[], path: Path): TcpHash | undefined {
  const [policy] = policies;
  if (policy === undefined) return undefined;
  if (policies.length > 1) refuse(at(path, 'hash_policy', 1), 'one is all there may be');
  const where = at(path, 'hash_policy', 0);
  switch (policy.policySpecifier.case) {
    case 'sourceIp':
      return { kind: 'source-ip' };
    case 'filterState': {
      const { key } = policy.policySpecifier.value;
      return key === ''
        ? refuse(at(at(where, 'filter_state'), 'key'), 'must not be empty')
        : { kind: 'filter-state', key };
    }
    default:
      return refuse(where, 'needs a policy specifier');
  }
}

function decodeTunnel(message: tcpProxy.TcpProxy_TunnelingConfig, path: Path): TcpTunnel {
  tunnelFields(message, path);
  const { hostname, usePost, postPath } = message;
  const where = at(path, 'hostname');
  if (hostname === '') refuse(where, 'must not be empty');
  if (hostname.includes('%')) refuse(where, 'takes no operators here');
  if (/[\0-\x20\x7f]/.test(hostname)) refuse(where, 'contains a character that no host has');
  if (postPath !== '' && !usePost) refuse(at(path, 'post_path'), 'needs use_post');
  return { target: hostname, method: usePost ? 'POST' : 'CONNECT', path: postPath || '/' };
}

/** The TCP proxy as a message. */
export function encodeTcpProxy(proxy: TcpProxy): tcpProxy.TcpProxy {
  const { connectBackoff: backoff, maxDurationMs, maxDurationJitterPercent: jitter, hash } = proxy;
  const message = create(tcpProxy.TcpProxySchema, {
    // Envoy demands one.
    statPrefix: 'tcp',
    clusterSpecifier: encodeCluster(proxy.cluster),
    ...encodeMetadataMatch(proxy.metadataMatch),
    idleTimeout: encodeDuration(proxy.idleTimeoutMs),
    maxConnectAttempts: proxy.maxConnectAttempts,
    hashPolicy: hash === undefined ? [] : [encodeHash(hash)],
    accessLog: encodeAccessLogs(proxy.accessLogs),
  });
  if (proxy.tunnel !== undefined) message.tunnelingConfig = encodeTunnel(proxy.tunnel);
  if (backoff !== undefined) {
    message.backoffOptions = create(core.BackoffStrategySchema, {
      baseInterval: encodeDuration(backoff.baseMs),
      maxInterval: encodeDuration(backoff.maxMs),
    });
  }
  if (maxDurationMs !== undefined) message.maxDownstreamConnectionDuration = encodeDuration(maxDurationMs);
  if (jitter !== undefined) message.maxDownstreamConnectionDurationJitterPercentage = encodePercent(jitter);
  return message;
}

function encodeTunnel({ target, method, path }: TcpTunnel): tcpProxy.TcpProxy_TunnelingConfig {
  return create(tcpProxy.TcpProxy_TunnelingConfigSchema, {
    hostname: target,
    usePost: method === 'POST',
    postPath: path === '/' ? '' : path,
  });
}

/** The TCP proxy of an inbound filter chain as a message. */
export function encodeTcpServer({ cluster, ...limits }: TcpServer): tcpProxy.TcpProxy {
  const message = encodeTcpProxy({
    ...limits,
    cluster: { kind: 'cluster', name: cluster },
    maxConnectAttempts: 1,
  });
  // It does not connect to anything.
  message.maxConnectAttempts = undefined;
  return message;
}

function encodeCluster(cluster: TcpCluster): tcpProxy.TcpProxy['clusterSpecifier'] {
  if (cluster.kind === 'cluster') return { case: 'cluster', value: cluster.name };
  const value = create(tcpProxy.TcpProxy_WeightedClusterSchema, {
    clusters: cluster.clusters.map(({ name, weight, metadataMatch }) => ({
      name,
      weight,
      ...encodeMetadataMatch(metadataMatch),
    })),
  });
  return { case: 'weightedClusters', value };
}

function encodeHash(hash: TcpHash): type.HashPolicy {
  return create(type.HashPolicySchema, {
    policySpecifier:
      hash.kind === 'source-ip'
        ? { case: 'sourceIp', value: create(type.HashPolicy_SourceIpSchema) }
        : { case: 'filterState', value: create(type.HashPolicy_FilterStateSchema, { key: hash.key }) },
  });
}
