import type { CredentialsSource } from './channel-credentials.js';
import type { ProtocolKind } from './engine.js';
import type { RequestRate } from './request-gate.js';

/** What a bootstrap says about how a server behaves (`server_features`). */
export interface ServerFeatures {
  /** gRFC A53: what a complete response lacks stays in use. */
  readonly ignoreResourceDeletion: boolean;
  /** gRFC A81: the server may rewrite authorities. */
  readonly isTrusted: boolean;
  /** gRFC A88: a value that the server removed, or replaced by one that is refused, is dropped instead of kept. */
  readonly failOnDataErrors: boolean;
  /** gRFC A88: a resource that is not answered in time is an outage, not an absence. */
  readonly timerIsTransientError: boolean;
}

/** One management server, and how to talk to it. */
export interface XdsServer {
  /** gRPC target: `host:port`, `dns:///host:port`, `unix:/path`. */
  readonly target: string;
  /** Servers of equal keys share one connection. */
  readonly key: string;
  /** Default: plaintext to this machine, TLS with the platform's roots to any other. */
  readonly credentials: CredentialsSource | undefined;
  readonly features: ServerFeatures;
  /** One stream for all types (ADS), or one for each. */
  readonly streams: 'aggregated' | 'separate';
  /** State of the world (default), or incremental. */
  readonly protocol: ProtocolKind;
  /** Interval of pings while a stream stands, in milliseconds. */
  readonly keepaliveMs: number;
  /** How many requests a stream may send (Envoy `rate_limit_settings`); undefined = any number. */
  readonly requestRate: RequestRate | undefined;
}

/** What may be said about a server; all but its target has a default. */
export interface XdsServerInput extends Partial<Omit<XdsServer, 'features' | 'target'>> {
  readonly target: string;
  readonly features?: Partial<ServerFeatures>;
}

/** A server with every default filled in. */
export function xdsServer(input: XdsServerInput): XdsServer {
  return {
    target: input.target,
    key: input.key ?? input.target,
    credentials: input.credentials,
    streams: input.streams ?? 'aggregated',
    protocol: input.protocol ?? 'sotw',
    keepaliveMs: input.keepaliveMs ?? 30_000,
    requestRate: input.requestRate,
    features: {
      ignoreResourceDeletion: false,
      isTrusted: false,
      failOnDataErrors: false,
      timerIsTransientError: false,
      ...input.features,
    },
  };
}
