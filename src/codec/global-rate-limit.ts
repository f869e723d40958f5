import { create } from '@bufbuild/protobuf';
import type {
  GlobalRateLimitConfig,
  GlobalRateLimitRouteConfig,
  RateLimitedRequests,
} from '../model/global-rate-limit.js';
import type { FractionalPercent } from '../model/percent.js';
import type { VirtualHostRateLimits } from '../model/rate-limit.js';
import { core, httpRateLimit as filter, rateLimit as service, type type } from '../proto/xds.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { decodeGrpcService, encodeGrpcService } from './grpc-service.js';
import { encodeAddition } from './header-mutation.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeRuntimeFraction, encodeRuntimeFraction } from './percent.js';
import { decodeRateLimits, encodeRateLimits } from './rate-limit.js';
import { decodeLimitHeaders, decodeRefusalStatus } from './rate-limit-refusal.js';

const filterFields = onlyFields(() => filter.RateLimitSchema, {
  enforced: [
    'domain',
    'stage',
    'request_type',
    'timeout',
    'failure_mode_deny',
    'failure_mode_deny_percent',
    'rate_limited_as_resource_exhausted',
    'rate_limit_service',
    'enable_x_ratelimit_headers',
    'disable_x_envoy_ratelimited_header',
    'rate_limited_status',
    'response_headers_to_add',
    'status_on_error',
    'stat_prefix',
    'filter_enabled',
    'filter_enforced',
    'rate_limits',
  ],
});
const serviceFields = onlyFields(() => service.RateLimitServiceConfigSchema, {
  enforced: ['grpc_service', 'transport_api_version'],
});
const routeFields = onlyFields(() => filter.RateLimitPerRouteSchema, {
  enforced: ['vh_rate_limits', 'override_option', 'rate_limits', 'domain'],
});

const DEFAULT_TIMEOUT_MS = 20;
const DEFAULT_STATUS_ON_ERROR = 500;
const MAX_STAGE = 10;
/** Envoy: limits of the filter itself may be overridden from metadata, as those of routes may (1.39). */
const OWN_LIMITS = { override: true };

/** The global rate limit filter's configuration. */
export function decodeGlobalRateLimit(message: filter.RateLimit, path: Path): GlobalRateLimitConfig {
  filterFields(message, path);
  const { domain, stage, timeout } = message;
  if (domain === '') refuse(at(path, 'domain'), 'must not be empty');
  if (stage > MAX_STAGE) refuse(at(path, 'stage'), `must be at most ${MAX_STAGE}`);
  return {
    kind: 'global-rate-limit',
    domain,
    stage,
    requests: decodeRequests(message.requestType, at(path, 'request_type')),
    timeoutMs: decodeOptionalDuration(timeout, at(path, 'timeout')) ?? DEFAULT_TIMEOUT_MS,
    failureModeDeny: message.failureModeDeny,
    failureModeDenyPercent: decodeShare(message.failureModeDenyPercent, path, 'failure_mode_deny_percent'),
    resourceExhausted: message.rateLimitedAsResourceExhausted,
    service: decodeService(message.rateLimitService, at(path, 'rate_limit_service')),
    rateLimitHeaders: decodeHeaderVersion(
      message.enableXRatelimitHeaders,
      at(path, 'enable_x_ratelimit_headers'),
    ),
    rateLimitedHeader: !message.disableXEnvoyRatelimitedHeader,
    status: decodeRefusalStatus(message.rateLimitedStatus, at(path, 'rate_limited_status')),
    responseHeaders: decodeLimitHeaders(message.responseHeadersToAdd, path, 'response_headers_to_add'),
    statusOnError: decodeErrorStatus(message.statusOnError, at(path, 'status_on_error')),
    statPrefix: message.statPrefix,
    enabled: decodeShare(message.filterEnabled, path, 'filter_enabled'),
    enforced: decodeShare(message.filterEnforced, path, 'filter_enforced'),
    rateLimits: decodeRateLimits(message.rateLimits, path, OWN_LIMITS),
  };
}

function decodeRequests(requestType: string, path: Path): RateLimitedRequests {
  switch (requestType) {
    case '':
      return 'both';
    case 'internal':
    case 'external':
    case 'both':
      return requestType;
    default:
      return refuse(path, 'must be internal, external or both');
  }
}

function decodeShare(
  fraction: core.RuntimeFractionalPercent | undefined,
  path: Path,
  field: string,
): FractionalPercent | undefined {
  return fraction && decodeRuntimeFraction(fraction, at(path, field));
}

function decodeService(
  message: service.RateLimitServiceConfig | undefined,
  path: Path,
): GlobalRateLimitConfig['service'] {
  const config = required(message, path);
  serviceFields(config, path);
  // Envoy: the older version, and leaving the choice open, are refused.
  if (config.transportApiVersion !== core.ApiVersion.V3) {
    refuse(at(path, 'transport_api_version'), 'must be V3');
  }
  return decodeGrpcService(required(config.grpcService, at(path, 'grpc_service')), at(path, 'grpc_service'));
}

/** Envoy: what is no status of an answer counts as not set. */
function decodeErrorStatus(status: type.HttpStatus | undefined, path: Path): number {
  const code: number = status?.code ?? 0;
  if (code > 599) refuse(path, 'must be an HTTP status');
  return code < 200 ? DEFAULT_STATUS_ON_ERROR : code;
}

function decodeHeaderVersion(version: filter.RateLimit_XRateLimitHeadersRFCVersion, path: Path): boolean {
  const { OFF, DRAFT_VERSION_03 } = filter.RateLimit_XRateLimitHeadersRFCVersion;
  if (version === OFF) return false;
  return version === DRAFT_VERSION_03 ? true : refuse(path, `has no value ${String(version)}`);
}

const MODES: readonly VirtualHostRateLimits[] = ['override', 'include', 'ignore'];

/** The global rate limit filter's configuration for a route. */
export function decodeGlobalRateLimitRoute(
  message: filter.RateLimitPerRoute,
  path: Path,
): GlobalRateLimitRouteConfig {
  routeFields(message, path);
  const { vhRateLimits, overrideOption, domain } = message;
  // Envoy: the newer option goes before the older one; it has the same values, after one for "not set".
  const isSet = overrideOption !== filter.RateLimitPerRoute_OverrideOptions.DEFAULT;
  const mode = isSet ? MODES[overrideOption - 1] : MODES[vhRateLimits];
  const field = isSet ? 'override_option' : 'vh_rate_limits';
  return {
    kind: 'global-rate-limit-route',
    virtualHostRateLimits: mode ?? refuse(at(path, field), 'has no such value'),
    rateLimits: decodeRateLimits(message.rateLimits, path, OWN_LIMITS),
    domain,
  };
}

/** The global rate limit filter's configuration as a message. */
export function encodeGlobalRateLimit(config: GlobalRateLimitConfig): filter.RateLimit {
  const { OFF, DRAFT_VERSION_03 } = filter.RateLimit_XRateLimitHeadersRFCVersion;
  const { failureModeDenyPercent, enabled, enforced } = config;
  const message = create(filter.RateLimitSchema, {
    domain: config.domain,
    stage: config.stage,
    requestType: config.requests,
    timeout: encodeDuration(config.timeoutMs),
    failureModeDeny: config.failureModeDeny,
    rateLimitedAsResourceExhausted: config.resourceExhausted,
    rateLimitService: {
      grpcService: encodeGrpcService(config.service),
      transportApiVersion: core.ApiVersion.V3,
    },
    enableXRatelimitHeaders: config.rateLimitHeaders ? DRAFT_VERSION_03 : OFF,
    disableXEnvoyRatelimitedHeader: !config.rateLimitedHeader,
    rateLimitedStatus: { code: config.status },
    responseHeadersToAdd: config.responseHeaders.map(encodeAddition),
    statusOnError: { code: config.statusOnError },
    statPrefix: config.statPrefix,
    rateLimits: encodeRateLimits(config.rateLimits),
  });
  if (failureModeDenyPercent !== undefined) {
    message.failureModeDenyPercent = encodeRuntimeFraction(failureModeDenyPercent);
  }
  if (enabled !== undefined) message.filterEnabled = encodeRuntimeFraction(enabled);
  if (enforced !== undefined) message.filterEnforced = encodeRuntimeFraction(enforced);
  return message;
}

/** The same of a route. */
export function encodeGlobalRateLimitRoute(config: GlobalRateLimitRouteConfig): filter.RateLimitPerRoute {
  return create(filter.RateLimitPerRouteSchema, {
    vhRateLimits: MODES.indexOf(config.virtualHostRateLimits),
    rateLimits: encodeRateLimits(config.rateLimits),
    domain: config.domain,
  });
}
