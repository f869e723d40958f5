import type { HostSet, LocalityHosts } from '../host-set.js';
import { EdfSchedule } from './edf.js';

/** Envoy: the schedule over localities by weight; undefined when none of them has weight and usable hosts. */
export function localitySchedule(
  set: HostSet,
  kind: 'healthy' | 'degraded',
  prepicks: number,
): EdfSchedule<LocalityHosts> | undefined {
  const weights = new Map<LocalityHosts, number>();
  for (const locality of set.localities) {
    const weight = effectiveWeight(locality, kind, set.overprovisioningFactor);
    if (weight > 0) weights.set(locality, weight);
  }
  if (weights.size === 0) return undefined;
  return new EdfSchedule([...weights.keys()], (locality) => weights.get(locality) ?? 1, prepicks);
}

/** Envoy: a locality's weight shrinks with its usable hosts once overprovisioning does not cover the loss. */
function effectiveWeight(
  { weight, hosts, excluded, ...eligible }: LocalityHosts,
  kind: 'healthy' | 'degraded',
  overprovisioningFactor: number,
): number {
  const counted = hosts.length - excluded;
  if (counted <= 0 || eligible[kind].length === 0) return 0;
  return weight * Math.min(1, ((overprovisioningFactor / 100) * eligible[kind].length) / counted);
}
