import { formatAddress } from '../../model/address.js';
import type { ClusterLoadAssignment, Endpoint, Locality, LocalityEndpoints } from '../../model/endpoint.js';
import { LB_NAMESPACE, NO_METADATA } from '../../model/metadata.js';
import type { Instance } from './instances.js';
import { ISTIO_ENDPOINT } from './upstream-tls.js';

/** Envoy's default. */
const OVERPROVISIONING_FACTOR = 140;

/** The endpoints of one cluster; `acceptsMutualTls` tells which take mesh mTLS. */
export function compileAssignment(
  name: string,
  instances: readonly Instance[],
  acceptsMutualTls: (instance: Instance) => boolean,
): ClusterLoadAssignment {
  const groups = new Map<string, { readonly locality: Locality; readonly endpoints: Endpoint[] }>();
  for (const instance of unique(instances)) {
    const { locality } = instance;
    const key = JSON.stringify([locality.region, locality.zone, locality.subZone]);
    const group = groups.get(key) ?? { locality, endpoints: [] };
    group.endpoints.push(endpointOf(instance, acceptsMutualTls(instance)));
    groups.set(key, group);
  }
  const sorted = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => localityOf(group));
  return {
    clusterName: name,
    localities: sorted,
    overprovisioningFactor: OVERPROVISIONING_FACTOR,
    weightedPriorityHealth: false,
  };
}

/** In order of address, so that equal sets encode to equal bytes; a place that is listed twice counts once. */
function unique(instances: readonly Instance[]): readonly Instance[] {
  const byAddress = new Map(instances.map((one) => [formatAddress(one), one]));
  return [...byAddress.keys()].sort().flatMap((key) => byAddress.get(key) ?? []);
}

function localityOf(group: {
  readonly locality: Locality;
  readonly endpoints: readonly Endpoint[];
}): LocalityEndpoints {
  const weight = group.endpoints.reduce((sum, one) => sum + one.weight, 0);
  return { locality: group.locality, priority: 0, weight, metadata: NO_METADATA, endpoints: group.endpoints };
}

function endpointOf(instance: Instance, acceptsMutualTls: boolean): Endpoint {
  const { address, port, weight, labels } = instance;
  return {
    address: { address, port },
    hostname: '',
    health: 'unknown',
    weight,
    transportSocketMatch: acceptsMutualTls ? ISTIO_ENDPOINT : {},
    metadata: {
      ...(labels['version'] !== undefined && { [LB_NAMESPACE]: { version: labels['version'] } }),
      istio: { workload: workloadText(instance) },
    },
  };
}

/** How Istio names an endpoint's workload in its metadata: `name;namespace;canonical name;canonical revision;cluster`. */
function workloadText({ workload, namespace, labels, clusterId }: Instance): string {
  // Where nobody said more than an address there are no canonical names to fall back to.
  const isRegistered = clusterId !== '';
  const canonicalName =
    labels['service.istio.io/canonical-name'] ??
    labels['app.kubernetes.io/name'] ??
    labels['app'] ??
    (isRegistered ? workload : '');
  const canonicalRevision =
    labels['service.istio.io/canonical-revision'] ??
    labels['app.kubernetes.io/version'] ??
    labels['version'] ??
    (isRegistered ? 'latest' : '');
  return [workload, namespace, canonicalName, canonicalRevision, clusterId].join(';');
}
