import { create } from '@bufbuild/protobuf';
import type { FaultRuntimeKeys } from '../model/fault-runtime.js';
import type { FaultConfig } from '../model/filter-config.js';
import { commonFault, httpFault } from '../proto/xds.js';
import { decodeDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { decodeHeaderMatcher, encodeHeaderMatcher } from './matcher.js';
import { at, type Path, refuse } from './path.js';
import { decodeFraction, encodeFraction } from './percent.js';

const faultFields = onlyFields(() => httpFault.HTTPFaultSchema, {
  enforced: [
    'delay',
    'abort',
    'downstream_nodes',
    'upstream_cluster',
    'headers',
    'max_active_faults',
    'response_rate_limit',
    'delay_percent_runtime',
    'abort_percent_runtime',
    'delay_duration_runtime',
    'abort_http_status_runtime',
    'max_active_faults_runtime',
    'response_rate_limit_percent_runtime',
    'abort_grpc_status_runtime',
  ],
  ignored: [
    // Shapes Envoy's own statistics and the metadata in its access log.
    'disable_downstream_cluster_stats',
    'filter_metadata',
  ],
});

const delayFields = onlyFields(() => commonFault.FaultDelaySchema, {
  enforced: ['fixed_delay', 'header_delay', 'percentage'],
});

const abortFields = onlyFields(() => httpFault.FaultAbortSchema, {
  enforced: ['http_status', 'grpc_status', 'header_abort', 'percentage'],
});

const rateFields = onlyFields(() => commonFault.FaultRateLimitSchema, {
  enforced: ['fixed_limit', 'header_limit', 'percentage'],
});

/** The fault filter's configuration. */
export function decodeFault(message: httpFault.HTTPFault, path: Path): FaultConfig {
  faultFields(message, path);
  return {
    kind: 'fault',
    delay: message.delay && decodeDelay(message.delay, at(path, 'delay')),
    abort: message.abort && decodeAbort(message.abort, at(path, 'abort')),
    responseRate:
      message.responseRateLimit && decodeRate(message.responseRateLimit, at(path, 'response_rate_limit')),
    downstreamNodes: message.downstreamNodes.length === 0 ? undefined : message.downstreamNodes,
    upstreamCluster: message.upstreamCluster,
    headers: message.headers.map((header, index) => decodeHeaderMatcher(header, at(path, 'headers', index))),
    maxActiveFaults: message.maxActiveFaults,
    runtimeKeys: decodeKeys(message),
  };
}

/** The field of each runtime key. */
const KEY_FIELDS = {
  delayPercent: 'delayPercentRuntime',
  delayMs: 'delayDurationRuntime',
  abortPercent: 'abortPercentRuntime',
  httpStatus: 'abortHttpStatusRuntime',
  grpcStatus: 'abortGrpcStatusRuntime',
  maxActiveFaults: 'maxActiveFaultsRuntime',
  ratePercent: 'responseRateLimitPercentRuntime',
} as const satisfies Record<keyof FaultRuntimeKeys, keyof httpFault.HTTPFault>;

function decodeKeys(message: httpFault.HTTPFault): FaultConfig['runtimeKeys'] {
  const given = Object.entries(KEY_FIELDS).flatMap(([key, field]) =>
    message[field] === '' ? [] : [[key, message[field]] as const],
  );
  return given.length === 0 ? undefined : Object.fromEntries(given);
}

function encodeKeys(keys: NonNullable<FaultConfig['runtimeKeys']>, message: httpFault.HTTPFault): void {
  for (const [key, name] of Object.entries(keys)) {
    // The keys are those of the table.
    message[KEY_FIELDS[key as keyof FaultRuntimeKeys]] = name;
  }
}

function decodeDelay(delay: commonFault.FaultDelay, path: Path): FaultConfig['delay'] {
  delayFields(delay, path);
  const { faultDelaySecifier: specifier } = delay;
  const percentage = decodeFraction(delay.percentage, at(path, 'percentage'));
  if (specifier.case === 'headerDelay') return { fixedMs: undefined, percentage };
  if (specifier.case !== 'fixedDelay') return refuse(at(path, 'fixed_delay'), 'is required');
  const fixedMs = decodeDuration(specifier.value, at(path, 'fixed_delay'));
  if (fixedMs === 0) refuse(at(path, 'fixed_delay'), 'must be greater than 0');
  return { fixedMs, percentage };
}

function decodeRate(rate: commonFault.FaultRateLimit, path: Path): FaultConfig['responseRate'] {
  rateFields(rate, path);
  const { limitType } = rate;
  const percentage = decodeFraction(rate.percentage, at(path, 'percentage'));
  if (limitType.case === 'headerLimit') return { limitKbps: undefined, percentage };
  if (limitType.case !== 'fixedLimit') return refuse(at(path, 'fixed_limit'), 'is required');
  const limitKbps = Number(limitType.value.limitKbps);
  if (limitKbps < 1) refuse(at(at(path, 'fixed_limit'), 'limit_kbps'), 'must be at least 1');
  if (!Number.isSafeInteger(limitKbps * 1024))
    refuse(at(at(path, 'fixed_limit'), 'limit_kbps'), 'is more than can be counted');
  return { limitKbps, percentage };
}

function decodeAbort(abort: httpFault.FaultAbort, path: Path): FaultConfig['abort'] {
  abortFields(abort, path);
  const { errorType } = abort;
  const percentage = decodeFraction(abort.percentage, at(path, 'percentage'));
  if (errorType.case === 'grpcStatus') return { status: { kind: 'grpc', code: errorType.value }, percentage };
  if (errorType.case === 'headerAbort') return { status: { kind: 'header' }, percentage };
  if (errorType.case !== 'httpStatus') return refuse(at(path, 'http_status'), 'is required');
  const code = errorType.value;
  if (code < 200 || code > 599) refuse(at(path, 'http_status'), 'must be between 200 and 599');
  return { status: { kind: 'http', code }, percentage };
}

/** The fault filter's configuration as a message. */
export function encodeFault({
  delay,
  abort,
  upstreamCluster,
  headers,
  maxActiveFaults,
  downstreamNodes = [],
  responseRate,
  runtimeKeys = {},
}: FaultConfig): httpFault.HTTPFault {
  const message = create(httpFault.HTTPFaultSchema, {
    upstreamCluster,
    downstreamNodes: [...downstreamNodes],
    headers: headers.map(encodeHeaderMatcher),
  });
  encodeKeys(runtimeKeys, message);
  if (maxActiveFaults !== undefined) message.maxActiveFaults = maxActiveFaults;
  if (delay !== undefined) {
    message.delay = create(commonFault.FaultDelaySchema, {
      faultDelaySecifier:
        delay.fixedMs === undefined
          ? { case: 'headerDelay', value: create(commonFault.FaultDelay_HeaderDelaySchema) }
          : { case: 'fixedDelay', value: encodeDuration(delay.fixedMs) },
      percentage: encodeFraction(delay.percentage),
    });
  }
  if (responseRate !== undefined) message.responseRateLimit = encodeRate(responseRate);
  if (abort !== undefined) {
    message.abort = create(httpFault.FaultAbortSchema, {
      errorType: encodeStatus(abort.status),
      percentage: encodeFraction(abort.percentage),
    });
  }
  return message;
}

function encodeRate({
  limitKbps,
  percentage,
}: NonNullable<FaultConfig['responseRate']>): commonFault.FaultRateLimit {
  return create(commonFault.FaultRateLimitSchema, {
    limitType:
      limitKbps === undefined
        ? { case: 'headerLimit', value: create(commonFault.FaultRateLimit_HeaderLimitSchema) }
        : {
            case: 'fixedLimit',
            value: create(commonFault.FaultRateLimit_FixedLimitSchema, { limitKbps: BigInt(limitKbps) }),
          },
    percentage: encodeFraction(percentage),
  });
}

function encodeStatus(
  status: NonNullable<FaultConfig['abort']>['status'],
): httpFault.FaultAbort['errorType'] {
  if (status.kind === 'header') {
    return { case: 'headerAbort', value: create(httpFault.FaultAbort_HeaderAbortSchema) };
  }
  return { case: status.kind === 'http' ? 'httpStatus' : 'grpcStatus', value: status.code };
}
