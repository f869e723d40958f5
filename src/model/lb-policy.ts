import type { HashPolicy } from './hash-policy.js';
import type { MetadataStruct } from './metadata.js';
import type { MetadataPath } from './rate-limit.js';

/** Load-balancing policy of a cluster. */
export type LbPolicy =
  | RoundRobinPolicy
  | LeastRequestPolicy
  | RandomPolicy
  | ClientSideWrrPolicy
  | RingHashPolicy
  | MaglevPolicy
  | PickFirstPolicy
  | SubsetPolicy
  | OverrideHostPolicy
  | ClusterProvidedPolicy;

/** In turn; in proportion to the weights of hosts. */
export interface RoundRobinPolicy {
  readonly kind: 'round-robin';
  readonly slowStart?: SlowStart | undefined;
  readonly locality?: LocalityBalancing | undefined;
}

/** Power of `choiceCount` random choices by active requests. */
export interface LeastRequestPolicy {
  readonly kind: 'least-request';
  readonly choiceCount: number;
  /** Exponent of the active requests where weights differ. Default 1. */
  readonly activeRequestBias: number;
  /** All hosts are compared, not `choiceCount` of them. */
  readonly fullScan?: true | undefined;
  readonly slowStart?: SlowStart | undefined;
  readonly locality?: LocalityBalancing | undefined;
}

/** Any host with equal chance, whatever its weight. */
export interface RandomPolicy {
  readonly kind: 'random';
  readonly locality?: LocalityBalancing | undefined;
}

/** Envoy SlowStartConfig: new hosts get their share of requests little by little. */
export interface SlowStart {
  /** How long it takes. */
  readonly windowMs: number;
  /** Above 1, the weight grows fast at first. Default 1: evenly. */
  readonly aggression: number;
  /** Part of its weight that a host gets from the start. Default 10. */
  readonly minWeightPercent: number;
}

/**
 * Envoy client_side_weighted_round_robin (gRFC A58): in turn, by weights that follow from what the hosts say of their
 * load. The weights that the control plane gives do not count.
 */
export interface ClientSideWrrPolicy {
  readonly kind: 'client-side-wrr';
  /**
   * Hosts report over a stream so often (0 = as they like), in place of a report with each response; undefined = they do
   * not.
   */
  readonly oobPeriodMs: number | undefined;
  /** How long a host must report before its weight counts. Default 10 s. */
  readonly blackoutMs: number;
  /** The weight of a host that was silent for so long does not count. Default 3 min. */
  readonly expirationMs: number;
  /** How often weights are worked out. At least 100 ms, default 1 s. */
  readonly updateMs: number;
  /** How much the share of failures adds to the utilization. Default 1. */
  readonly errorPenalty: number;
  /** What of a report is the utilization: the largest of these, else the application's, else that of the CPU. */
  readonly metricNames: readonly string[];
  readonly slowStart?: SlowStart | undefined;
  /** Set by the policy around it (`wrr_locality`). */
  readonly locality?: { readonly kind: 'weighted' } | undefined;
}

/** The cluster provides its hosts itself: original destination, aggregate (Envoy CLUSTER_PROVIDED). */
export interface ClusterProvidedPolicy {
  readonly kind: 'cluster-provided';
}

/** How a policy treats localities. Undefined: zone-aware with Envoy's defaults. */
export type LocalityBalancing =
  /** By the weights that the control plane gives to localities (Envoy `locality_weighted_lb_config`). */
  { readonly kind: 'weighted' } | ZoneAware;

/**
 * Envoy ZoneAwareLbConfig: requests stay in the own zone as far as it has the capacity. Without effect where the local
 * cluster is not known.
 */
export interface ZoneAware {
  readonly kind: 'zone-aware';
  /** Percentage of requests that this holds for. Default 100. */
  readonly routingEnabledPercent: number;
  /** Healthy hosts that an upstream needs for it. Default 6. */
  readonly minClusterSize: number;
  /** Whether requests fail in a panic, when they would go to any host otherwise. Default false. */
  readonly failTrafficOnPanic: boolean;
  /** The own zone takes everything when it has hosts. Default false. */
  readonly forceLocalityDirect: boolean;
  /** The own zone takes everything when it has that many healthy hosts; undefined = does not. */
  readonly forceLocalZoneMinSize: number | undefined;
  /** Zones are compared by the number or by the weights of their healthy hosts. Default number. */
  readonly basis: 'number' | 'weight';
}

export const DEFAULT_ZONE_AWARE: ZoneAware = {
  kind: 'zone-aware',
  routingEnabledPercent: 100,
  minClusterSize: 6,
  failTrafficOnPanic: false,
  forceLocalityDirect: false,
  forceLocalZoneMinSize: undefined,
  basis: 'number',
};

/** What policies have in common by which a request's hash decides. */
export interface HashBalancing {
  /** The name of a host is its key, in place of its address. */
  readonly useHostname: boolean;
  /** Percentage of the average load that a host may have; 0 = any. */
  readonly balanceFactorPercent: number;
  /** What requests are placed by; undefined = by what their route says. */
  readonly hashPolicies?: readonly HashPolicy[] | undefined;
  /** Whether localities get places by the weights that the control plane gives to them. */
  readonly localityWeighted: boolean;
}

/** Envoy RING_HASH (ketama). */
export interface RingHashPolicy extends HashBalancing {
  readonly kind: 'ring-hash';
  readonly hashFunction: 'xx-hash' | 'murmur-hash-2';
  /** Default 1024. */
  readonly minimumRingSize: number;
  /** Default 8 Mi. */
  readonly maximumRingSize: number;
}

/** Envoy MAGLEV. */
export interface MaglevPolicy extends HashBalancing {
  readonly kind: 'maglev';
  /** A prime; default 65537. */
  readonly tableSize: number;
}

/** Where requests go for whose metadata there is no subset. */
export type SubsetFallback = 'none' | 'any-endpoint' | 'default-subset';

/** Envoy LbSubsetConfig: hosts are parted by their `envoy.lb` metadata, and requests choose the part by theirs. */
export interface SubsetPolicy {
  readonly kind: 'subset';
  readonly fallback: SubsetFallback;
  /** What hosts of the default subset have; all hosts have nothing. */
  readonly defaultSubset: MetadataStruct;
  readonly selectors: readonly SubsetSelector[];
  /** Localities keep the weights that the control plane gives to them. Default false. */
  readonly localityWeightAware: boolean;
  /** Those weights shrink with the part of a locality's hosts that is in the subset. Default false. */
  readonly scaleLocalityWeight: boolean;
  /** When the fallback has nobody, any host serves. Default false. */
  readonly panicModeAny: boolean;
  /** A list in a host's metadata stands for each of its elements. Default false. */
  readonly listAsAny: boolean;
  /** The request's `fallback_list` holds alternatives to try in order. Default false. */
  readonly fallbackList: boolean;
  /** Requests may name more keys than the longest selector that fits. Default false. */
  readonly allowRedundantKeys: boolean;
  /** Chooses within a subset. */
  readonly child: ChildPolicy;
}

/** One way to part the hosts: by their values of these keys. */
export interface SubsetSelector {
  /** In order, each once. */
  readonly keys: readonly string[];
  /** Undefined: the policy's own. */
  readonly fallback: SubsetFallback | 'keys-subset' | undefined;
  /** Keys by which a request is placed when there is no subset by all of them; with `keys-subset`. */
  readonly fallbackKeys: readonly string[];
  /** Each subset is the first host that has the values, whatever its health. */
  readonly singleHostPerSubset: boolean;
}

/** gRPC pick_first (A62): one host serves everything until it is down. */
export interface PickFirstPolicy {
  readonly kind: 'pick-first';
  /** Hosts are put in a random order first. */
  readonly shuffle: boolean;
  /** With weights, one host in each locality. */
  readonly locality?: LocalityBalancing | undefined;
}

/** Envoy override_host: the request names the hosts that it wants, by preference. */
export interface OverrideHostPolicy {
  readonly kind: 'override-host';
  /** Where it names them; all are read, in order. */
  readonly sources: readonly HostRequestSource[];
  /** Where in the dynamic metadata the address of the host that was chosen is put; undefined = nowhere. */
  readonly selectedHostKey: MetadataPath | undefined;
  /** Chooses when none of those hosts is there, and when all had their turn. */
  readonly child: ChildPolicy;
}

/** A list of `address:port`, separated by commas. */
export type HostRequestSource =
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'metadata'; readonly path: MetadataPath };

/** A policy that may stand inside another one. */
export type ChildPolicy = Exclude<LbPolicy, ClusterProvidedPolicy>;
