import { create } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.js';
import { cluster, core } from '../proto/xds.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { HEALTH } from './lb-endpoint.js';
import { isPlain } from './lb-policy.js';
import { at, type Path, refuse } from './path.js';
import { decodePercent } from './percent.js';

/** Envoy's default. */
const DEFAULT_PANIC_PERCENT = 50;

const lbFields = onlyFields(() => cluster.Cluster_CommonLbConfigSchema, {
  enforced: [
    'healthy_panic_threshold',
    'ignore_new_hosts_until_first_hc',
    'close_connections_on_host_set_change',
    'update_merge_window',
    'override_host_status',
    // Of policies in the older fields; Envoy refuses them next to a list of extensions.
    'locality_weighted_lb_config',
    'zone_aware_lb_config',
    'consistent_hashing_lb_config',
  ],
});

/** What the load-balancing policies of a cluster have in common. */
export function decodeCommonLb(
  config: cluster.Cluster_CommonLbConfig | undefined,
  path: Path,
): Pick<
  Cluster,
  | 'panicThresholdPercent'
  | 'ignoreNewHostsUntilFirstCheck'
  | 'closeConnectionsOnHostSetChange'
  | 'updateMergeWindowMs'
  | 'overrideHostStatuses'
> {
  if (config === undefined) return { panicThresholdPercent: DEFAULT_PANIC_PERCENT };
  lbFields(config, path);
  const { healthyPanicThreshold } = config;
  const thresholdPath = at(path, 'healthy_panic_threshold');
  return {
    panicThresholdPercent: decodePercent(healthyPanicThreshold, DEFAULT_PANIC_PERCENT, thresholdPath),
    ignoreNewHostsUntilFirstCheck: config.ignoreNewHostsUntilFirstHc || undefined,
    closeConnectionsOnHostSetChange: config.closeConnectionsOnHostSetChange || undefined,
    updateMergeWindowMs:
      decodeOptionalDuration(config.updateMergeWindow, at(path, 'update_merge_window')) || undefined,
    overrideHostStatuses: config.overrideHostStatus?.statuses.map(
      (status, i) =>
        HEALTH[status] ??
        refuse(at(at(path, 'override_host_status'), 'statuses', i), `has no value ${String(status)}`),
    ),
  };
}

/** The common part as a message. */
export function encodeCommonLb(model: Cluster): cluster.Cluster_CommonLbConfig {
  const {
    panicThresholdPercent,
    lbPolicy,
    ignoreNewHostsUntilFirstCheck = false,
    closeConnectionsOnHostSetChange = false,
  } = model;
  const message = create(cluster.Cluster_CommonLbConfigSchema, {
    healthyPanicThreshold: { value: panicThresholdPercent },
    ignoreNewHostsUntilFirstHc: ignoreNewHostsUntilFirstCheck,
    closeConnectionsOnHostSetChange,
  });
  // Round robin goes in the older field (see lb-policy.ts), and so do its localities.
  if (isPlain(lbPolicy) && lbPolicy.locality?.kind === 'weighted') {
    message.localityConfigSpecifier = {
      case: 'localityWeightedLbConfig',
      value: create(cluster.Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema),
    };
  }
  if (model.updateMergeWindowMs !== undefined) {
    message.updateMergeWindow = encodeDuration(model.updateMergeWindowMs);
  }
  if (model.overrideHostStatuses !== undefined) {
    message.overrideHostStatus = create(core.HealthStatusSetSchema, {
      statuses: model.overrideHostStatuses.map((status) => HEALTH.indexOf(status)),
    });
  }
  return message;
}
