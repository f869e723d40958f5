import type { z } from 'zod';
import type { StatefulSession } from '../../model/stateful-session.js';
import type { authorizationPolicySchema } from './authorization-policy-schema.js';
import type { destinationRuleSchema } from './destination-rule-schema.js';
import type { envoyFilterSchema } from './envoy-filter-schema.js';
import type { failureRateBreakerSchema } from './failure-rate-breaker-schema.js';
import type {
  apiGatewaySchema,
  gatewayClassSchema,
  listenerSetSchema,
} from './gateway-api/gateway-schema.js';
import type { grpcRouteSchema } from './gateway-api/grpc-route-schema.js';
import type { httpRouteSchema } from './gateway-api/http-route-schema.js';
import type { tcpRouteSchema, tlsRouteSchema } from './gateway-api/l4-route-schema.js';
import type { backendTlsPolicySchema, referenceGrantSchema } from './gateway-api/policy-schema.js';
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

type VirtualServiceDocument = DeepReadonly<z.output<typeof virtualServiceSchema>>;
type GatewayDocument = DeepReadonly<z.output<typeof gatewaySchema>>;
type ServerDocument = Item<GatewayDocument['servers']>;

// Routes and Gateways of the Gateway API are compiled from VirtualServices and Gateways that stand for them. What those
// can't say is in fields called `gatewayApi`, which no document has: the schemas do not know them.

/** A VirtualService of a document, or one that stands for routes of the Gateway API. */
type VirtualServiceContent = Omit<VirtualServiceDocument, 'http'> & {
  readonly http?:
    | readonly (Item<VirtualServiceDocument['http']> & { readonly gatewayApi?: ApiRuleExtras | undefined })[]
    | undefined;
  readonly gatewayApi?: ApiServiceExtras | undefined;
};

/** A Gateway of a document, or one that stands for a listener of the Gateway API. */
type GatewayContent = Omit<GatewayDocument, 'servers'> & {
  readonly servers?:
    | readonly (Omit<ServerDocument, 'tls'> & {
        readonly tls?:
          | (NonNullable<ServerDocument['tls']> & { readonly gatewayApi?: ApiTlsExtras })
          | undefined;
      })[]
    | undefined;
  /** Which gateways serve it: those of one namespace. */
  readonly gatewayApi?: { readonly namespace: string } | undefined;
};

/** For whom routes of the Gateway API are that hold for clients in the mesh. */
export interface ApiServiceExtras {
  /** Undefined = each port that no other one is about. */
  readonly port: number | undefined;
  /** What the ports speak. */
  readonly layer: 'http' | 'tcp';
}

/** What a match of a route of the Gateway API leads to. */
export interface ApiRuleExtras {
  readonly backends: readonly ApiBackendTarget[];
  readonly redirect: ApiRedirectFilter | undefined;
  /** What requests are answered with. */
  readonly answer?: ApiAnswerFilter | undefined;
  readonly rewrite: ApiRewriteFilter | undefined;
  readonly session: StatefulSession | undefined;
  /** Undefined = as retries say. */
  readonly perTryTimeoutMs?: number | undefined;
  /** The status of requests that lead to nothing. */
  readonly failure: 404 | 421 | 500 | 503;
}

type ApiFilter = Item<Item<KindSpecs['HTTPRoute']['rules']>['filters']>;
type ApiRedirectFilter = Part<ApiFilter, 'requestRedirect'>;
type ApiAnswerFilter = Part<ApiFilter, 'directResponse'>;
type ApiRewriteFilter = Part<ApiFilter, 'urlRewrite'>;

/** One of the backends of a rule, with its own filters. */
export interface ApiBackendTarget {
  /** Undefined = the reference is not good. */
  readonly target: { readonly host: string; readonly port: number } | undefined;
  readonly weight: number;
  readonly headers: HttpHeaders | undefined;
  readonly redirect: ApiRedirectFilter | undefined;
  readonly rewrite: ApiRewriteFilter | undefined;
  readonly mirrors: HttpRoute['mirrors'];
  /** It is named by its host, whether or not a document declares it. */
  readonly isHostname: boolean;
  /** It has a filter that is not carried out. */
  readonly isBroken: boolean;
}

/** How a listener of the Gateway API ends TLS. */
export interface ApiTlsExtras {
  /** The names of its certificates for SDS. */
  readonly certificates: readonly string[];
  /** Roots for certificates of clients, as PEM; undefined = nobody is asked for one. */
  readonly clientRoots: string | undefined;
  /** Clients without a good certificate may call, too. */
  readonly allowsAnyClient: boolean;
}

/** The parsed specification of each kind, with Istio's field names; durations are milliseconds. */
export interface KindSpecs {
  readonly VirtualService: VirtualServiceContent;
  readonly DestinationRule: DeepReadonly<z.output<typeof destinationRuleSchema>>;
  readonly ServiceEntry: DeepReadonly<z.output<typeof serviceEntrySchema>>;
  readonly WorkloadEntry: DeepReadonly<z.output<typeof workloadEntrySchema>>;
  readonly PeerAuthentication: DeepReadonly<z.output<typeof peerAuthenticationSchema>>;
  readonly RequestAuthentication: DeepReadonly<z.output<typeof requestAuthenticationSchema>>;
  readonly AuthorizationPolicy: DeepReadonly<z.output<typeof authorizationPolicySchema>>;
  readonly Gateway: GatewayContent;
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
  readonly GatewayClass: DeepReadonly<z.output<typeof gatewayClassSchema>>;
  /** That of the Gateway API; `Gateway` is Istio's. */
  readonly 'Gateway.gateway.networking.k8s.io': DeepReadonly<z.output<typeof apiGatewaySchema>>;
  readonly ListenerSet: DeepReadonly<z.output<typeof listenerSetSchema>>;
  readonly HTTPRoute: DeepReadonly<z.output<typeof httpRouteSchema>>;
  readonly GRPCRoute: DeepReadonly<z.output<typeof grpcRouteSchema>>;
  readonly TLSRoute: DeepReadonly<z.output<typeof tlsRouteSchema>>;
  readonly TCPRoute: DeepReadonly<z.output<typeof tcpRouteSchema>>;
  readonly ReferenceGrant: DeepReadonly<z.output<typeof referenceGrantSchema>>;
  readonly BackendTLSPolicy: DeepReadonly<z.output<typeof backendTlsPolicySchema>>;
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
export type EnvoyFilterPatch = Item<KindSpecs['EnvoyFilter']['configPatches']>;
export type MeshConfigSpec = KindSpecs['MeshConfig'];
export type RateLimitPolicySpec = KindSpecs['RateLimitPolicy'];
export type QuotaSpec = KindSpecs['Quota'];
export type AccessLogging = Item<KindSpecs['Telemetry']['accessLogging']>;
export type Tracing = Item<KindSpecs['Telemetry']['tracing']>;
export type MeshProxySpec = NonNullable<KindSpecs['MeshConfig']['defaultConfig']>;
export type ExtensionProviderSpec = Item<KindSpecs['MeshConfig']['extensionProviders']>;
export type LogProvider = Item<KindSpecs['MeshConfig']['extensionProviders']>;
export type SidecarSpec = KindSpecs['Sidecar'];
export type TelemetrySpec = KindSpecs['Telemetry'];
export type EnvoyFilterSpec = KindSpecs['EnvoyFilter'];
export type WasmPluginSpec = KindSpecs['WasmPlugin'];
export type TrafficExtensionSpec = KindSpecs['TrafficExtension'];
export type WorkloadGroupSpec = KindSpecs['WorkloadGroup'];
export type ServiceSpec = KindSpecs['Service'];

export type RequestAuthenticationSpec = KindSpecs['RequestAuthentication'];
export type JwtRule = Item<RequestAuthenticationSpec['jwtRules']>;
export type AuthorizationPolicySpec = KindSpecs['AuthorizationPolicy'];
export type AuthorizationRule = Item<AuthorizationPolicySpec['rules']>;
export type AuthorizationSource = Part<Item<AuthorizationRule['from']>, 'source'>;
export type AuthorizationOperation = Part<Item<AuthorizationRule['to']>, 'operation'>;
