/** Mesh-wide settings, with Istio's names and defaults. */
export interface MeshConfig {
  readonly trustDomain: string;
  /** Namespace of mesh-wide documents. */
  readonly rootNamespace: string;
  /** Domain of service names. */
  readonly domain: string;
  /** Template of inbound listener names; `%s` stands for `address:port` (gRFC A36). */
  readonly inboundTemplate: string;
}

export const DEFAULT_MESH_CONFIG: MeshConfig = {
  trustDomain: 'cluster.local',
  rootNamespace: 'istio-system',
  domain: 'cluster.local',
  inboundTemplate: 'xds.istio.io/grpc/lds/inbound/%s',
};
