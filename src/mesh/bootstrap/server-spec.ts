import type { RequestRate } from '../../xds/request-gate.js';
import type { ServerFeatures } from '../../xds/server.js';

/** How a connection to a control plane is secured, as configuration says it. */
export type ChannelSecurity =
  /** Plaintext to this machine, TLS with the platform's roots to any other. */
  | { readonly kind: 'default' }
  | { readonly kind: 'insecure' }
  | ({ readonly kind: 'tls' } & TlsFiles)
  /** Mutual TLS with this workload's own certificate; the server must be one of these SPIFFE IDs. */
  | { readonly kind: 'mesh'; readonly serverIds: readonly string[] };

/** The PEM files of TLS (gRFC A65). */
export interface TlsFiles {
  /** Undefined = the platform's roots. */
  readonly caFile: string | undefined;
  /** With `keyFile`, or neither: then the client proves nothing. */
  readonly certificateFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** What the certificate provider `file_watcher` reads (gRFC A29). */
export interface ProviderFiles extends TlsFiles {
  /** SPIFFE bundles of several trust domains, in place of `caFile` (gRFC A87). */
  readonly bundleMapFile?: string | undefined;
  /** How often they are looked at, besides when the file system tells of a change. */
  readonly refreshMs: number;
}

/** A management server, as configuration says it. */
export interface ServerSpec {
  /** gRPC target: `host:port` or `unix:/path`. */
  readonly target: string;
  readonly security: ChannelSecurity;
  /** File with a JWT that goes along with each stream (gRFC A97). */
  readonly tokenFile: string | undefined;
  readonly features: ServerFeatures;
  readonly streams: 'aggregated' | 'separate';
  readonly protocol: 'sotw' | 'delta';
  readonly keepaliveMs: number;
  /** How many requests a stream may send; undefined = any number. */
  readonly requestRate?: RequestRate | undefined;
}

/** Who answers for the names of an authority, as configuration says it. */
export interface AuthoritySpec {
  /** Empty = those of the top level. */
  readonly servers: readonly ServerSpec[];
  /** Makes the name of a listener from a target (gRFC A47). */
  readonly listenerTemplate: string;
}

/** No feature at all. */
export const NO_FEATURES: ServerFeatures = {
  ignoreResourceDeletion: false,
  isTrusted: false,
  failOnDataErrors: false,
  timerIsTransientError: false,
};

/** The authority of our own control plane's identity, in the trust domain of the workload. */
export const CONTROL_PLANE_PATH = '/ns/istio-system/sa/istiod';

/** As istiod and our control plane allow it: half-open connections are found within 40 s. */
export const CLOSE_KEEPALIVE_MS = 30_000;
/** Go's servers end connections that ping more often than every 5 minutes, unless told otherwise; gRPC's xDS clients do so. */
export const CAREFUL_KEEPALIVE_MS = 300_000;
