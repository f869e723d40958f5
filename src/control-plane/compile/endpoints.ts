import { formatAddress } from '../../model/address.js';
import type { ClusterLoadAssignment, Endpoint, Locality, LocalityEndpoints } from '../../model/endpoint.js';
import { LB_NAMESPACE, NO_METADATA } from '../../model/metadata.js';
import { DEFAULT_CLUSTER_ID } from '../registry/workload.js';
import type { Instance } from './instance.js';
import { balanceLocalities, type ClientPlace, type Member, withTopology } from './locality-balance.js';
import type { LocalityPlan } from './locality-setting.js';
import { ISTIO_ENDPOINT } from './upstream-tls.js';

/** Envoy's default. */
const OVERPROVISIONING_FACTOR = 140;

/** What endpoints are made with. */
export interface AssignmentTools {
  /** Which instances take mesh mTLS. */
  readonly acceptsMutualTls: (instance: Instance) => boolean;
  /** How localities are balanced. */
  readonly plan: LocalityPlan | undefined;
  readonly client: ClientPlace;
}

/** The endpoints of one cluster, as a client sees them. */
export function compileAssignment(
  name: string,
  instances: readonly Instance[],
  { acceptsMutualTls, plan, client }: AssignmentTools,
): ClusterLoadAssignment {
  const groups = new Map<string, { readonly locality: Locality; readonly members: PlacedInstance[] }>();
  for (const instance of unique(instances)) {
    const { locality } = instance;
    const key = JSON.stringify([locality.region, locality.zone, locality.subZone]);
    const group = groups.get(key) ?? { locality, members: [] };
    // Nobody asks for them where localities are not balanced.
    const labels =
      plan === undefined
        ? instance.labels
        : withTopology(instance.labels, locality, instance.clusterId || DEFAULT_CLUSTER_ID);
    group.members.push({ instance, labels, weight: instance.weight });
    groups.set(key, group);
  }
  const sorted = [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { locality, members }]) => ({ locality, priority: 0, weight: weightOf(members), members }));
  return {
    clusterName: name,
    localities: balanceLocalities(sorted, plan, client).map(
      ({ members, ...group }): LocalityEndpoints => ({
        ...group,
        metadata: NO_METADATA,
        endpoints: members.map(({ instance }) => endpointOf(instance, acceptsMutualTls(instance))),
      }),
    ),
    overprovisioningFactor: OVERPROVISIONING_FACTOR,
    weightedPriorityHealth: false,
  };
}

/** In order of address, so that equal sets encode to equal bytes; a place that is listed twice counts once. */
function unique(instances: readonly Instance[]): readonly Instance[] {
  const byAddress = new Map(instances.map((one) => [formatAddress(one), one]));
  return [...byAddress.keys()].sort().flatMap((key) => byAddress.get(key) ?? []);
}

interface PlacedInstance extends Member {
  readonly instance: Instance;
}

function weightOf(members: readonly Member[]): number {
  return members.reduce((sum, one) => sum + one.weight, 0);
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
