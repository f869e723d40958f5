import { create } from '@bufbuild/protobuf';
import type { HealthCheck } from '../model/health-check.js';
import { core, type wkt } from '../proto/xds.js';
import {
  decodeDuration,
  decodeOptionalDuration,
  decodePositiveDuration,
  encodeDuration,
} from './duration.js';
import { onlyFields } from './field-guard.js';
import { decodeChecker, encodeChecker } from './health-checkers.js';
import { decodeLabels } from './labels.js';
import { at, type Path, refuse, required } from './path.js';

/** Envoy: how long a cluster without traffic is left alone. */
const NO_TRAFFIC_MS = 60_000;

const checkFields = onlyFields(() => core.HealthCheckSchema, {
  enforced: [
    'timeout',
    'interval',
    'initial_jitter',
    'interval_jitter',
    'interval_jitter_percent',
    'unhealthy_threshold',
    'healthy_threshold',
    'reuse_connection',
    'http_health_check',
    'tcp_health_check',
    'grpc_health_check',
    'no_traffic_interval',
    'no_traffic_healthy_interval',
    'unhealthy_interval',
    'unhealthy_edge_interval',
    'healthy_edge_interval',
    'always_log_health_check_failures',
    'always_log_health_check_success',
    'tls_options',
    'transport_socket_match_criteria',
  ],
  ignored: [
    // Where Envoy writes its log of health events; here they go to `node:diagnostics_channel` and observers.
    'event_log_path',
    'event_logger',
  ],
});

const tlsFields = onlyFields(() => core.HealthCheck_TlsOptionsSchema, { enforced: ['alpn_protocols'] });

/** The cluster's health check; undefined when it has none. Envoy: there is at most one. */
export function decodeHealthChecks(
  checks: readonly core.HealthCheck[],
  speaksHttp2: boolean,
  path: Path,
): HealthCheck | undefined {
  const [first, second] = checks;
  // Envoy: gRPC is spoken over HTTP/2 alone.
  if (first?.healthChecker.case === 'grpcHealthCheck' && !speaksHttp2) {
    refuse(at(at(path, 'health_checks', 0), 'grpc_health_check'), 'needs a cluster that speaks HTTP/2');
  }
  if (second !== undefined) refuse(at(path, 'health_checks', 1), 'only one health check is supported');
  return first && decodeHealthCheck(first, at(path, 'health_checks', 0));
}

function decodeHealthCheck(message: core.HealthCheck, path: Path): HealthCheck {
  checkFields(message, path);
  const interval = (value: wkt.Duration | undefined, fallbackMs: number, field: string): number =>
    decodePositiveDuration(value, fallbackMs, at(path, field));
  const intervalMs = atLeastOne(message.interval, at(path, 'interval'));
  const noTrafficIntervalMs = interval(message.noTrafficInterval, NO_TRAFFIC_MS, 'no_traffic_interval');
  const unhealthyIntervalMs = interval(message.unhealthyInterval, intervalMs, 'unhealthy_interval');
  const { noTrafficHealthyInterval, unhealthyEdgeInterval, healthyEdgeInterval } = message;
  return {
    timeoutMs: atLeastOne(message.timeout, at(path, 'timeout')),
    intervalMs,
    initialJitterMs: decodeOptionalDuration(message.initialJitter, at(path, 'initial_jitter')) ?? 0,
    intervalJitterMs: decodeOptionalDuration(message.intervalJitter, at(path, 'interval_jitter')) ?? 0,
    intervalJitterPercent: message.intervalJitterPercent,
    unhealthyThreshold: required(message.unhealthyThreshold, at(path, 'unhealthy_threshold')),
    healthyThreshold: required(message.healthyThreshold, at(path, 'healthy_threshold')),
    noTrafficIntervalMs,
    noTrafficHealthyIntervalMs: interval(
      noTrafficHealthyInterval,
      noTrafficIntervalMs,
      'no_traffic_healthy_interval',
    ),
    unhealthyIntervalMs,
    unhealthyEdgeIntervalMs: interval(unhealthyEdgeInterval, unhealthyIntervalMs, 'unhealthy_edge_interval'),
    healthyEdgeIntervalMs: interval(healthyEdgeInterval, intervalMs, 'healthy_edge_interval'),
    reuseConnection: message.reuseConnection ?? true,
    alwaysLogFailures: message.alwaysLogHealthCheckFailures,
    alwaysLogSuccess: message.alwaysLogHealthCheckSuccess,
    alpn: decodeAlpn(message.tlsOptions, at(path, 'tls_options')),
    transportSocketMatch:
      message.transportSocketMatchCriteria &&
      decodeLabels(message.transportSocketMatchCriteria, path, 'transport_socket_match_criteria'),
    checker: decodeChecker(message.healthChecker, path),
  };
}

function atLeastOne(duration: wkt.Duration | undefined, path: Path): number {
  const ms = decodeDuration(required(duration, path), path);
  return ms > 0 ? ms : refuse(path, 'must be greater than 0');
}

function decodeAlpn(options: core.HealthCheck_TlsOptions | undefined, path: Path): readonly string[] {
  if (options === undefined) return [];
  tlsFields(options, path);
  return options.alpnProtocols;
}

/** The cluster's health check as a message, written in full. */
export function encodeHealthChecks(model: HealthCheck | undefined): core.HealthCheck[] {
  if (model === undefined) return [];
  const message = create(core.HealthCheckSchema, {
    timeout: encodeDuration(model.timeoutMs),
    interval: encodeDuration(model.intervalMs),
    initialJitter: encodeDuration(model.initialJitterMs),
    intervalJitter: encodeDuration(model.intervalJitterMs),
    intervalJitterPercent: model.intervalJitterPercent,
    unhealthyThreshold: model.unhealthyThreshold,
    healthyThreshold: model.healthyThreshold,
    noTrafficInterval: encodeDuration(model.noTrafficIntervalMs),
    noTrafficHealthyInterval: encodeDuration(model.noTrafficHealthyIntervalMs),
    unhealthyInterval: encodeDuration(model.unhealthyIntervalMs),
    unhealthyEdgeInterval: encodeDuration(model.unhealthyEdgeIntervalMs),
    healthyEdgeInterval: encodeDuration(model.healthyEdgeIntervalMs),
    reuseConnection: model.reuseConnection,
    alwaysLogHealthCheckFailures: model.alwaysLogFailures,
    alwaysLogHealthCheckSuccess: model.alwaysLogSuccess,
    healthChecker: encodeChecker(model.checker),
  });
  if (model.alpn.length > 0) {
    message.tlsOptions = create(core.HealthCheck_TlsOptionsSchema, { alpnProtocols: [...model.alpn] });
  }
  if (model.transportSocketMatch !== undefined) {
    message.transportSocketMatchCriteria = { ...model.transportSocketMatch };
  }
  return [message];
}
