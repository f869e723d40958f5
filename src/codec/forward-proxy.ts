import { create } from '@bufbuild/protobuf';
import type { Cluster, ClusterDiscovery, ForwardProxyDiscovery } from '../model/cluster.js';
import type { ForwardProxyConfig, ForwardProxyRouteConfig } from '../model/dns-cache.js';
import { packAny } from '../proto/any.js';
import {
  cluster,
  clusterDynamicForwardProxy as clusterExtension,
  httpDynamicForwardProxy as filter,
} from '../proto/xds.js';
import { decodeDnsCache, encodeDnsCache } from './dns-cache.js';
import { onlyFields } from './field-guard.js';
import { headerName } from './header-mutation.js';
import { at, type Path, refuse } from './path.js';

const NAME = 'envoy.clusters.dynamic_forward_proxy';

const clusterFields = onlyFields(() => clusterExtension.ClusterConfigSchema, {
  enforced: ['dns_cache_config', 'allow_insecure_cluster_options'],
});
const filterFields = onlyFields(() => filter.FilterConfigSchema, {
  enforced: ['dns_cache_config', 'save_upstream_address'],
});
const routeFields = onlyFields(() => filter.PerRouteConfigSchema, {
  enforced: ['host_rewrite_literal', 'host_rewrite_header'],
});

/** A cluster whose hosts are those that requests ask for. */
export function decodeForwardProxyCluster(
  message: clusterExtension.ClusterConfig,
  path: Path,
): ForwardProxyDiscovery {
  clusterFields(message, path);
  const { clusterImplementationSpecifier: specifier, allowInsecureClusterOptions } = message;
  if (specifier.case !== 'dnsCacheConfig') return refuse(at(path, 'dns_cache_config'), 'is required');
  return {
    kind: 'forward-proxy',
    cache: decodeDnsCache(specifier.value, at(path, 'dns_cache_config')),
    allowInsecure: allowInsecureClusterOptions,
  };
}

/** The kind of such a cluster. */
export function encodeForwardProxyCluster({
  cache,
  allowInsecure,
}: ForwardProxyDiscovery): cluster.Cluster_CustomClusterType {
  const config = create(clusterExtension.ClusterConfigSchema, {
    clusterImplementationSpecifier: { case: 'dnsCacheConfig', value: encodeDnsCache(cache) },
    allowInsecureClusterOptions: allowInsecure,
  });
  return create(cluster.Cluster_CustomClusterTypeSchema, {
    name: NAME,
    typedConfig: packAny(clusterExtension.ClusterConfigSchema, config),
  });
}

/**
 * What a cluster of this kind says about names in TLS. Envoy: where it has no HTTP options at all, hosts are named and
 * must prove their names; options that ask for less have to be allowed.
 */
export function decodeProxyNames(
  message: cluster.Cluster,
  discovery: ClusterDiscovery,
  names: Pick<Cluster, 'autoSni' | 'autoSanValidation'>,
  path: Path,
): Pick<Cluster, 'autoSni' | 'autoSanValidation'> {
  if (discovery.kind !== 'forward-proxy') return names;
  if (message.loadAssignment !== undefined) {
    refuse(at(path, 'load_assignment'), 'must not be set in a dynamic forward proxy');
  }
  if (message.healthChecks.length > 0) {
    refuse(at(path, 'health_checks'), 'are not supported in a dynamic forward proxy');
  }
  const { upstreamHttpProtocolOptions: older, typedExtensionProtocolOptions: newer } = message;
  if (older === undefined && Object.keys(newer).length === 0)
    return { autoSni: true, autoSanValidation: true };
  const isSecure = names.autoSni === true && names.autoSanValidation === true;
  if (!isSecure && !discovery.allowInsecure) {
    refuse(
      at(path, 'cluster_type'),
      'needs auto_sni and auto_san_validation unless allow_insecure_cluster_options is set',
    );
  }
  return names;
}

/** The filter that resolves names for such clusters. */
export function decodeForwardProxy(message: filter.FilterConfig, path: Path): ForwardProxyConfig {
  filterFields(message, path);
  const { implementationSpecifier: specifier, saveUpstreamAddress } = message;
  if (specifier.case !== 'dnsCacheConfig') return refuse(at(path, 'dns_cache_config'), 'is required');
  return {
    kind: 'forward-proxy',
    cache: decodeDnsCache(specifier.value, at(path, 'dns_cache_config')),
    saveUpstreamAddress,
  };
}

/** The filter's configuration as a message. */
export function encodeForwardProxy({ cache, saveUpstreamAddress }: ForwardProxyConfig): filter.FilterConfig {
  return create(filter.FilterConfigSchema, {
    implementationSpecifier: { case: 'dnsCacheConfig', value: encodeDnsCache(cache) },
    saveUpstreamAddress,
  });
}

/** What a route does before its host is resolved. */
export function decodeForwardProxyRoute(message: filter.PerRouteConfig, path: Path): ForwardProxyRouteConfig {
  routeFields(message, path);
  const { hostRewriteSpecifier: specifier } = message;
  switch (specifier.case) {
    case 'hostRewriteLiteral':
      if (/[\0\r\n\s]/.test(specifier.value)) refuse(at(path, 'host_rewrite_literal'), 'is no host');
      return { kind: 'forward-proxy-route', hostRewrite: { kind: 'literal', value: specifier.value } };
    case 'hostRewriteHeader': {
      const value = headerName(specifier.value, at(path, 'host_rewrite_header'));
      return { kind: 'forward-proxy-route', hostRewrite: { kind: 'header', value } };
    }
    default:
      return { kind: 'forward-proxy-route', hostRewrite: undefined };
  }
}

/** The same as a message. */
export function encodeForwardProxyRoute({ hostRewrite }: ForwardProxyRouteConfig): filter.PerRouteConfig {
  if (hostRewrite === undefined) return create(filter.PerRouteConfigSchema);
  const { kind, value } = hostRewrite;
  return create(filter.PerRouteConfigSchema, {
    hostRewriteSpecifier:
      kind === 'literal' ? { case: 'hostRewriteLiteral', value } : { case: 'hostRewriteHeader', value },
  });
}
