import { create } from '@bufbuild/protobuf';
import { RETRY_CONDITIONS, type RetryCondition, type RetryPolicy } from '../model/retry.js';
import { packAny } from '../proto/any.js';
import { retryPreviousHosts, route } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { decodeOptionalDuration, decodePositiveDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';

const PREVIOUS_HOSTS = 'envoy.retry_host_predicates.previous_hosts';

/** Envoy: retries wait 25 ms at first, at most 10 x the base, and no base is below 1 ms. */
const DEFAULT_BASE_MS = 25;
const MAX_TO_BASE = 10;
const MIN_BASE_MS = 1;

const policyFields = onlyFields(() => route.RetryPolicySchema, {
  enforced: [
    'retry_on',
    'num_retries',
    'per_try_timeout',
    'retry_host_predicate',
    'host_selection_retry_max_attempts',
    'retriable_status_codes',
    'retry_back_off',
  ],
});

const predicateFields = onlyFields(() => route.RetryPolicy_RetryHostPredicateSchema, {
  enforced: ['name', 'typed_config'],
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
    avoidPreviousHosts: decodePredicates(message.retryHostPredicate, path),
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

function decodePredicates(predicates: readonly route.RetryPolicy_RetryHostPredicate[], path: Path): boolean {
  predicates.forEach((predicate, index) => {
    checkPredicate(predicate, at(path, 'retry_host_predicate', index));
  });
  return predicates.length > 0;
}

function checkPredicate(predicate: route.RetryPolicy_RetryHostPredicate, path: Path): void {
  predicateFields(predicate, path);
  const { name, configType } = predicate;
  // Envoy: the type of the configuration decides; without one, the name does.
  const isKnown =
    configType.case === undefined
      ? name === PREVIOUS_HOSTS
      : decodeAny(retryPreviousHosts.PreviousHostsPredicateSchema, configType.value, path) !== undefined;
  if (!isKnown) refuse(path, `the predicate ${JSON.stringify(name)} is not supported`);
}

/** The retry policy as a message. */
export function encodeRetryPolicy(policy: RetryPolicy): route.RetryPolicy {
  const message = create(route.RetryPolicySchema, {
    retryOn: policy.retryOn.join(','),
    numRetries: policy.numRetries,
    retriableStatusCodes: [...policy.retriableStatusCodes],
    hostSelectionRetryMaxAttempts: BigInt(policy.hostSelectionAttempts),
    retryBackOff: {
      baseInterval: encodeDuration(policy.baseIntervalMs),
      maxInterval: encodeDuration(policy.maxIntervalMs),
    },
  });
  if (policy.perTryTimeoutMs !== undefined) message.perTryTimeout = encodeDuration(policy.perTryTimeoutMs);
  if (policy.avoidPreviousHosts) message.retryHostPredicate = [previousHosts()];
  return message;
}

function previousHosts(): route.RetryPolicy_RetryHostPredicate {
  const schema = retryPreviousHosts.PreviousHostsPredicateSchema;
  return create(route.RetryPolicy_RetryHostPredicateSchema, {
    name: PREVIOUS_HOSTS,
    configType: { case: 'typedConfig', value: packAny(schema, create(schema)) },
  });
}
