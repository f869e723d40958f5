import { DEFAULT_ZONE_AWARE, type LocalityBalancing } from '../../model/lb-policy.js';
import { WeakMemo } from '../../runtime/weak-memo.js';
import type { LoadBalancerSettings, TrafficPolicy } from '../kinds/types.js';
import type { ConfigView } from '../kinds/view.js';
import type { LocalityLbSetting, MeshConfig, ZoneAwareLbSetting } from '../mesh/mesh-config.js';
import { type TrafficDistribution, trafficDistributionOf } from '../mesh/traffic-distribution.js';

/** What holds for the localities of one cluster; undefined where it pays no heed to them. */
export type LocalityPlan =
  | {
      readonly kind: 'locality';
      readonly setting: LocalityLbSetting;
      /** Istio: priorities make sense only where something tells that a host is unhealthy. */
      readonly hasFailover: boolean;
    }
  | { readonly kind: 'zone-aware'; readonly setting: ZoneAwareLbSetting };

/** What decides over the localities of a cluster. */
export interface LocalityContext {
  readonly mesh: Pick<MeshConfig, 'localityLbSetting' | 'zoneAwareLbSetting'>;
  readonly loadBalancer: LoadBalancerSettings | undefined;
  readonly trafficDistribution: TrafficDistribution;
  readonly hasOutlierDetection: boolean;
}

/** Istio (GetEffectiveLbSetting): the DestinationRule before the service before the mesh; each stands alone. */
export function localityPlanOf(context: LocalityContext): LocalityPlan | undefined {
  const { mesh, loadBalancer, trafficDistribution, hasOutlierDetection } = context;
  const byLocality = (setting: LocalityLbSetting, hasFailover: boolean): LocalityPlan | undefined =>
    setting.enabled === false ? undefined : { kind: 'locality', setting, hasFailover };
  const { localityLbSetting, zoneAwareLbSetting } = loadBalancer ?? {};
  if (localityLbSetting !== undefined) return byLocality(localityLbSetting, hasOutlierDetection);
  if (zoneAwareLbSetting !== undefined) return zoneAware(zoneAwareLbSetting);
  const failoverPriority = DISTRIBUTIONS[trafficDistribution];
  if (failoverPriority !== undefined) return byLocality({ failoverPriority }, true);
  const ofMesh = mesh.zoneAwareLbSetting && zoneAware(mesh.zoneAwareLbSetting);
  if (ofMesh !== undefined) return ofMesh;
  return mesh.localityLbSetting && byLocality(mesh.localityLbSetting, hasOutlierDetection);
}

function zoneAware(setting: ZoneAwareLbSetting): LocalityPlan | undefined {
  return setting.enabled === false ? undefined : { kind: 'zone-aware', setting };
}

const ZONE_LABELS = [
  'topology.istio.io/network',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
];

/** Istio: endpoints of one's own zone, or node, are tried first. */
const DISTRIBUTIONS: Readonly<Record<TrafficDistribution, readonly string[] | undefined>> = {
  any: undefined,
  'same-zone': ZONE_LABELS,
  'same-node': [...ZONE_LABELS, 'topology.istio.io/subzone', 'kubernetes.io/hostname'],
};

/** How a policy balances between localities. */
export function localityBalancingOf(plan: LocalityPlan | undefined): LocalityBalancing | undefined {
  if (plan === undefined) return undefined;
  if (plan.kind === 'locality') return { kind: 'weighted' };
  const { minClusterSize = DEFAULT_ZONE_AWARE.minClusterSize } = plan.setting;
  return { ...DEFAULT_ZONE_AWARE, minClusterSize };
}

/** What of a client's place the configuration depends on: clients are told apart by that alone. */
export interface LocalityInterest {
  readonly locality: boolean;
  /** Names of labels, sorted. */
  readonly labels: readonly string[];
}

const interests = new WeakMemo<LocalityInterest>();

/** What of clients' places some cluster depends on. */
export function localityInterest(view: ConfigView, mesh: LocalityContext['mesh']): LocalityInterest {
  const documents = [view.list('DestinationRule'), view.list('Service'), view.list('ServiceEntry')];
  return interests.get([mesh, ...documents], () => findInterest(view, mesh));
}

function findInterest(view: ConfigView, mesh: LocalityContext['mesh']): LocalityInterest {
  const labels = new Set<string>();
  let locality = false;
  const look = (
    settings: Pick<LoadBalancerSettings, 'localityLbSetting' | 'zoneAwareLbSetting'>,
    hasOutlierDetection: boolean,
  ) => {
    const { localityLbSetting: setting, zoneAwareLbSetting: zone } = settings;
    if (zone !== undefined || hasOutlierDetection || (setting?.distribute ?? []).length > 0) locality = true;
    for (const entry of [...(setting?.failoverPriority ?? []), ...(zone?.failoverPriority ?? [])]) {
      if (!entry.includes('=')) labels.add(entry);
    }
  };
  look(mesh, false);
  for (const { spec } of view.list('DestinationRule')) {
    for (const policy of [spec, ...(spec.subsets ?? [])].flatMap(policiesOf)) {
      look(policy.loadBalancer ?? {}, policy.outlierDetection !== undefined);
    }
  }
  for (const kind of ['Service', 'ServiceEntry'] as const) {
    for (const document of view.list(kind)) {
      const wish = 'trafficDistribution' in document.spec ? document.spec.trafficDistribution : undefined;
      const distribution = trafficDistributionOf(wish, document.annotations);
      for (const label of DISTRIBUTIONS[distribution] ?? []) labels.add(label);
    }
  }
  return { locality, labels: [...labels].sort() };
}

function policiesOf({ trafficPolicy }: { readonly trafficPolicy?: TrafficPolicy | undefined }) {
  return trafficPolicy === undefined ? [] : [trafficPolicy, ...(trafficPolicy.portLevelSettings ?? [])];
}
