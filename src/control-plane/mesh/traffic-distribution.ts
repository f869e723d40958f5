/** Which endpoints a service prefers its clients to use. */
export type TrafficDistribution = 'any' | 'same-zone' | 'same-node';

const BY_NAME: ReadonlyMap<string, TrafficDistribution> = new Map([
  // Kubernetes: the older name of PreferSameZone.
  ['preferclose', 'same-zone'],
  ['prefersamezone', 'same-zone'],
  ['prefersamenode', 'same-node'],
]);

/** Kubernetes' `trafficDistribution` of a Service, else Istio's annotation; what neither knows counts as none. */
export function trafficDistributionOf(
  field: string | undefined,
  annotations: Readonly<Record<string, string>>,
): TrafficDistribution {
  const text = field ?? annotations['networking.istio.io/traffic-distribution'] ?? '';
  return BY_NAME.get(text.toLowerCase()) ?? 'any';
}
