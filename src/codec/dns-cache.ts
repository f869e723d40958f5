import { create } from '@bufbuild/protobuf';
import type { DnsCacheConfig } from '../model/dns-cache.js';
import { commonDynamicForwardProxy as common, core } from '../proto/xds.js';
import { decodeSocketAddress } from './address.js';
import { decodeDnsFamily, decodeFailureRate, encodeDnsFamily, encodeFailureRate } from './cluster-dns.js';
import { decodeOptionalDuration, decodePositiveDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';

const DEFAULT_REFRESH_MS = 60_000;
const DEFAULT_MIN_REFRESH_MS = 5000;
const DEFAULT_HOST_TTL_MS = 300_000;
const DEFAULT_QUERY_TIMEOUT_MS = 5000;
const DEFAULT_LIMIT = 1024;

const cacheFields = onlyFields(() => common.DnsCacheConfigSchema, {
  enforced: [
    'name',
    'dns_lookup_family',
    'dns_refresh_rate',
    'dns_min_refresh_rate',
    'host_ttl',
    'max_hosts',
    'dns_failure_refresh_rate',
    'dns_cache_circuit_breaker',
    'preresolve_hostnames',
    'dns_query_timeout',
  ],
});
const breakerFields = onlyFields(() => common.DnsCacheCircuitBreakersSchema, {
  enforced: ['max_pending_requests'],
});

/** A cache of resolved names. */
export function decodeDnsCache(message: common.DnsCacheConfig, path: Path): DnsCacheConfig {
  cacheFields(message, path);
  const { name, maxHosts = DEFAULT_LIMIT, dnsCacheCircuitBreaker: breaker, dnsFailureRefreshRate } = message;
  if (name === '') refuse(at(path, 'name'), 'must not be empty');
  if (maxHosts === 0) refuse(at(path, 'max_hosts'), 'must be greater than 0');
  if (breaker !== undefined) breakerFields(breaker, at(path, 'dns_cache_circuit_breaker'));
  return {
    name,
    lookupFamily: decodeDnsFamily(message.dnsLookupFamily, at(path, 'dns_lookup_family')),
    refreshRateMs: atLeast(message.dnsRefreshRate, DEFAULT_REFRESH_MS, 1, at(path, 'dns_refresh_rate')),
    minRefreshRateMs: atLeast(
      message.dnsMinRefreshRate,
      DEFAULT_MIN_REFRESH_MS,
      1000,
      at(path, 'dns_min_refresh_rate'),
    ),
    failureRefresh:
      dnsFailureRefreshRate && decodeFailureRate(dnsFailureRefreshRate, at(path, 'dns_failure_refresh_rate')),
    hostTtlMs: decodePositiveDuration(message.hostTtl, DEFAULT_HOST_TTL_MS, at(path, 'host_ttl')),
    maxHosts,
    maxPendingRequests: breaker?.maxPendingRequests ?? DEFAULT_LIMIT,
    preresolve: message.preresolveHostnames.map((one, index) =>
      decodeSocketAddress(one, 'host', at(path, 'preresolve_hostnames', index)),
    ),
    queryTimeoutMs:
      decodeOptionalDuration(message.dnsQueryTimeout, at(path, 'dns_query_timeout')) ??
      DEFAULT_QUERY_TIMEOUT_MS,
  };
}

function atLeast(
  duration: common.DnsCacheConfig['hostTtl'],
  defaultMs: number,
  leastMs: number,
  path: Path,
): number {
  const ms = decodePositiveDuration(duration, defaultMs, path);
  return ms < leastMs ? refuse(path, `must be at least ${leastMs} ms`) : ms;
}

/** The cache as a message. */
export function encodeDnsCache(model: DnsCacheConfig): common.DnsCacheConfig {
  const message = create(common.DnsCacheConfigSchema, {
    name: model.name,
    dnsLookupFamily: encodeDnsFamily(model.lookupFamily),
    dnsRefreshRate: encodeDuration(model.refreshRateMs),
    dnsMinRefreshRate: encodeDuration(model.minRefreshRateMs),
    hostTtl: encodeDuration(model.hostTtlMs),
    maxHosts: model.maxHosts,
    dnsCacheCircuitBreaker: { maxPendingRequests: model.maxPendingRequests },
    preresolveHostnames: model.preresolve.map(({ address, port }) =>
      create(core.SocketAddressSchema, { address, portSpecifier: { case: 'portValue', value: port } }),
    ),
    dnsQueryTimeout: encodeDuration(model.queryTimeoutMs),
  });
  if (model.failureRefresh !== undefined) {
    message.dnsFailureRefreshRate = encodeFailureRate(model.failureRefresh);
  }
  return message;
}
