import type { GrpcService, NamedFormat } from './grpc-service.js';
import type { HttpUri } from './http-uri.js';
import type { StringMatcher } from './matcher.js';
import type { HeaderMutationRules } from './mutation-rules.js';
import type { FractionalPercent } from './percent.js';
import type { RuntimeKeys } from './runtime.js';
import type { MetadataMatcher } from './value-matcher.js';

/** How much of a request's body the service sees. */
export interface AuthzBody {
  readonly maxBytes: number;
  /** A longer body is cut off; else such a request is refused (413). */
  readonly allowPartial: boolean;
  /** gRPC: as bytes instead of text. */
  readonly packAsBytes: boolean;
}

/** An authorization service over HTTP. */
export interface AuthzHttpService {
  readonly kind: 'http';
  readonly uri: HttpUri;
  /** Goes before the path of the request. */
  readonly pathPrefix: string;
  readonly headersToAdd: readonly NamedFormat[];
  /** Which headers of the answer go where; matched by name. */
  readonly upstreamHeaders: readonly StringMatcher[];
  readonly upstreamHeadersToAppend: readonly StringMatcher[];
  /** Empty = all. */
  readonly clientHeaders: readonly StringMatcher[];
  readonly clientHeadersOnSuccess: readonly StringMatcher[];
  readonly dynamicMetadataFromHeaders: readonly StringMatcher[];
}

/** An authorization service over gRPC. */
export interface AuthzGrpcService {
  readonly kind: 'grpc';
  readonly service: GrpcService;
}

/** Envoy `envoy.filters.http.ext_authz`: a service decides about each request. */
export interface ExtAuthzConfig {
  readonly kind: 'ext-authz';
  readonly service: AuthzHttpService | AuthzGrpcService;
  /** Lets requests pass while the service has no answer. */
  readonly failureModeAllow: boolean;
  /** Tells the upstream so: `x-envoy-auth-failure-mode-allowed: true`. */
  readonly failureModeAllowHeaderAdd: boolean;
  /** The route is chosen anew when the service changed the request. Default false. */
  readonly clearRouteCache?: true | undefined;
  /** Undefined = none. */
  readonly body: AuthzBody | undefined;
  /** Default 403. */
  readonly statusOnError: number;
  /** Invalid changes fail the request (500) instead of being made valid or passed over. */
  readonly validateMutations: boolean;
  /** Namespaces of dynamic metadata, and of the route's metadata, that the service sees. */
  readonly metadataNamespaces: readonly string[];
  readonly routeMetadataNamespaces: readonly string[];
  /** Undefined = every request. */
  readonly enabled: FractionalPercent | undefined;
  /** Of the requests' dynamic metadata; undefined = every request. */
  readonly enabledMetadata: MetadataMatcher | undefined;
  /** Requests that it is not enabled for are refused instead of let through. */
  readonly denyAtDisable: boolean;
  readonly runtimeKeys?: RuntimeKeys<'denyAtDisable'> | undefined;
  readonly includePeerCertificate: boolean;
  readonly includeTlsSession: boolean;
  /** Headers that the service sees; undefined = all over gRPC, the fewest over HTTP. */
  readonly allowedHeaders: readonly StringMatcher[] | undefined;
  readonly disallowedHeaders: readonly StringMatcher[];
  /** gRPC: headers as a list of bytes instead of a map of texts. */
  readonly encodeRawHeaders: boolean;
  /** Undefined = the service may change every header. */
  readonly mutationRules: HeaderMutationRules | undefined;
  /** Takes over what the service says as dynamic metadata. Default true. */
  readonly ingestMetadata: boolean;
  /** Tells the figures of several instances apart. */
  readonly statPrefix: string;
  /** Refusals count as answers of the cluster that the request was for. Default true. */
  readonly chargeCluster: boolean;
}

/** What a route, virtual host or weighted cluster does instead. */
export interface ExtAuthzRouteConfig {
  readonly kind: 'ext-authz-route';
  /** Undefined = nobody is asked here. */
  readonly settings:
    | {
        /** Sent along; those of more specific levels win. */
        readonly contextExtensions: ReadonlyMap<string, string>;
        readonly disableBody: boolean;
        /** Replaces that of the filter. */
        readonly body: AuthzBody | undefined;
      }
    | undefined;
}
