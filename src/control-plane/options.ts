import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../runtime/log.js';
import type { CallerOptions } from './access/callers.js';
import type { AdminAccess } from './access/roles.js';
import type { BundleEndpointOptions } from './bundle-endpoint.js';
import type { ControlPlaneCaOptions, FederatedSource } from './ca-parts.js';
import type { IssuerKeysOptions } from './issuer-keys.js';
import type { ExtensionProviderInput } from './mesh/extension-provider.js';
import type { LocalityLbSetting, PathNormalization, ZoneAwareLbSetting } from './mesh/mesh-config.js';
import type { RuntimeLayers } from './runtime-layers.js';
import type { StreamLimits } from './serve/admission.js';
import type { AccessLimits, ConnectionLimits } from './serve/grpc-server.js';
import type { ResourceTtlOptions } from './serve/resource-ttls.js';
import type { DocumentSet } from './sources/memory-source.js';
import type { ConfigSource } from './sources/source.js';
import type { MassRemovalOptions } from './store/mass-removal.js';

/** What `createControlPlane` takes; everything has a default. */
export interface ControlPlaneOptions {
  /** A file or folder of YAML, watched; the mesh of a program (`defineMesh` of `inmesh/config`); or a list of both. */
  readonly config?: string | DocumentSet | readonly (string | DocumentSet)[];
  /** Further sources of configuration. */
  readonly sources?: readonly ConfigSource[];
  /** Folder for what outlives the process: the root certificate with its key, and who is registered. In memory by default. */
  readonly dataDir?: string;
  /**
   * IP address that the secure port listens on, e.g. `0.0.0.0`; the other ports stay on loopback. Default 127.0.0.1.
   * On other addresses than loopback every caller has to prove who it is (`callers`).
   */
  readonly host?: string;
  /** Names and IP addresses that clients call the control plane by, besides `localhost` and `host`: they go into its certificate. */
  readonly names?: readonly string[];
  /** By what workloads prove who they are, besides certificates of this mesh and join tokens. */
  readonly callers?: CallerOptions;
  /**
   * Who may use the status API. Where loopback is not trusted and there is a `dataDir`, its file `admin.token` (mode 0600)
   * is the bearer token of an admin.
   */
  readonly admin?: AdminAccess;
  /**
   * Istio's ports by default (15010, 15012, 15014); 0 takes any free one. `xds` is plaintext on loopback: false = none,
   * which is the default where loopback is not trusted. `metrics` serves `/metrics` and health, and nothing else, on `host`.
   */
  readonly ports?: {
    readonly xds?: number | false;
    readonly secureXds?: number;
    readonly http?: number;
    readonly metrics?: number;
  };
  /** SPIFFE trust domain. Default `cluster.local`. */
  readonly trustDomain?: string;
  /** Istio's `trustDomainAliases`: to policies their members are those of the trust domain. Default none. */
  readonly trustDomainAliases?: readonly string[];
  /** Istio's `extensionProviders`, as far as they authorize: what policies of action CUSTOM ask. Default none. */
  readonly extensionProviders?: readonly ExtensionProviderInput[];
  /**
   * Whether a workload may have several of them, each asked about what its policies match (Istio:
   * PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS). Default false: then such a workload refuses what they match.
   */
  readonly severalAuthorizationProviders?: boolean;
  /**
   * Istio's `outboundTrafficPolicy.mode`: whether hosts that the mesh does not know are let through, or answered with
   * 502. Default `ALLOW_ANY`.
   */
  readonly outboundTrafficPolicy?: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  /**
   * Istio's mesh-wide `localityLbSetting`, for destinations whose DestinationRule says nothing of localities. Default:
   * enabled, so that clients prefer near endpoints wherever there is outlier detection.
   */
  readonly localityLbSetting?: LocalityLbSetting;
  /** Istio's mesh-wide `zoneAwareLbSetting`; where it is enabled it replaces `localityLbSetting`. Default: none. */
  readonly zoneAwareLbSetting?: ZoneAwareLbSetting;
  /**
   * Istio's mesh-wide `pathNormalization`: what is done to the paths of requests before routes and policies look at them.
   * Default `BASE`.
   */
  readonly pathNormalization?: PathNormalization;
  /** Life of workload certificates in milliseconds. Default 24 hours. */
  readonly workloadCertificateLifeMs?: number;
  /** The certificate authority: plugged in or external, its keys, roots and intermediates. */
  readonly certificateAuthority?: ControlPlaneCaOptions;
  /** Publishes the trust domain's bundle for others (SPIFFE federation). Default: not at all. */
  readonly bundleEndpoint?: BundleEndpointOptions;
  /** Other trust domains whose workloads are trusted, each by its bundle; ended with the control plane. */
  readonly federation?: readonly FederatedSource[];
  /**
   * Changes that would remove more than a share of the services, endpoints or documents at once are held back until they
   * are confirmed; false = never. Default: more than half, of at least 10.
   */
  readonly massRemoval?: MassRemovalOptions | false;
  /** How long endpoints outlive the stream that registered them, so that a reconnect is no outage. Default 2000 ms. */
  readonly registrationGraceMs?: number;
  /** Istio's PILOT_DEBOUNCE_AFTER and PILOT_DEBOUNCE_MAX in milliseconds. Default 100 and 10 000. */
  readonly debounceMs?: { readonly quietMs: number; readonly maxMs: number };
  /**
   * After a start, how long clients that had configuration before keep it, so that workloads can register again: until
   * nothing registered for `quietMs`, `maxMs` at most. Default 1000 and 5000.
   */
  readonly settleMs?: { readonly quietMs: number; readonly maxMs: number };
  /**
   * Clients are to report the load of their clusters (LRS) so often, in milliseconds. By default clusters do not say so,
   * and only clients that report by themselves do, every 10 s.
   */
  readonly loadReportIntervalMs?: number;
  /** How the keys of the issuers of tokens are fetched (RequestAuthentication). */
  readonly issuerKeys?: IssuerKeysOptions;
  /** Layers of the runtime that clients may ask for by name (RTDS). */
  readonly runtime?: RuntimeLayers;
  /**
   * Resources that end for clients that hear nothing of this control plane for so long (xDS `ttl`): it sends heartbeats.
   * By default none end: without a control plane the newest configuration stays in force.
   */
  readonly resourceTtl?: ResourceTtlOptions;
  /** What clients may take up. */
  readonly limits?: ControlPlaneLimits;
  readonly logger?: Logger;
  /** For tests. */
  readonly clock?: Clock;
}

/** What the clients of a control plane may take up. */
export interface ControlPlaneLimits extends ConnectionLimits, StreamLimits, AccessLimits {
  /** How many clients may be in the middle of a transfer; Istio's PILOT_PUSH_THROTTLE. Default 100. */
  readonly transfers?: number;
  /** A client that reads nothing for so long is cut off, in milliseconds. Default 30 000. */
  readonly sendTimeoutMs?: number;
}
