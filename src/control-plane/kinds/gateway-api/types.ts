import type { KindSpecs } from '../types.js';

type Item<T> = NonNullable<T> extends readonly (infer Element)[] ? Element : never;
type Part<T, Key extends keyof T> = NonNullable<T[Key]>;

export type ApiGatewaySpec = KindSpecs['Gateway.gateway.networking.k8s.io'];
export type ApiListener = Item<ApiGatewaySpec['listeners']>;
export type ListenerNamespaces = Part<ApiListener['allowedRoutes'], 'namespaces'>;
export type LabelSelector = Part<ListenerNamespaces, 'selector'>;
export type FrontendValidation = NonNullable<
  Part<Part<ApiGatewaySpec, 'tls'>, 'frontend'>['default']['validation']
>;

export type ApiHttpRouteSpec = KindSpecs['HTTPRoute'];
export type ApiHttpRule = Item<ApiHttpRouteSpec['rules']>;
export type ApiHttpMatch = Item<ApiHttpRule['matches']>;
export type ApiHttpFilter = Item<ApiHttpRule['filters']>;
export type ApiHttpBackend = Item<ApiHttpRule['backendRefs']>;
export type ApiHeaderFilter = Part<ApiHttpFilter, 'requestHeaderModifier'>;
export type ApiMirror = Part<ApiHttpFilter, 'requestMirror'>;
export type ApiRewrite = Part<ApiHttpFilter, 'urlRewrite'>;
export type ApiPathModifier = Part<ApiRewrite, 'path'>;
export type ApiCors = Part<ApiHttpFilter, 'cors'>;
export type ApiSessionPersistence = Part<ApiHttpRule, 'sessionPersistence'>;
export type ParentReference = Item<ApiHttpRouteSpec['parentRefs']>;

export type ApiGrpcRule = Item<KindSpecs['GRPCRoute']['rules']>;
export type ApiGrpcMatch = Item<ApiGrpcRule['matches']>;
export type ApiGrpcFilter = Item<ApiGrpcRule['filters']>;
export type ApiGrpcBackend = Item<ApiGrpcRule['backendRefs']>;

/** The kinds of routes. */
export type RouteKind = 'HTTPRoute' | 'GRPCRoute' | 'TLSRoute' | 'TCPRoute';
