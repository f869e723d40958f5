import { create } from '@bufbuild/protobuf';
import type { DnsDiscovery } from '../model/cluster.js';
import type { DnsLookupFamily } from '../model/dns-cache.js';
import { cluster, clusterCommonDns, clusterDns } from '../proto/xds.js';
import {
  decodeDuration,
  decodeOptionalDuration,
  decodePositiveDuration,
  encodeDuration,
} from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';

/** Envoy: names are resolved anew every 5 s; after failures the step grows up to ten times its base. */
const DEFAULT_REFRESH_MS = 5000;
const DEFAULT_GROWTH = 10;

/** How and how often names are resolved. */
export function decodeDnsSettings(
  message: cluster.Cluster,
  path: Path,
): Omit<DnsDiscovery, 'kind' | 'assignment'> {
  const { dnsRefreshRate, dnsFailureRefreshRate: failure } = message;
  return {
    refreshRateMs: decodePositiveDuration(dnsRefreshRate, DEFAULT_REFRESH_MS, at(path, 'dns_refresh_rate')),
    failureRefresh: failure && decodeFailureRate(failure, at(path, 'dns_failure_refresh_rate')),
    respectsTtl: message.respectDnsTtl || undefined,
    lookupFamily: decodeDnsFamily(message.dnsLookupFamily, at(path, 'dns_lookup_family')),
    jitterMs: decodeOptionalDuration(message.dnsJitter, at(path, 'dns_jitter')) || undefined,
  };
}

/** Waits after failures. */
export function decodeFailureRate(
  rate: Pick<cluster.Cluster_RefreshRate, 'baseInterval' | 'maxInterval'>,
  path: Path,
): NonNullable<DnsDiscovery['failureRefresh']> {
  const basePath = at(path, 'base_interval');
  const baseMs = decodeDuration(required(rate.baseInterval, basePath), basePath);
  if (baseMs < 1) refuse(basePath, 'must be at least 1 ms');
  const maxPath = at(path, 'max_interval');
  const maxMs = decodePositiveDuration(rate.maxInterval, baseMs * DEFAULT_GROWTH, maxPath);
  if (maxMs < baseMs) refuse(maxPath, 'must not be less than base_interval');
  return { baseMs, maxMs };
}

/** Which addresses a name stands for; undefined is Envoy's AUTO. */
export function decodeDnsFamily(
  family: cluster.Cluster_DnsLookupFamily,
  path: Path,
): DnsLookupFamily | undefined {
  const { AUTO, V4_ONLY, V6_ONLY, V4_PREFERRED, ALL } = cluster.Cluster_DnsLookupFamily;
  switch (family) {
    case AUTO:
      return undefined;
    case V4_ONLY:
      return 'v4-only';
    case V6_ONLY:
      return 'v6-only';
    case V4_PREFERRED:
      return 'v4-preferred';
    case ALL:
      return 'all';
    default:
      return refuse(path, `has no value ${String(family)}`);
  }
}

const typedFields = onlyFields(() => clusterDns.DnsClusterSchema, {
  enforced: [
    'dns_refresh_rate',
    'dns_failure_refresh_rate',
    'respect_dns_ttl',
    'dns_jitter',
    'dns_lookup_family',
    'all_addresses_in_single_endpoint',
  ],
});

/** The same of the newer form, `envoy.clusters.dns`: one endpoint with all addresses is what LOGICAL_DNS was. */
export function decodeTypedDns(message: clusterDns.DnsCluster, path: Path): Omit<DnsDiscovery, 'assignment'> {
  typedFields(message, path);
  const { dnsRefreshRate, dnsFailureRefreshRate: failure, dnsLookupFamily: family } = message;
  const { UNSPECIFIED } = clusterCommonDns.DnsLookupFamily;
  return {
    kind: message.allAddressesInSingleEndpoint ? 'logical-dns' : 'strict-dns',
    refreshRateMs: decodePositiveDuration(dnsRefreshRate, DEFAULT_REFRESH_MS, at(path, 'dns_refresh_rate')),
    failureRefresh: failure && decodeFailureRate(failure, at(path, 'dns_failure_refresh_rate')),
    respectsTtl: message.respectDnsTtl || undefined,
    // The same values as of the older form, after one for "not set".
    lookupFamily:
      family === UNSPECIFIED ? undefined : decodeDnsFamily(family - 1, at(path, 'dns_lookup_family')),
    jitterMs: decodeOptionalDuration(message.dnsJitter, at(path, 'dns_jitter')) || undefined,
  };
}

/** Fields of a cluster that say how names are resolved. */
export type DnsFields = Pick<cluster.Cluster, 'dnsRefreshRate' | 'respectDnsTtl' | 'dnsLookupFamily'> &
  Partial<Pick<cluster.Cluster, 'dnsFailureRefreshRate' | 'dnsJitter'>>;

/** How and how often names are resolved as the fields of a message. */
export function encodeDnsSettings(model: DnsDiscovery): DnsFields {
  const { failureRefresh: failure, lookupFamily, jitterMs } = model;
  return {
    dnsRefreshRate: encodeDuration(model.refreshRateMs),
    respectDnsTtl: model.respectsTtl ?? false,
    dnsLookupFamily: encodeDnsFamily(lookupFamily),
    ...(failure !== undefined && { dnsFailureRefreshRate: encodeFailureRate(failure) }),
    ...(jitterMs !== undefined && { dnsJitter: encodeDuration(jitterMs) }),
  };
}

/** Waits after failures as a message. */
export function encodeFailureRate({
  baseMs,
  maxMs,
}: NonNullable<DnsDiscovery['failureRefresh']>): cluster.Cluster_RefreshRate {
  return create(cluster.Cluster_RefreshRateSchema, {
    baseInterval: encodeDuration(baseMs),
    maxInterval: encodeDuration(maxMs),
  });
}

/** The family as its number. */
export function encodeDnsFamily(family: DnsLookupFamily | undefined): cluster.Cluster_DnsLookupFamily {
  const { AUTO, V4_ONLY, V6_ONLY, V4_PREFERRED, ALL } = cluster.Cluster_DnsLookupFamily;
  const families = { 'v4-only': V4_ONLY, 'v6-only': V6_ONLY, 'v4-preferred': V4_PREFERRED, all: ALL };
  return family === undefined ? AUTO : families[family];
}
