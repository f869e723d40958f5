import { create } from '@bufbuild/protobuf';
import type { ClientSideWrrPolicy } from '../model/lb-policy.js';
import { lbClientSideWeightedRoundRobin as wrr } from '../proto/xds.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';
import { decodeSlowStart, encodeSlowStart } from './slow-start.js';

/** Envoy's and gRPC's defaults. */
const DEFAULTS = { oobPeriodMs: 10_000, blackoutMs: 10_000, expirationMs: 180_000, updateMs: 1000 };
const LEAST_UPDATE_MS = 100;

const wrrFields = onlyFields(() => wrr.ClientSideWeightedRoundRobinSchema, {
  enforced: [
    'enable_oob_load_report',
    'oob_reporting_period',
    'blackout_period',
    'weight_expiration_period',
    'weight_update_period',
    'error_utilization_penalty',
    'metric_names_for_computing_utilization',
    'slow_start_config',
  ],
});

/** Envoy client_side_weighted_round_robin. */
export function decodeClientSideWrr(
  message: wrr.ClientSideWeightedRoundRobin,
  path: Path,
): ClientSideWrrPolicy {
  wrrFields(message, path);
  const duration = (field: string, value: Parameters<typeof decodeOptionalDuration>[0]) =>
    decodeOptionalDuration(value, at(path, field));
  const errorPenalty = message.errorUtilizationPenalty ?? 1;
  // Written so that NaN is refused too.
  if (!(errorPenalty >= 0)) refuse(at(path, 'error_utilization_penalty'), 'must not be negative');
  const oobPeriodMs = duration('oob_reporting_period', message.oobReportingPeriod);
  const updateMs = duration('weight_update_period', message.weightUpdatePeriod) ?? DEFAULTS.updateMs;
  return {
    kind: 'client-side-wrr',
    oobPeriodMs: message.enableOobLoadReport === true ? (oobPeriodMs ?? DEFAULTS.oobPeriodMs) : undefined,
    blackoutMs: duration('blackout_period', message.blackoutPeriod) ?? DEFAULTS.blackoutMs,
    expirationMs:
      duration('weight_expiration_period', message.weightExpirationPeriod) ?? DEFAULTS.expirationMs,
    updateMs: Math.max(LEAST_UPDATE_MS, updateMs),
    errorPenalty,
    metricNames: message.metricNamesForComputingUtilization,
    slowStart: decodeSlowStart(message.slowStartConfig, path),
  };
}

/** The policy as a message. */
export function encodeClientSideWrr(policy: ClientSideWrrPolicy): wrr.ClientSideWeightedRoundRobin {
  return create(wrr.ClientSideWeightedRoundRobinSchema, {
    ...(policy.oobPeriodMs !== undefined && {
      enableOobLoadReport: true,
      oobReportingPeriod: encodeDuration(policy.oobPeriodMs),
    }),
    blackoutPeriod: encodeDuration(policy.blackoutMs),
    weightExpirationPeriod: encodeDuration(policy.expirationMs),
    weightUpdatePeriod: encodeDuration(policy.updateMs),
    errorUtilizationPenalty: policy.errorPenalty,
    metricNamesForComputingUtilization: [...policy.metricNames],
    ...encodeSlowStart(policy.slowStart),
  });
}
