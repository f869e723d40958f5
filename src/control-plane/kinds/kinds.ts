import { authorizationPolicyKind } from './authorization-policy.js';
import { destinationRuleKind } from './destination-rule.js';
import { envoyFilterKind } from './envoy-filter.js';
import { failureRateBreakerKind } from './failure-rate-breaker.js';
import { gatewayKind } from './gateway.js';
import { GATEWAY_GROUP } from './gateway-api/fields.js';
import { apiGatewayKind, gatewayClassKind, listenerSetKind } from './gateway-api/gateway.js';
import { grpcRouteKind } from './gateway-api/grpc-route.js';
import { httpRouteKind } from './gateway-api/http-route.js';
import { tcpRouteKind, tlsRouteKind } from './gateway-api/l4-route.js';
import { backendTlsPolicyKind, referenceGrantKind } from './gateway-api/policies.js';
import type { Kind } from './kind.js';
import {
  configMapKind,
  daemonSetKind,
  deploymentKind,
  endpointSliceKind,
  endpointsKind,
  namespaceKind,
  podKind,
  serviceAccountKind,
  serviceKind,
  statefulSetKind,
} from './kubernetes.js';
import { meshConfigKind } from './mesh-config.js';
import { peerAuthenticationKind } from './peer-authentication.js';
import { proxyConfigKind } from './proxy-config.js';
import { quotaKind, rateLimitPolicyKind } from './rate-limit-policy.js';
import { requestAuthenticationKind } from './request-authentication.js';
import { secretKind } from './secret.js';
import { serviceEntryKind } from './service-entry.js';
import { sidecarKind } from './sidecar.js';
import { telemetryKind } from './telemetry.js';
import type { KindName } from './types.js';
import { virtualServiceKind } from './virtual-service.js';
import { trafficExtensionKind, wasmPluginKind } from './wasm-plugin.js';
import { workloadEntryKind } from './workload-entry.js';
import { workloadGroupKind } from './workload-group.js';

/** Every kind that the control plane reads. A new kind is one file and one line here. */
export const KINDS: { readonly [K in KindName]: Kind<K> } = {
  VirtualService: virtualServiceKind,
  DestinationRule: destinationRuleKind,
  ServiceEntry: serviceEntryKind,
  WorkloadEntry: workloadEntryKind,
  WorkloadGroup: workloadGroupKind,
  Sidecar: sidecarKind,
  Gateway: gatewayKind,
  PeerAuthentication: peerAuthenticationKind,
  RequestAuthentication: requestAuthenticationKind,
  AuthorizationPolicy: authorizationPolicyKind,
  Telemetry: telemetryKind,
  ProxyConfig: proxyConfigKind,
  EnvoyFilter: envoyFilterKind,
  WasmPlugin: wasmPluginKind,
  TrafficExtension: trafficExtensionKind,
  MeshConfig: meshConfigKind,
  RateLimitPolicy: rateLimitPolicyKind,
  Quota: quotaKind,
  FailureRateBreaker: failureRateBreakerKind,
  GatewayClass: gatewayClassKind,
  'Gateway.gateway.networking.k8s.io': apiGatewayKind,
  ListenerSet: listenerSetKind,
  HTTPRoute: httpRouteKind,
  GRPCRoute: grpcRouteKind,
  TLSRoute: tlsRouteKind,
  TCPRoute: tcpRouteKind,
  ReferenceGrant: referenceGrantKind,
  BackendTLSPolicy: backendTlsPolicyKind,
  Service: serviceKind,
  Endpoints: endpointsKind,
  EndpointSlice: endpointSliceKind,
  Pod: podKind,
  Deployment: deploymentKind,
  StatefulSet: statefulSetKind,
  DaemonSet: daemonSetKind,
  Namespace: namespaceKind,
  ServiceAccount: serviceAccountKind,
  Secret: secretKind,
  ConfigMap: configMapKind,
};

/** Whether the text names a kind that the control plane reads. */
export function isKindName(name: string): name is KindName {
  return Object.hasOwn(KINDS, name);
}

/**
 * The name of the kind that a document of this kind and version has. Two kinds are called Gateway: that of Istio has the
 * name, that of the Gateway API has its group after it.
 */
export function kindNameOf(kind: string, apiVersion: unknown): string {
  const isOther = kind === 'Gateway' && String(apiVersion).startsWith(`${GATEWAY_GROUP}/`);
  return isOther ? `${kind}.${GATEWAY_GROUP}` : kind;
}

/** The names of all kinds, in the order of the table. */
export const KIND_NAMES: readonly KindName[] = Object.keys(KINDS).filter(isKindName);
