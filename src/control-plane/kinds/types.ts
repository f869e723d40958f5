import type { z } from 'zod';
import type { authorizationPolicySchema } from './authorization-policy-schema.js';
import type { destinationRuleSchema } from './destination-rule-schema.js';
import type { envoyFilterSchema } from './envoy-filter-schema.js';
import type { failureRateBreakerSchema } from './failure-rate-breaker-schema.js';
import type { gatewaySchema } from './gateway-schema.js';
import type {
  configMapSchema,
  deploymentSchema,
  endpointSliceSchema,
  endpointsSchema,
  metadataOnlySchema,
  podSchema,
  serviceSchema,
} from './kubernetes-schema.js';
import type { meshConfigSchema } from './mesh-config-schema.js';
import type { peerAuthenticationSchema } from './peer-authentication-schema.js';
import type { proxyConfigSchema } from './proxy-config-schema.js';
import type { quotaSchema, rateLimitPolicySchema } from './rate-limit-policy-schema.js';
import type { requestAuthenticationSchema } from './request-authentication-schema.js';
import type { SecretContent } from './secret-schema.js';
import type { serviceEntrySchema, workloadEntrySchema } from './service-entry-schema.js';
import type { sidecarSchema } from './sidecar-schema.js';
import type { telemetrySchema } from './telemetry-schema.js';
import type { virtualServiceSchema } from './virtual-service-schema.js';
import type { trafficExtensionSchema, wasmPluginSchema } from './wasm-plugin-schema.js';
import type { workloadGroupSchema } from './workload-group-schema.js';

/** A type with all its parts read-only. */
export type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

type Item<T> = NonNullable<T> extends readonly (infer Element)[] ? Element : never;
type Part<T, Key extends keyof T> = NonNullable<T[Key]>;

/** The parsed specification of each kind, with Istio's field names; durations are milliseconds. */
export interface KindSpecs {
  readonly VirtualService: DeepReadonly<z.output<typeof virtualServiceSchema>>;
  readonly DestinationRule: DeepReadonly<z.output<typeof destinationRuleSchema>>;
  readonly ServiceEntry: DeepReadonly<z.output<typeof serviceEntrySchema>>;
  readonly WorkloadEntry: DeepReadonly<z.output<typeof workloadEntrySchema>>;
  readonly PeerAuthentication: DeepReadonly<z.output<typeof peerAuthenticationSchema>>;
  readonly RequestAuthentication: DeepReadonly<z.output<typeof requestAuthenticationSchema>>;
  readonly AuthorizationPolicy: DeepReadonly<z.output<typeof authorizationPolicySchema>>;
  readonly Gateway: DeepReadonly<z.output<typeof gatewaySchema>>;
  readonly WorkloadGroup: DeepReadonly<z.output<typeof workloadGroupSchema>>;
  readonly Sidecar: DeepReadonly<z.output<typeof sidecarSchema>>;
  readonly Telemetry: DeepReadonly<z.output<typeof telemetrySchema>>;
  readonly ProxyConfig: DeepReadonly<z.output<typeof proxyConfigSchema>>;
  readonly EnvoyFilter: DeepReadonly<z.output<typeof envoyFilterSchema>>;
  readonly WasmPlugin: DeepReadonly<z.output<typeof wasmPluginSchema>>;
  readonly TrafficExtension: DeepReadonly<z.output<typeof trafficExtensionSchema>>;
  readonly MeshConfig: DeepReadonly<z.output<typeof meshConfigSchema>>;
  readonly RateLimitPolicy: DeepReadonly<z.output<typeof rateLimitPolicySchema>>;
  readonly Quota: DeepReadonly<z.output<typeof quotaSchema>>;
  readonly FailureRateBreaker: DeepReadonly<z.output<typeof failureRateBreakerSchema>>;
  readonly Endpoints: DeepReadonly<z.output<typeof endpointsSchema>>;
  readonly EndpointSlice: DeepReadonly<z.output<typeof endpointSliceSchema>>;
  readonly Pod: DeepReadonly<z.output<typeof podSchema>>;
  readonly StatefulSet: DeepReadonly<z.output<typeof deploymentSchema>>;
  readonly DaemonSet: DeepReadonly<z.output<typeof deploymentSchema>>;
  readonly ConfigMap: DeepReadonly<z.output<typeof configMapSchema>>;
  readonly Service: DeepReadonly<z.output<typeof serviceSchema>>;
  readonly Deployment: DeepReadonly<z.output<typeof deploymentSchema>>;
  readonly Namespace: DeepReadonly<z.output<typeof metadataOnlySchema>>;
  readonly ServiceAccount: DeepReadonly<z.output<typeof metadataOnlySchema>>;
  readonly Secret: SecretContent;
}

/** The kinds of documents that the control plane reads. */
export type KindName = keyof KindSpecs;

export type VirtualServiceSpec = KindSpecs['VirtualService'];
export type HttpRoute = Item<VirtualServiceSpec['http']>;
export type HttpMatch = Item<HttpRoute['match']>;
export type HttpRouteDestination = Item<HttpRoute['route']>;
export type Destination = HttpRouteDestination['destination'];
export type StringMatch = Part<HttpMatch, 'uri'>;
export type HttpRetry = Part<HttpRoute, 'retries'>;
export type HttpFault = Part<HttpRoute, 'fault'>;
export type HttpHeaders = Part<HttpRoute, 'headers'>;
export type TcpRoute = Item<VirtualServiceSpec['tcp']>;
export type TlsRoute = Item<VirtualServiceSpec['tls']>;

export type DestinationRuleSpec = KindSpecs['DestinationRule'];
export type TrafficPolicy = Part<DestinationRuleSpec, 'trafficPolicy'>;
export type PortTrafficPolicy = Item<TrafficPolicy['portLevelSettings']>;
export type Subset = Item<DestinationRuleSpec['subsets']>;
export type LoadBalancerSettings = Part<TrafficPolicy, 'loadBalancer'>;
export type ConnectionPoolSettings = Part<TrafficPolicy, 'connectionPool'>;
export type OutlierDetectionSettings = Part<TrafficPolicy, 'outlierDetection'>;
export type ClientTlsSettings = Part<TrafficPolicy, 'tls'>;

export type ServiceEntrySpec = KindSpecs['ServiceEntry'];
export type WorkloadEntrySpec = KindSpecs['WorkloadEntry'];
export type GatewaySpec = KindSpecs['Gateway'];
export type GatewayServer = Item<GatewaySpec['servers']>;
export type MeshConfigSpec = KindSpecs['MeshConfig'];
export type SidecarSpec = KindSpecs['Sidecar'];
export type ServiceSpec = KindSpecs['Service'];

export type RequestAuthenticationSpec = KindSpecs['RequestAuthentication'];
export type JwtRule = Item<RequestAuthenticationSpec['jwtRules']>;
export type AuthorizationPolicySpec = KindSpecs['AuthorizationPolicy'];
export type AuthorizationRule = Item<AuthorizationPolicySpec['rules']>;
export type AuthorizationSource = Part<Item<AuthorizationRule['from']>, 'source'>;
export type AuthorizationOperation = Part<Item<AuthorizationRule['to']>, 'operation'>;
