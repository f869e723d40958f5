import { create } from '@bufbuild/protobuf';
import type { HeaderMatcher } from '../model/matcher.js';
import {
  type RateLimitedBackOff,
  RETRY_CONDITIONS,
  type ResetHeader,
  type RetryCondition,
  type RetryPolicy,
} from '../model/retry.js';
import { route, type wkt } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { decodeOptionalDuration, decodePositiveDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { headerName } from './header-mutation.js';
import { decodeHeaderMatcher, encodeHeaderMatcher } from './matcher.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeHostRules, encodeHostRules } from './retry-hosts.js';

/** Envoy: retries wait 25 ms at first, at most 10 x the base, and no base is below 1 ms. */
const DEFAULT_BASE_MS = 25;
const MAX_TO_BASE = 10;
const MIN_BASE_MS = 1;
/** Envoy: a wait that an upstream asks for is honoured up to 300 s. */
const DEFAULT_MAX_RESET_MS = 300_000;

const policyFields = onlyFields(() => route.RetryPolicySchema, {
  enforced: [
    'retry_on',
    'num_retries',
    'per_try_timeout',
    'retry_host_predicate',
    'host_selection_retry_max_attempts',
    'retriable_status_codes',
    'retry_back_off',
    'per_try_idle_timeout',
    'retry_priority',
    'rate_limited_retry_back_off',
    'retriable_headers',
    'retriable_request_headers',
  ],
});

const rateLimitedFields = onlyFields(() => route.RetryPolicy_RateLimitedRetryBackOffSchema, {
  enforced: ['reset_headers', 'max_interval'],
});

/** The retry policy. */
export function decodeRetryPolicy(message: route.RetryPolicy, path: Path): RetryPolicy {
  policyFields(message, path);
  return {
    retryOn: decodeConditions(message.retryOn),
    numRetries: decodeNumRetries(message.numRetries, at(path, 'num_retries')),
    perTryTimeoutMs: decodeOptionalDuration(message.perTryTimeout, at(path, 'per_try_timeout')),
    retriableStatusCodes: message.retriableStatusCodes,
    ...decodeBackOff(message.retryBackOff, at(path, 'retry_back_off')),
    perTryIdleTimeoutMs: decodeOptionalDuration(message.perTryIdleTimeout, at(path, 'per_try_idle_timeout')),
    retriableHeaders: decodeMatchers(message.retriableHeaders, path, 'retriable_headers'),
    retriableRequestHeaders: decodeMatchers(
      message.retriableRequestHeaders,
      path,
      'retriable_request_headers',
    ),
    rateLimitedBackOff:
      message.rateLimitedRetryBackOff &&
      decodeRateLimited(message.rateLimitedRetryBackOff, at(path, 'rate_limited_retry_back_off')),
    ...decodeHostRules(message, path),
    hostSelectionAttempts: decodeAttempts(
      message.hostSelectionRetryMaxAttempts,
      at(path, 'host_selection_retry_max_attempts'),
    ),
  };
}

/** Envoy: comma separated, trimmed, unknown tokens are ignored. */
function decodeConditions(retryOn: string): readonly RetryCondition[] {
  const tokens = new Set(retryOn.split(',').map((token) => token.trim()));
  return [...tokens].filter(isCondition);
}

function isCondition(token: string): token is RetryCondition {
  return (RETRY_CONDITIONS as readonly string[]).includes(token);
}

function decodeNumRetries(retries: number | undefined, path: Path): number {
  // gRFC A44: 0 is refused. To have no retries, leave the policy out.
  return retries === 0
    ? refuse(path, 'must be at least 1; leave the retry policy out for none')
    : (retries ?? 1);
}

function decodeAttempts(attempts: bigint, path: Path): number {
  if (attempts < 0n) return refuse(path, 'must not be negative');
  // Envoy: 0 is the same as unset.
  return attempts === 0n ? 1 : Number(attempts);
}

function decodeBackOff(
  backOff: route.RetryPolicy_RetryBackOff | undefined,
  path: Path,
): Pick<RetryPolicy, 'baseIntervalMs' | 'maxIntervalMs'> {
  if (backOff === undefined) {
    return { baseIntervalMs: DEFAULT_BASE_MS, maxIntervalMs: DEFAULT_BASE_MS * MAX_TO_BASE };
  }
  const basePath = at(path, 'base_interval');
  const base = decodePositiveDuration(required(backOff.baseInterval, basePath), DEFAULT_BASE_MS, basePath);
  const baseIntervalMs = Math.max(base, MIN_BASE_MS);
  const max = decodePositiveDuration(
    backOff.maxInterval,
    baseIntervalMs * MAX_TO_BASE,
    at(path, 'max_interval'),
  );
  if (max < base) refuse(at(path, 'max_interval'), 'must not be less than base_interval');
  return { baseIntervalMs, maxIntervalMs: Math.max(max, baseIntervalMs) };
}

function decodeRateLimited(
  backOff: route.RetryPolicy_RateLimitedRetryBackOff,
  path: Path,
): RateLimitedBackOff {
  rateLimitedFields(backOff, path);
  if (backOff.resetHeaders.length === 0) refuse(at(path, 'reset_headers'), 'must not be empty');
  return {
    resetHeaders: backOff.resetHeaders.map((header, index) => {
      const headerPath = at(path, 'reset_headers', index);
      return {
        name: headerName(header.name, at(headerPath, 'name')),
        format: decodeFormat(header.format, at(headerPath, 'format')),
      };
    }),
    maxIntervalMs: decodePositiveDuration(
      backOff.maxInterval,
      DEFAULT_MAX_RESET_MS,
      at(path, 'max_interval'),
    ),
  };
}

function decodeFormat(format: route.RetryPolicy_ResetHeaderFormat, path: Path): ResetHeader['format'] {
  const { SECONDS, UNIX_TIMESTAMP } = route.RetryPolicy_ResetHeaderFormat;
  if (format === SECONDS) return 'seconds';
  return format === UNIX_TIMESTAMP ? 'unix-timestamp' : refuse(path, `has no value ${String(format)}`);
}

function decodeMatchers(
  messages: readonly route.HeaderMatcher[],
  path: Path,
  field: string,
): readonly HeaderMatcher[] | undefined {
  if (messages.length === 0) return undefined;
  return messages.map((message, index) => decodeHeaderMatcher(message, at(path, field, index)));
}

/** The effective policy of a route or virtual host: Envoy lets it also be given as an extension. */
export function decodeRetry(
  { retryPolicy, retryPolicyTypedConfig: any }: RetryFields,
  path: Path,
): RetryPolicy | undefined {
  if (retryPolicy !== undefined) return decodeRetryPolicy(retryPolicy, at(path, 'retry_policy'));
  if (any === undefined) return undefined;
  const typedPath = at(path, 'retry_policy_typed_config');
  const policy = decodeAny(route.RetryPolicySchema, any, typedPath);
  return policy === undefined
    ? refuse(typedPath, 'is no envoy.config.route.v3.RetryPolicy')
    : decodeRetryPolicy(policy, typedPath);
}

interface RetryFields {
  readonly retryPolicy?: route.RetryPolicy | undefined;
  readonly retryPolicyTypedConfig?: wkt.Any | undefined;
}

/** The retry policy as a message. */
export function encodeRetryPolicy(policy: RetryPolicy): route.RetryPolicy {
  const message = create(route.RetryPolicySchema, {
    retryOn: policy.retryOn.join(','),
    numRetries: policy.numRetries,
    retriableStatusCodes: [...policy.retriableStatusCodes],
    retriableHeaders: (policy.retriableHeaders ?? []).map(encodeHeaderMatcher),
    retriableRequestHeaders: (policy.retriableRequestHeaders ?? []).map(encodeHeaderMatcher),
    hostSelectionRetryMaxAttempts: BigInt(policy.hostSelectionAttempts),
    retryBackOff: {
      baseInterval: encodeDuration(policy.baseIntervalMs),
      maxInterval: encodeDuration(policy.maxIntervalMs),
    },
  });
  encodeHostRules(policy, message);
  if (policy.perTryTimeoutMs !== undefined) message.perTryTimeout = encodeDuration(policy.perTryTimeoutMs);
  if (policy.perTryIdleTimeoutMs !== undefined)
    message.perTryIdleTimeout = encodeDuration(policy.perTryIdleTimeoutMs);
  const { rateLimitedBackOff } = policy;
  if (rateLimitedBackOff !== undefined) {
    message.rateLimitedRetryBackOff = create(route.RetryPolicy_RateLimitedRetryBackOffSchema, {
      resetHeaders: rateLimitedBackOff.resetHeaders.map(({ name, format }) => ({
        name,
        format: route.RetryPolicy_ResetHeaderFormat[format === 'seconds' ? 'SECONDS' : 'UNIX_TIMESTAMP'],
      })),
      maxInterval: encodeDuration(rateLimitedBackOff.maxIntervalMs),
    });
  }
  return message;
}
