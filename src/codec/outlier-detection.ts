import { create } from '@bufbuild/protobuf';
import type {
  ConsecutiveDetector,
  FailurePercentageDetector,
  OutlierDetection,
  SuccessRateDetector,
} from '../model/cluster.js';
import { cluster } from '../proto/xds.js';
import { decodeOptionalDuration, decodePositiveDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';
import { decodeWholePercent } from './percent.js';

/** Envoy's defaults. */
const INTERVAL_MS = 10_000;
const BASE_EJECTION_MS = 30_000;
const MAX_EJECTION_MS = 300_000;
const MAX_EJECTION_PERCENT = 10;
const THRESHOLD = 5;
const MINIMUM_HOSTS = 5;

const detectionFields = onlyFields(() => cluster.OutlierDetectionSchema, {
  enforced: [
    'consecutive_5xx',
    'interval',
    'base_ejection_time',
    'max_ejection_percent',
    'enforcing_consecutive_5xx',
    'consecutive_gateway_failure',
    'enforcing_consecutive_gateway_failure',
    'split_external_local_origin_errors',
    'consecutive_local_origin_failure',
    'enforcing_consecutive_local_origin_failure',
    'max_ejection_time',
    'max_ejection_time_jitter',
    'always_eject_one_host',
    'success_rate_minimum_hosts',
    'success_rate_request_volume',
    'success_rate_stdev_factor',
    'enforcing_success_rate',
    'enforcing_local_origin_success_rate',
    'failure_percentage_threshold',
    'failure_percentage_minimum_hosts',
    'failure_percentage_request_volume',
    'enforcing_failure_percentage',
    'enforcing_failure_percentage_local_origin',
    'detect_degraded_hosts',
    'successful_active_health_check_uneject_host',
  ],
});

/** The detectors, and how long and how many hosts are ejected. */
export function decodeOutlierDetection(message: cluster.OutlierDetection, path: Path): OutlierDetection {
  detectionFields(message, path);
  const percent = (value: number | undefined, fallback: number, field: string): number =>
    decodeWholePercent(value, fallback, at(path, field));
  const consecutive5xx = percent(message.enforcingConsecutive5xx, 100, 'enforcing_consecutive_5xx');
  const gateway = percent(
    message.enforcingConsecutiveGatewayFailure,
    0,
    'enforcing_consecutive_gateway_failure',
  );
  const local = percent(
    message.enforcingConsecutiveLocalOriginFailure,
    100,
    'enforcing_consecutive_local_origin_failure',
  );
  return {
    intervalMs: decodePositiveDuration(message.interval, INTERVAL_MS, at(path, 'interval')),
    ...decodeEjectionTimes(message, path),
    maxEjectionPercent: percent(message.maxEjectionPercent, MAX_EJECTION_PERCENT, 'max_ejection_percent'),
    alwaysEjectOneHost: message.alwaysEjectOneHost ?? false,
    splitExternalLocalOriginErrors: message.splitExternalLocalOriginErrors,
    consecutive5xx: detector(message.consecutive5xx, consecutive5xx),
    consecutiveGatewayFailure: detector(message.consecutiveGatewayFailure, gateway),
    consecutiveLocalOriginFailure: detector(message.consecutiveLocalOriginFailure, local),
    successRate: decodeSuccessRate(message, path),
    failurePercentage: decodeFailurePercentage(message, path),
    detectDegradedHosts: message.detectDegradedHosts ?? false,
    passedCheckUnejects: message.successfulActiveHealthCheckUnejectHost === false ? false : undefined,
  };
}

function decodeSuccessRate(message: cluster.OutlierDetection, path: Path): SuccessRateDetector {
  return {
    minimumHosts: message.successRateMinimumHosts ?? MINIMUM_HOSTS,
    requestVolume: message.successRateRequestVolume ?? 100,
    stdevFactor: message.successRateStdevFactor ?? 1900,
    enforcingPercent: decodeWholePercent(
      message.enforcingSuccessRate,
      100,
      at(path, 'enforcing_success_rate'),
    ),
    enforcingLocalOriginPercent: decodeWholePercent(
      message.enforcingLocalOriginSuccessRate,
      100,
      at(path, 'enforcing_local_origin_success_rate'),
    ),
  };
}

function decodeFailurePercentage(message: cluster.OutlierDetection, path: Path): FailurePercentageDetector {
  return {
    threshold: decodeWholePercent(
      message.failurePercentageThreshold,
      85,
      at(path, 'failure_percentage_threshold'),
    ),
    minimumHosts: message.failurePercentageMinimumHosts ?? MINIMUM_HOSTS,
    requestVolume: message.failurePercentageRequestVolume ?? 50,
    enforcingPercent: decodeWholePercent(
      message.enforcingFailurePercentage,
      0,
      at(path, 'enforcing_failure_percentage'),
    ),
    enforcingLocalOriginPercent: decodeWholePercent(
      message.enforcingFailurePercentageLocalOrigin,
      0,
      at(path, 'enforcing_failure_percentage_local_origin'),
    ),
  };
}

function decodeEjectionTimes(
  message: cluster.OutlierDetection,
  path: Path,
): Pick<OutlierDetection, 'baseEjectionTimeMs' | 'maxEjectionTimeMs' | 'maxEjectionTimeJitterMs'> {
  const base = decodePositiveDuration(
    message.baseEjectionTime,
    BASE_EJECTION_MS,
    at(path, 'base_ejection_time'),
  );
  const maxPath = at(path, 'max_ejection_time');
  const max = decodePositiveDuration(message.maxEjectionTime, Math.max(MAX_EJECTION_MS, base), maxPath);
  if (max < base) refuse(maxPath, 'must not be less than base_ejection_time');
  const jitter = decodeOptionalDuration(message.maxEjectionTimeJitter, at(path, 'max_ejection_time_jitter'));
  return { baseEjectionTimeMs: base, maxEjectionTimeMs: max, maxEjectionTimeJitterMs: jitter ?? 0 };
}

function detector(threshold: number | undefined, enforcingPercent: number): ConsecutiveDetector {
  return { threshold: threshold ?? THRESHOLD, enforcingPercent };
}

/** Outlier detection as a message, written in full. */
export function encodeOutlierDetection(model: OutlierDetection): cluster.OutlierDetection {
  const { consecutive5xx, consecutiveGatewayFailure: gateway, consecutiveLocalOriginFailure: local } = model;
  const { successRate, failurePercentage } = model;
  return create(cluster.OutlierDetectionSchema, {
    interval: encodeDuration(model.intervalMs),
    baseEjectionTime: encodeDuration(model.baseEjectionTimeMs),
    maxEjectionTime: encodeDuration(model.maxEjectionTimeMs),
    maxEjectionTimeJitter: encodeDuration(model.maxEjectionTimeJitterMs),
    maxEjectionPercent: model.maxEjectionPercent,
    alwaysEjectOneHost: model.alwaysEjectOneHost,
    splitExternalLocalOriginErrors: model.splitExternalLocalOriginErrors,
    consecutive5xx: consecutive5xx.threshold,
    enforcingConsecutive5xx: consecutive5xx.enforcingPercent,
    consecutiveGatewayFailure: gateway.threshold,
    enforcingConsecutiveGatewayFailure: gateway.enforcingPercent,
    consecutiveLocalOriginFailure: local.threshold,
    enforcingConsecutiveLocalOriginFailure: local.enforcingPercent,
    successRateMinimumHosts: successRate.minimumHosts,
    successRateRequestVolume: successRate.requestVolume,
    successRateStdevFactor: successRate.stdevFactor,
    enforcingSuccessRate: successRate.enforcingPercent,
    enforcingLocalOriginSuccessRate: successRate.enforcingLocalOriginPercent,
    failurePercentageThreshold: failurePercentage.threshold,
    failurePercentageMinimumHosts: failurePercentage.minimumHosts,
    failurePercentageRequestVolume: failurePercentage.requestVolume,
    enforcingFailurePercentage: failurePercentage.enforcingPercent,
    enforcingFailurePercentageLocalOrigin: failurePercentage.enforcingLocalOriginPercent,
    detectDegradedHosts: model.detectDegradedHosts,
    successfulActiveHealthCheckUnejectHost: model.passedCheckUnejects ?? true,
  });
}
