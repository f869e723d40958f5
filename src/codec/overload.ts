import { create } from '@bufbuild/protobuf';
import type { AdaptiveConcurrencyConfig, AdmissionControlConfig, StatusSpan } from '../model/overload.js';
import { core, httpAdaptiveConcurrency, httpAdmissionControl, type type } from '../proto/xds.js';
import { decodeDuration, decodePositiveDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';
import { decodePercent } from './percent.js';
import { keysOf, wireKey } from './runtime-keys.js';

const adaptiveFields = onlyFields(() => httpAdaptiveConcurrency.AdaptiveConcurrencySchema, {
  enforced: ['gradient_controller_config', 'enabled', 'concurrency_limit_exceeded_status'],
});
const gradientFields = onlyFields(() => httpAdaptiveConcurrency.GradientControllerConfigSchema, {
  enforced: ['sample_aggregate_percentile', 'concurrency_limit_params', 'min_rtt_calc_params'],
});
const limitFields = onlyFields(
  () => httpAdaptiveConcurrency.GradientControllerConfig_ConcurrencyLimitCalculationParamsSchema,
  { enforced: ['max_concurrency_limit', 'concurrency_update_interval'] },
);
const rttFields = onlyFields(
  () => httpAdaptiveConcurrency.GradientControllerConfig_MinimumRTTCalculationParamsSchema,
  { enforced: ['interval', 'request_count', 'jitter', 'min_concurrency', 'buffer'] },
);
const RUNTIME = { enforced: ['default_value', 'runtime_key'] };
const flagFields = onlyFields(() => core.RuntimeFeatureFlagSchema, RUNTIME);
const doubleFields = onlyFields(() => core.RuntimeDoubleSchema, RUNTIME);
const percentFields = onlyFields(() => core.RuntimePercentSchema, RUNTIME);
const numberFields = onlyFields(() => core.RuntimeUInt32Schema, RUNTIME);

/** Adaptive concurrency. */
export function decodeAdaptiveConcurrency(
  message: httpAdaptiveConcurrency.AdaptiveConcurrency,
  path: Path,
): AdaptiveConcurrencyConfig {
  adaptiveFields(message, path);
  const { concurrencyControllerConfig: controller } = message;
  const gradientPath = at(path, 'gradient_controller_config');
  if (controller.case === undefined) return refuse(gradientPath, 'is required');
  return {
    kind: 'adaptive-concurrency',
    enabled: decodeFlag(message.enabled, at(path, 'enabled')),
    refusedStatus: refusedStatus(message.concurrencyLimitExceededStatus),
    ...decodeGradient(controller.value, gradientPath),
    ...keysOf({ enabled: message.enabled }),
  };
}

type Gradient = Omit<AdaptiveConcurrencyConfig, 'kind' | 'enabled' | 'refusedStatus' | 'runtimeKeys'>;

function decodeGradient(message: httpAdaptiveConcurrency.GradientControllerConfig, path: Path): Gradient {
  gradientFields(message, path);
  const limitPath = at(path, 'concurrency_limit_params');
  const rttPath = at(path, 'min_rtt_calc_params');
  const limit = required(message.concurrencyLimitParams, limitPath);
  const rtt = required(message.minRttCalcParams, rttPath);
  limitFields(limit, limitPath);
  rttFields(rtt, rttPath);
  const updatePath = at(limitPath, 'concurrency_update_interval');
  const intervalPath = at(rttPath, 'interval');
  const intervalMs = decodeDuration(required(rtt.interval, intervalPath), intervalPath);
  if (intervalMs < 1) refuse(intervalPath, 'must be at least a millisecond');
  return {
    percentile: decodePercent(message.sampleAggregatePercentile, 50, at(path, 'sample_aggregate_percentile')),
    maxLimit: positive(limit.maxConcurrencyLimit, 1000, at(limitPath, 'max_concurrency_limit')),
    updateIntervalMs: decodePositiveDuration(
      required(limit.concurrencyUpdateInterval, updatePath),
      0,
      updatePath,
    ),
    minRttIntervalMs: intervalMs,
    minRttRequests: positive(rtt.requestCount, 50, at(rttPath, 'request_count')),
    jitterPercent: decodePercent(rtt.jitter, 15, at(rttPath, 'jitter')),
    minConcurrency: positive(rtt.minConcurrency, 3, at(rttPath, 'min_concurrency')),
    bufferPercent: decodePercent(rtt.buffer, 25, at(rttPath, 'buffer')),
  };
}

/** Envoy: what is no error status becomes 503. */
function refusedStatus(status: type.HttpStatus | undefined): number {
  const code: number = status?.code ?? 0;
  return code >= 400 ? code : 503;
}

function positive(value: number | undefined, byDefault: number, path: Path): number {
  return value === 0 ? refuse(path, 'must be greater than 0') : (value ?? byDefault);
}

function decodeFlag(flag: core.RuntimeFeatureFlag | undefined, path: Path): boolean {
  if (flag === undefined) return true;
  flagFields(flag, path);
  return flag.defaultValue ?? true;
}

/** Adaptive concurrency as a message, written in full. */
export function encodeAdaptiveConcurrency(
  config: AdaptiveConcurrencyConfig,
): httpAdaptiveConcurrency.AdaptiveConcurrency {
  return create(httpAdaptiveConcurrency.AdaptiveConcurrencySchema, {
    enabled: { defaultValue: config.enabled, runtimeKey: wireKey(config.runtimeKeys, 'enabled') },
    // The model's numbers are those of the enumeration.
    concurrencyLimitExceededStatus: { code: config.refusedStatus as type.StatusCode },
    concurrencyControllerConfig: {
      case: 'gradientControllerConfig',
      value: {
        sampleAggregatePercentile: { value: config.percentile },
        concurrencyLimitParams: {
          maxConcurrencyLimit: config.maxLimit,
          concurrencyUpdateInterval: encodeDuration(config.updateIntervalMs),
        },
        minRttCalcParams: {
          interval: encodeDuration(config.minRttIntervalMs),
          requestCount: config.minRttRequests,
          jitter: { value: config.jitterPercent },
          minConcurrency: config.minConcurrency,
          buffer: { value: config.bufferPercent },
        },
      },
    },
  });
}

const admissionFields = onlyFields(() => httpAdmissionControl.AdmissionControlSchema, {
  enforced: [
    'enabled',
    'success_criteria',
    'sampling_window',
    'aggression',
    'sr_threshold',
    'rps_threshold',
    'max_rejection_probability',
  ],
});

/** Envoy: what fewer requests would not make better counts as success. */
const GRPC_SUCCESS = [0, 1, 2, 3, 5, 6, 7, 9, 11, 12, 16];
const HTTP_SUCCESS: readonly StatusSpan[] = [{ start: 0, end: 500 }];

/** Admission control. */
export function decodeAdmissionControl(
  message: httpAdmissionControl.AdmissionControl,
  path: Path,
): AdmissionControlConfig {
  admissionFields(message, path);
  const criteriaPath = at(path, 'success_criteria');
  if (message.evaluationCriteria.case === undefined) return refuse(criteriaPath, 'is required');
  const { httpCriteria, grpcCriteria } = message.evaluationCriteria.value;
  const { aggression, rpsThreshold } = message;
  if (aggression !== undefined) doubleFields(aggression, at(path, 'aggression'));
  if (rpsThreshold !== undefined) numberFields(rpsThreshold, at(path, 'rps_threshold'));
  const successThresholdPercent = decodeRuntimePercent(message.srThreshold, 95, at(path, 'sr_threshold'));
  if (successThresholdPercent < 1) refuse(at(path, 'sr_threshold'), 'must be at least 1 %');
  return {
    kind: 'admission-control',
    enabled: decodeFlag(message.enabled, at(path, 'enabled')),
    httpSuccess:
      httpCriteria === undefined
        ? HTTP_SUCCESS
        : decodeSpans(httpCriteria.httpSuccessStatus, at(criteriaPath, 'http_criteria')),
    grpcSuccess:
      grpcCriteria === undefined
        ? GRPC_SUCCESS
        : decodeStatuses(grpcCriteria.grpcSuccessStatus, at(criteriaPath, 'grpc_criteria')),
    windowMs: decodeWindow(message.samplingWindow, at(path, 'sampling_window')),
    aggression: Math.max(1, aggression?.defaultValue ?? 1),
    successThresholdPercent,
    rpsThreshold: rpsThreshold?.defaultValue ?? 0,
    maxRejectionPercent: decodeRuntimePercent(
      message.maxRejectionProbability,
      80,
      at(path, 'max_rejection_probability'),
    ),
    ...keysOf({
      enabled: message.enabled,
      aggression,
      successThresholdPercent: message.srThreshold,
      rpsThreshold,
      maxRejectionPercent: message.maxRejectionProbability,
    }),
  };
}

/** Envoy: whole seconds, 30 by default. */
function decodeWindow(window: httpAdmissionControl.AdmissionControl['samplingWindow'], path: Path): number {
  if (window === undefined) return 30_000;
  return Math.floor(decodeDuration(window, path) / 1000) * 1000;
}

function decodeRuntimePercent(
  percent: core.RuntimePercent | undefined,
  byDefault: number,
  path: Path,
): number {
  if (percent === undefined) return byDefault;
  percentFields(percent, path);
  return decodePercent(percent.defaultValue, byDefault, at(path, 'default_value'));
}

function decodeSpans(ranges: readonly type.Int32Range[], path: Path): readonly StatusSpan[] {
  if (ranges.length === 0) refuse(at(path, 'http_success_status'), 'must not be empty');
  return ranges.map(({ start, end }, index) => {
    // Envoy: within [100, 600], and not empty.
    if (start < 100 || end > 600 || start > end) {
      refuse(at(path, 'http_success_status', index), `[${start}, ${end}) is no range of HTTP status`);
    }
    return { start, end };
  });
}

function decodeStatuses(statuses: readonly number[], path: Path): readonly number[] {
  if (statuses.length === 0) refuse(at(path, 'grpc_success_status'), 'must not be empty');
  statuses.forEach((status, index) => {
    if (status > 16) refuse(at(path, 'grpc_success_status', index), 'must be at most 16');
  });
  return statuses;
}

/** Admission control as a message, written in full. */
export function encodeAdmissionControl(
  config: AdmissionControlConfig,
): httpAdmissionControl.AdmissionControl {
  // The default has no form of its own: its range begins below what may be written.
  const isDefault = config.httpSuccess.some(({ start }) => start < 100);
  const { runtimeKeys: keys } = config;
  return create(httpAdmissionControl.AdmissionControlSchema, {
    enabled: { defaultValue: config.enabled, runtimeKey: wireKey(keys, 'enabled') },
    evaluationCriteria: {
      case: 'successCriteria',
      value: {
        ...(isDefault ? {} : { httpCriteria: { httpSuccessStatus: [...config.httpSuccess] } }),
        grpcCriteria: { grpcSuccessStatus: [...config.grpcSuccess] },
      },
    },
    samplingWindow: encodeDuration(config.windowMs),
    aggression: { defaultValue: config.aggression, runtimeKey: wireKey(keys, 'aggression') },
    srThreshold: {
      defaultValue: { value: config.successThresholdPercent },
      runtimeKey: wireKey(keys, 'successThresholdPercent'),
    },
    rpsThreshold: { defaultValue: config.rpsThreshold, runtimeKey: wireKey(keys, 'rpsThreshold') },
    maxRejectionProbability: {
      defaultValue: { value: config.maxRejectionPercent },
      runtimeKey: wireKey(keys, 'maxRejectionPercent'),
    },
  });
}
