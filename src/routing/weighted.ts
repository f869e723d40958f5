import type { ClusterSpecifier } from '../model/route.js';
import { remainderOf } from '../runtime/random.js';

type WeightedClusters = Extract<ClusterSpecifier, { kind: 'weighted' }>;

/**
 * The index of the chosen cluster for a draw in [0, 1); -1 when the weights are all zero.
 * Envoy: `value % total`, then the first cluster whose running sum is above it.
 */
export function selectWeighted(specifier: WeightedClusters, draw: number): number {
  const { clusters, totalWeight } = specifier;
  if (totalWeight <= 0) return -1;
  const value = remainderOf(draw, totalWeight);
  let sum = 0;
  for (let i = 0; i < clusters.length; i++) {
    sum += clusters[i]?.weight ?? 0;
    if (value < sum) return i;
  }
  return -1;
}

/** The name of the chosen cluster for a draw in [0, 1). */
export function selectCluster(specifier: ClusterSpecifier, draw: number): string | undefined {
  if (specifier.kind === 'cluster') return specifier.name;
  return specifier.clusters[selectWeighted(specifier, draw)]?.name;
}
