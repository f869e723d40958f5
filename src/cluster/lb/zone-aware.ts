import { DEFAULT_ZONE_AWARE, type ZoneAware } from '../../model/lb-policy.js';
import { type Random, randomInt } from '../../runtime/random.js';
import type { HostSet } from '../host-set.js';
import { isInPanic } from '../priority.js';
import type { LocalZone } from '../zone.js';
import type { LbCounts } from './lb-counts.js';
import type { ListPicker, ListPolicy } from './load-balancer.js';
import { chooseZone, planZones, type ZonePlan } from './zone-plan.js';

export interface ZoneAwareOptions {
  readonly list: ListPolicy;
  /** Names the lists. */
  readonly source: string;
  readonly zone: LocalZone;
  /** Undefined: Envoy's defaults. */
  readonly config: ZoneAware | undefined;
  readonly random: Random;
  readonly panicThresholdPercent: number;
  readonly counts: LbCounts;
}

/** Keeps requests in the own zone as far as that has the capacity. */
export function zoneAware(
  set: HostSet,
  kind: 'healthy' | 'degraded',
  {
    list,
    source,
    zone,
    config = DEFAULT_ZONE_AWARE,
    random,
    panicThresholdPercent,
    counts,
  }: ZoneAwareOptions,
): ListPicker {
  const whole = list(set[kind], source);
  const routed = Math.round(config.routingEnabledPercent);
  let version = -1;
  let plan: ZonePlan | undefined;
  let localInPanic = false;
  let parts: readonly ListPicker[] = [];
  const refresh = () => {
    version = zone.version;
    plan = planZones(set, zone.set, zone.own, config, counts);
    localInPanic = zone.set !== undefined && isInPanic(zone.set, panicThresholdPercent);
    parts = plan?.order.map((one, i) => list(one[kind], `${source}:zone${i}`)) ?? [];
  };
  return () => {
    if (version !== zone.version) refresh();
    if (plan === undefined) return whole();
    if (routed < 100 && randomInt(random, 100) >= routed) return whole();
    if (localInPanic) {
      counts.localClusterNotOk++;
      return config.failTrafficOnPanic ? undefined : whole();
    }
    return parts[chooseZone(plan, random, counts)]?.();
  };
}
