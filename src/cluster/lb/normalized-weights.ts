import type { Host } from '../host.js';
import type { HostSet } from '../host-set.js';

/** Hosts of one priority and their shares of it, which add up to 1. */
export interface NormalizedWeights {
  readonly hosts: readonly Host[];
  readonly weights: readonly number[];
  readonly min: number;
  readonly max: number;
}

/** Envoy: what a hash may choose from. In panic all hosts; localities count with the weights they were given. */
export function normalizedWeights(
  set: HostSet,
  inPanic: boolean,
  localityWeighted: boolean,
): NormalizedWeights {
  // Envoy leaves degraded hosts out altogether; when nobody else is left here, they serve.
  const kind = inPanic ? 'hosts' : set.healthy.length > 0 ? 'healthy' : 'degraded';
  const sums = { hosts: [] as Host[], weights: [] as number[], min: 1, max: 0 };
  if (!localityWeighted || set.isWeightless === true) {
    addHosts(sums, set[kind], 1);
    return sums;
  }
  const total = set.localities.reduce((sum, { weight }) => sum + weight, 0);
  for (const locality of set.localities) {
    if (locality.weight !== 0) addHosts(sums, locality[kind], locality.weight / total);
  }
  return sums;
}

interface Sums {
  readonly hosts: Host[];
  readonly weights: number[];
  min: number;
  max: number;
}

function addHosts(sums: Sums, hosts: readonly Host[], share: number): void {
  let total = 0;
  for (const host of hosts) total += host.weight;
  for (const host of hosts) {
    const weight = (host.weight * share) / total;
    sums.hosts.push(host);
    sums.weights.push(weight);
    sums.min = Math.min(sums.min, weight);
    sums.max = Math.max(sums.max, weight);
  }
}
