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
}

export const DEFAULT_MESH_CONFIG: MeshConfig = {
  trustDomain: 'cluster.local',
  rootNamespace: 'istio-system',
  domain: 'cluster.local',
  inboundTemplate: 'xds.istio.io/grpc/lds/inbound/%s',
  outboundTrafficPolicy: 'ALLOW_ANY',
};
