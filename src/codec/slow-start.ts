import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { SlowStart } from '../model/lb-policy.js';
import { type cluster, lbCommon } from '../proto/xds.js';
import { decodeOptionalDuration, encodeDuration } from './duration.js';
import { at, type Path } from './path.js';
import { decodePercent } from './percent.js';

/** Envoy's defaults. */
const DEFAULT_AGGRESSION = 1;
const DEFAULT_MIN_WEIGHT_PERCENT = 10;

type SlowStartMessage = lbCommon.SlowStartConfig | cluster.Cluster_SlowStartConfig;

/** The slow start of new hosts; undefined when there is none. Both forms of the message have the same fields. */
export function decodeSlowStart(message: SlowStartMessage | undefined, path: Path): SlowStart | undefined {
  if (message === undefined) return undefined;
  const configPath = at(path, 'slow_start_config');
  const windowMs = decodeOptionalDuration(message.slowStartWindow, at(configPath, 'slow_start_window'));
  const minWeightPercent = decodePercent(
    message.minWeightPercent,
    DEFAULT_MIN_WEIGHT_PERCENT,
    at(configPath, 'min_weight_percent'),
  );
  if (windowMs === undefined || windowMs === 0) return undefined;
  const aggression = message.aggression?.defaultValue ?? DEFAULT_AGGRESSION;
  // Envoy: what is not above 0 counts as the default.
  return { windowMs, aggression: aggression > 0 ? aggression : DEFAULT_AGGRESSION, minWeightPercent };
}

/** The same as a field of a policy's message. */
export function encodeSlowStart(slowStart: SlowStart | undefined): {
  slowStartConfig?: MessageInitShape<typeof lbCommon.SlowStartConfigSchema>;
} {
  if (slowStart === undefined) return {};
  const { windowMs, aggression, minWeightPercent } = slowStart;
  return {
    slowStartConfig: create(lbCommon.SlowStartConfigSchema, {
      slowStartWindow: encodeDuration(windowMs),
      // PGV demands a runtime key.
      aggression: { defaultValue: aggression, runtimeKey: 'upstream.slow_start.aggression' },
      minWeightPercent: { value: minWeightPercent },
    }),
  };
}
