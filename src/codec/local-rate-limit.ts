import { create } from '@bufbuild/protobuf';
import type { LocalRateLimitConfig, LocalRateLimitDescriptor } from '../model/local-rate-limit.js';
import type { VirtualHostRateLimits } from '../model/rate-limit.js';
import { commonRateLimit as common, httpLocalRateLimit as filter } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { encodeAddition } from './header-mutation.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeRuntimeFraction, encodeRuntimeFraction } from './percent.js';
import { decodeRateLimits, encodeRateLimits } from './rate-limit.js';
import { decodeLimitHeaders, decodeRefusalStatus } from './rate-limit-refusal.js';
import { decodeTokenBucket, encodeTokenBucket } from './token-bucket.js';

const filterFields = onlyFields(() => filter.LocalRateLimitSchema, {
  enforced: [
    'stat_prefix',
    'status',
    'token_bucket',
    'filter_enabled',
    'filter_enforced',
    'request_headers_to_add_when_not_enforced',
    'response_headers_to_add',
    'descriptors',
    'stage',
    'local_rate_limit_per_downstream_connection',
    'enable_x_ratelimit_headers',
    'vh_rate_limits',
    'always_consume_default_token_bucket',
    'rate_limited_as_resource_exhausted',
    'rate_limits',
    'max_dynamic_descriptors',
    'local_cluster_rate_limit',
  ],
});
const descriptorFields = onlyFields(() => common.LocalRateLimitDescriptorSchema, {
  enforced: ['entries', 'token_bucket', 'shadow_mode'],
});

const DEFAULT_DYNAMIC_DESCRIPTORS = 20;
const MAX_STAGE = 10;

/** The local rate limit filter's configuration. */
export function decodeLocalRateLimit(message: filter.LocalRateLimit, path: Path): LocalRateLimitConfig {
  filterFields(message, path);
  const { tokenBucket, filterEnabled, filterEnforced, stage, status } = message;
  if (message.statPrefix === '') refuse(at(path, 'stat_prefix'), 'must not be empty');
  if (stage > MAX_STAGE) refuse(at(path, 'stage'), `must be at most ${MAX_STAGE}`);
  return {
    kind: 'local-rate-limit',
    statPrefix: message.statPrefix,
    status: decodeRefusalStatus(status, at(path, 'status')),
    bucket: tokenBucket && decodeTokenBucket(tokenBucket, at(path, 'token_bucket')),
    enabled: filterEnabled && decodeRuntimeFraction(filterEnabled, at(path, 'filter_enabled')),
    enforced: filterEnforced && decodeRuntimeFraction(filterEnforced, at(path, 'filter_enforced')),
    requestHeadersWhenNotEnforced: decodeLimitHeaders(
      message.requestHeadersToAddWhenNotEnforced,
      path,
      'request_headers_to_add_when_not_enforced',
    ),
    responseHeaders: decodeLimitHeaders(message.responseHeadersToAdd, path, 'response_headers_to_add'),
    descriptors: decodeDescriptors(message.descriptors, path),
    maxDynamicDescriptors: message.maxDynamicDescriptors ?? DEFAULT_DYNAMIC_DESCRIPTORS,
    stage,
    rateLimits: decodeRateLimits(message.rateLimits, path, { override: false }),
    virtualHostRateLimits: decodeVirtualHost(message.vhRateLimits, at(path, 'vh_rate_limits')),
    perConnection: message.localRateLimitPerDownstreamConnection,
    localClusterShare: decodeShare(message, path),
    rateLimitHeaders: decodeHeaderVersion(
      message.enableXRatelimitHeaders,
      at(path, 'enable_x_ratelimit_headers'),
    ),
    alwaysConsumeDefault: message.alwaysConsumeDefaultTokenBucket ?? true,
    resourceExhausted: message.rateLimitedAsResourceExhausted,
  };
}

/** Envoy: nothing can be shared without knowing with how many, and a connection has no other members. */
function decodeShare(message: filter.LocalRateLimit, path: Path): true | undefined {
  if (message.localClusterRateLimit === undefined) return undefined;
  const where = at(path, 'local_cluster_rate_limit');
  if (path.custom?.knowsLocalCluster !== true) refuse(where, 'needs a local cluster, and none is configured');
  if (message.localRateLimitPerDownstreamConnection) {
    refuse(where, 'does not go with local_rate_limit_per_downstream_connection');
  }
  return true;
}

/** Envoy: at a route a filter without a bucket makes no sense. */
export function checkRouteLimit({ bucket }: LocalRateLimitConfig, path: Path): void {
  if (bucket === undefined) refuse(at(path, 'token_bucket'), 'is required at routes');
}

function decodeDescriptors(
  messages: readonly common.LocalRateLimitDescriptor[],
  path: Path,
): readonly LocalRateLimitDescriptor[] {
  const seen = new Set<string>();
  return messages.map((message, index) => {
    const where = at(path, 'descriptors', index);
    const descriptor = decodeDescriptor(message, where);
    const key = JSON.stringify(descriptor.entries.map((entry) => [entry.key, entry.value]));
    if (seen.has(key)) refuse(where, 'stands twice in the list');
    seen.add(key);
    return descriptor;
  });
}

function decodeDescriptor(message: common.LocalRateLimitDescriptor, path: Path): LocalRateLimitDescriptor {
  descriptorFields(message, path);
  if (message.entries.length === 0) refuse(at(path, 'entries'), 'must not be empty');
  return {
    entries: message.entries.map(({ key, value }, index) =>
      key === '' ? refuse(at(path, 'entries', index), 'needs a key') : { key, value },
    ),
    bucket: decodeTokenBucket(
      required(message.tokenBucket, at(path, 'token_bucket')),
      at(path, 'token_bucket'),
    ),
    shadow: message.shadowMode,
  };
}

const MODES: readonly VirtualHostRateLimits[] = ['override', 'include', 'ignore'];

function decodeVirtualHost(option: common.VhRateLimitsOptions, path: Path): VirtualHostRateLimits {
  return MODES[option] ?? refuse(path, `has no value ${String(option)}`);
}

function decodeHeaderVersion(version: common.XRateLimitHeadersRFCVersion, path: Path): boolean {
  const { OFF, DRAFT_VERSION_03 } = common.XRateLimitHeadersRFCVersion;
  if (version === OFF) return false;
  return version === DRAFT_VERSION_03 ? true : refuse(path, `has no value ${String(version)}`);
}

/** The local rate limit filter's configuration as a message. */
export function encodeLocalRateLimit(config: LocalRateLimitConfig): filter.LocalRateLimit {
  const { OFF, DRAFT_VERSION_03 } = common.XRateLimitHeadersRFCVersion;
  const { bucket, enabled, enforced } = config;
  const message = create(filter.LocalRateLimitSchema, {
    statPrefix: config.statPrefix,
    status: { code: config.status },
    requestHeadersToAddWhenNotEnforced: config.requestHeadersWhenNotEnforced.map(encodeAddition),
    responseHeadersToAdd: config.responseHeaders.map(encodeAddition),
    descriptors: config.descriptors.map(({ entries, bucket: own, shadow }) => ({
      entries: entries.map(({ key, value }) => ({ key, value })),
      tokenBucket: encodeTokenBucket(own),
      shadowMode: shadow,
    })),
    maxDynamicDescriptors: config.maxDynamicDescriptors,
    stage: config.stage,
    rateLimits: encodeRateLimits(config.rateLimits),
    vhRateLimits: MODES.indexOf(config.virtualHostRateLimits),
    localRateLimitPerDownstreamConnection: config.perConnection,
    enableXRatelimitHeaders: config.rateLimitHeaders ? DRAFT_VERSION_03 : OFF,
    alwaysConsumeDefaultTokenBucket: config.alwaysConsumeDefault,
    rateLimitedAsResourceExhausted: config.resourceExhausted,
  });
  if (bucket !== undefined) message.tokenBucket = encodeTokenBucket(bucket);
  if (enabled !== undefined) message.filterEnabled = encodeRuntimeFraction(enabled);
  if (enforced !== undefined) message.filterEnforced = encodeRuntimeFraction(enforced);
  if (config.localClusterShare === true) {
    message.localClusterRateLimit = create(common.LocalClusterRateLimitSchema);
  }
  return message;
}
