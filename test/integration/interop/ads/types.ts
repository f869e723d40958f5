/** The resource types that the server has, by Envoy's short names. */
export const TYPE_URLS = {
  CDS: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  EDS: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  LDS: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  RDS: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  RTDS: 'type.googleapis.com/envoy.service.runtime.v3.Runtime',
  SDS: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
} as const;

export type Short = keyof typeof TYPE_URLS;

/** The short name of a type URL. */
export function shortOf(typeUrl: string): Short | undefined {
  return (Object.entries(TYPE_URLS) as [Short, string][]).find(([, url]) => url === typeUrl)?.[0];
}

/** xDS: of these a response is the complete set, and asking for no names means all. */
export function isComplete(type: Short): boolean {
  return type === 'LDS' || type === 'CDS';
}

/** What the referee expects to become of a response. */
export type Verdict = 'ack' | 'nack' | 'either';

/** A state-of-the-world request as it came in. */
export interface SotwMessage {
  readonly version_info: string;
  readonly node: { readonly id: string } | null;
  readonly resource_names: readonly string[];
  readonly type_url: string;
  readonly response_nonce: string;
  readonly error_detail: { readonly code: number; readonly message: string } | null;
}

/** A delta request as it came in. */
export interface DeltaMessage {
  readonly node: { readonly id: string } | null;
  readonly type_url: string;
  readonly resource_names_subscribe: readonly string[];
  readonly resource_names_unsubscribe: readonly string[];
  readonly initial_resource_versions: Readonly<Record<string, string>>;
  readonly response_nonce: string;
  readonly error_detail: { readonly code: number; readonly message: string } | null;
}
