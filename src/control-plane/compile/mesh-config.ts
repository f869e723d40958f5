import { MeshError } from '../../runtime/errors.js';
import { checkLoadBalancer } from '../kinds/load-balancer-rules.js';
import { createReport } from '../kinds/report.js';

/** Where requests go when the endpoints of a region are unhealthy. */
export interface RegionFailover {
  /** Region of the client. */
  readonly from?: string | undefined;
  /** Region that is tried before all others. */
  readonly to?: string | undefined;
}

/** Istio's `LocalityLoadBalancerSetting`. */
export interface LocalityLbSetting {
  /** Default true. */
  readonly enabled?: boolean | undefined;
  /** Percentages of requests by locality, for clients in the locality `from`; `*` stands for any part. */
  readonly distribute?:
    | readonly {
        readonly from?: string | undefined;
        readonly to?: Readonly<Record<string, number>> | undefined;
      }[]
    | undefined;
  readonly failover?: readonly RegionFailover[] | undefined;
  /** Names of labels (or `name=value`) that near endpoints share with the client, most important first. */
  readonly failoverPriority?: readonly string[] | undefined;
}

/** Istio's `ZoneAwareLoadBalancerSetting`. */
export interface ZoneAwareLbSetting {
  /** Default true. */
  readonly enabled?: boolean | undefined;
  readonly failover?: readonly RegionFailover[] | undefined;
  /** Names of labels (or `name=value`) that near endpoints share with the client, most important first. */
  readonly failoverPriority?: readonly string[] | undefined;
  /** Endpoints of the own region that it takes. Default 6. */
  readonly minClusterSize?: number | undefined;
}

/** Mesh-wide settings, with Istio's names and defaults. */
export interface MeshConfig {
  readonly trustDomain: string;
  /** Namespace of mesh-wide documents. */
  readonly rootNamespace: string;
  /** Domain of service names. */
  readonly domain: string;
  /** Template of inbound listener names; `%s` stands for `address:port` (gRFC A36). */
  readonly inboundTemplate: string;
  /**
   * What happens to requests for hosts that the mesh does not know. `ALLOW_ANY`: they pass it by. `REGISTRY_ONLY`: they
   * are answered with 502.
   */
  readonly outboundTrafficPolicy: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  /** How localities are balanced where neither a DestinationRule nor a service says; undefined = without heed to them. */
  readonly localityLbSetting: LocalityLbSetting | undefined;
  /** In place of `localityLbSetting`. */
  readonly zoneAwareLbSetting: ZoneAwareLbSetting | undefined;
  /** Whether clients report the load of their clusters to the control plane (`lrs_server`). */
  readonly reportsLoad: boolean;
}

export const DEFAULT_MESH_CONFIG: MeshConfig = {
  trustDomain: 'cluster.local',
  rootNamespace: 'istio-system',
  domain: 'cluster.local',
  inboundTemplate: 'xds.istio.io/grpc/lds/inbound/%s',
  outboundTrafficPolicy: 'ALLOW_ANY',
  localityLbSetting: { enabled: true },
  zoneAwareLbSetting: undefined,
  reportsLoad: false,
};

/**
 * The settings of a mesh, with defaults.
 * @throws MeshError `INMESH_OPTION_INVALID` for settings that Istio would refuse.
 */
export function createMeshConfig(settings: Partial<MeshConfig>): MeshConfig {
  const { localityLbSetting, zoneAwareLbSetting } = settings;
  const report = createReport();
  // Of the mesh both may be given, other than of a DestinationRule.
  checkLoadBalancer({ localityLbSetting }, [], report);
  checkLoadBalancer({ zoneAwareLbSetting }, [], report);
  const [first] = report.violations;
  if (first !== undefined) {
    throw new MeshError('INMESH_OPTION_INVALID', `${first.path.join('.')}: ${first.message}`);
  }
  return { ...DEFAULT_MESH_CONFIG, ...settings };
}
