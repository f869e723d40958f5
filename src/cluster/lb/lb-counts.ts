/** Envoy's counters of load balancing in one cluster, by its names without `lb_`. */
export interface LbCounts {
  /** Picks from all hosts of a priority, whatever their health. */
  healthyPanic: number;
  /** Zone-aware picks that found the local cluster in panic. */
  localClusterNotOk: number;
  /** How often the plan of zones was made anew, and how often the upstream had too few hosts for it. */
  recalculateZoneStructures: number;
  zoneClusterTooSmall: number;
  /** Picks in the own zone: because it takes everything, and because its share was drawn. */
  zoneRoutingAllDirectly: number;
  zoneRoutingSampled: number;
  /** Picks in other zones, and those of them for which no zone had capacity left. */
  zoneRoutingCrossZone: number;
  zoneNoCapacityLeft: number;
}

export function createLbCounts(): LbCounts {
  return {
    healthyPanic: 0,
    localClusterNotOk: 0,
    recalculateZoneStructures: 0,
    zoneClusterTooSmall: 0,
    zoneRoutingAllDirectly: 0,
    zoneRoutingSampled: 0,
    zoneRoutingCrossZone: 0,
    zoneNoCapacityLeft: 0,
  };
}
