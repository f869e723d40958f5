import { document, type KindName, type MeshDocument, type NameOrMetadata } from './document.js';
import type { KindContents } from './gen/fields.js';

/** Makes a document of a kind: frozen plain data. */
export type DocumentBuilder<K extends KindName> = (
  name: NameOrMetadata,
  content: KindContents[K],
) => MeshDocument<K>;

const builderOf =
  <K extends KindName>(kind: K): DocumentBuilder<K> =>
  (name, content) =>
    document(kind, name, content);

/** A VirtualService: where requests to hosts go, and what is done to them. */
export const virtualService = builderOf('VirtualService');

/** A WorkloadEntry: one endpoint that is no pod. */
export const workloadEntry = builderOf('WorkloadEntry');

/** A WorkloadGroup: what workloads that register themselves have in common. */
export const workloadGroup = builderOf('WorkloadGroup');

/** A Sidecar: what of the mesh the workloads of a namespace see. */
export const sidecar = builderOf('Sidecar');

/** A PeerAuthentication: whether callers must speak mTLS. `mtls` says the usual in one line. */
export const peerAuthentication = builderOf('PeerAuthentication');

/** A RequestAuthentication: whose tokens (JWT) are accepted. */
export const requestAuthentication = builderOf('RequestAuthentication');

/** An AuthorizationPolicy: who may call what. */
export const authorizationPolicy = builderOf('AuthorizationPolicy');

/** A Telemetry: access logs, metrics and tracing. */
export const telemetry = builderOf('Telemetry');

/** A ProxyConfig: settings of proxies that stand beside workloads. */
export const proxyConfig = builderOf('ProxyConfig');

/** An EnvoyFilter: patches of what is compiled. */
export const envoyFilter = builderOf('EnvoyFilter');

/** A WasmPlugin: a filter in WebAssembly. */
export const wasmPlugin = builderOf('WasmPlugin');

/** A TrafficExtension: a filter in WebAssembly or Lua. */
export const trafficExtension = builderOf('TrafficExtension');

/** The MeshConfig: what holds for the whole mesh. */
export const meshConfig = builderOf('MeshConfig');

/** A RateLimitPolicy: how many requests of what kind are let through. */
export const rateLimitPolicy = builderOf('RateLimitPolicy');

/** A Quota: a limit that several workloads share. */
export const quota = builderOf('Quota');

/** A FailureRateBreaker: stops calling a host of which too many requests fail. */
export const failureRateBreaker = builderOf('FailureRateBreaker');

/** A GatewayClass of the Gateway API: who carries its gateways out. */
export const gatewayClass = builderOf('GatewayClass');

/** A Gateway of the Gateway API. That of Istio is `gateway`. */
export const gatewayApiGateway = builderOf('Gateway.gateway.networking.k8s.io');

/** A ListenerSet of the Gateway API: further listeners of a gateway. */
export const listenerSet = builderOf('ListenerSet');

/** An HTTPRoute of the Gateway API. */
export const httpRoute = builderOf('HTTPRoute');

/** A GRPCRoute of the Gateway API. */
export const grpcRoute = builderOf('GRPCRoute');

/** A TLSRoute of the Gateway API. */
export const tlsRoute = builderOf('TLSRoute');

/** A TCPRoute of the Gateway API. */
export const tcpRoute = builderOf('TCPRoute');

/** A ReferenceGrant of the Gateway API: what other namespaces may refer to. */
export const referenceGrant = builderOf('ReferenceGrant');

/** A BackendTLSPolicy of the Gateway API: how gateways speak TLS to a service. */
export const backendTlsPolicy = builderOf('BackendTLSPolicy');

/** Kubernetes Endpoints: where a service without selector is served. */
export const endpoints = builderOf('Endpoints');

/** A Kubernetes EndpointSlice: where a service is served. */
export const endpointSlice = builderOf('EndpointSlice');

/** A Kubernetes Pod: labels and service account of one workload. */
export const pod = builderOf('Pod');

/** A Kubernetes Deployment: the workloads of a version. */
export const deployment = builderOf('Deployment');

/** A Kubernetes StatefulSet: workloads with names of their own. */
export const statefulSet = builderOf('StatefulSet');

/** A Kubernetes DaemonSet: workloads on every node. */
export const daemonSet = builderOf('DaemonSet');

/** A Kubernetes Secret: certificates and keys that gateways and policies name. */
export const secret = builderOf('Secret');

/** A Kubernetes ConfigMap: data that others refer to. */
export const configMap = builderOf('ConfigMap');

/** A Kubernetes Namespace: its labels. */
export function namespace(name: NameOrMetadata): MeshDocument<'Namespace'> {
  return document('Namespace', name, {});
}

/** A Kubernetes ServiceAccount: a name that identities and policies refer to. */
export function serviceAccount(name: NameOrMetadata): MeshDocument<'ServiceAccount'> {
  return document('ServiceAccount', name, {});
}
