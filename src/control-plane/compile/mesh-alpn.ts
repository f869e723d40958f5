// Istio: what clients of the mesh offer in TLS, by which those who serve know them.

/** Of clients that know they send HTTP. */
export const MESH_HTTP_ALPN: readonly string[] = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'];
/** Of those that know nothing of what they send. */
export const MESH_TCP_ALPN: readonly string[] = ['istio-peer-exchange', 'istio'];
/** Of all of them. */
export const MESH_ALPN: readonly string[] = [...MESH_TCP_ALPN, ...MESH_HTTP_ALPN];
