import { create, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type { ChildPolicy, LbPolicy, LocalityBalancing, RoundRobinPolicy } from '../model/lb-policy.js';
import { packAny } from '../proto/any.js';
import {
  cluster,
  lbClientSideWeightedRoundRobin,
  lbClusterProvided,
  lbLeastRequest,
  lbMaglev,
  lbOverrideHost,
  lbPickFirst,
  lbRandom,
  lbRingHash,
  lbRoundRobin,
  lbSubset,
  lbWrrLocality,
  type wkt,
} from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { decodeClientSideWrr, encodeClientSideWrr } from './lb-client-side-wrr.js';
import { extension } from './lb-extension.js';
import { decodeMaglev, decodeRingHash, encodeMaglev, encodeRingHash } from './lb-hash.js';
import { decodeLeastRequest, decodeRandom, decodeRoundRobin, encodeListPolicy } from './lb-list.js';
import { decodeOlderFields, refuseOlderFields } from './lb-older-fields.js';
import { decodeOverrideHost, encodeOverrideHost } from './lb-override-host.js';
import { decodePickFirst, encodePickFirst } from './lb-pick-first.js';
import { decodeSubset, encodeSubset } from './lb-subset.js';
import { decodeWrrLocality, encodeWrrLocality } from './lb-wrr-locality.js';
import { at, type Path, refuse, required } from './path.js';

/** gRPC A52: policies nest so deep at most. */
const MAX_DEPTH = 16;

/** The policy of a cluster: from the list of extensions when there is one, else from the older fields. */
export function decodeLbPolicy(message: cluster.Cluster, path: Path): LbPolicy {
  if (message.loadBalancingPolicy === undefined) return decodeOlderFields(message, path);
  refuseOlderFields(message, path);
  return decodePolicyList(message.loadBalancingPolicy, at(path, 'load_balancing_policy'), 1);
}

/** The policy inside another one. */
function decodeChild(list: cluster.LoadBalancingPolicy | undefined, path: Path, depth: number): ChildPolicy {
  if (depth === MAX_DEPTH) refuse(path, 'is nested too deep');
  const policy = decodePolicyList(required(list, path), path, depth + 1);
  if (policy.kind === 'cluster-provided') refuse(at(path, 'policies'), 'must not be cluster_provided');
  return policy;
}

/** Envoy: the first policy of the list that is known is used. */
function decodePolicyList({ policies }: cluster.LoadBalancingPolicy, path: Path, depth: number): LbPolicy {
  for (const [index, policy] of policies.entries()) {
    const configPath = at(at(path, 'policies', index), 'typed_extension_config');
    const any = required(policy.typedExtensionConfig?.typedConfig, at(configPath, 'typed_config'));
    const known = decodeExtension(any, at(configPath, 'typed_config'), depth);
    if (known !== undefined) return known;
  }
  const names = policies.map(({ typedExtensionConfig }) => typedExtensionConfig?.typedConfig?.typeUrl);
  return refuse(at(path, 'policies'), `none of ${JSON.stringify(names)} is supported`);
}

type Decode = (any: wkt.Any, path: Path, depth: number) => LbPolicy | undefined;

/** Every extension that is known: a new one is a line here and one in `encodeExtension`. */
const EXTENSIONS: readonly Decode[] = [
  known(() => lbRoundRobin.RoundRobinSchema, decodeRoundRobin),
  known(() => lbLeastRequest.LeastRequestSchema, decodeLeastRequest),
  known(() => lbRandom.RandomSchema, decodeRandom),
  known(() => lbRingHash.RingHashSchema, decodeRingHash),
  known(() => lbMaglev.MaglevSchema, decodeMaglev),
  known(() => lbPickFirst.PickFirstSchema, decodePickFirst),
  known(() => lbClientSideWeightedRoundRobin.ClientSideWeightedRoundRobinSchema, decodeClientSideWrr),
  known(
    () => lbClusterProvided.ClusterProvidedSchema,
    () => ({ kind: 'cluster-provided' }),
  ),
  // Those that have another policy inside.
  known(
    () => lbSubset.SubsetSchema,
    (message, path, depth) => {
      const child = decodeChild(message.subsetLbPolicy, at(path, 'subset_lb_policy'), depth);
      return decodeSubset(message, child, path);
    },
  ),
  known(
    () => lbOverrideHost.OverrideHostSchema,
    (message, path, depth) => {
      const child = decodeChild(message.fallbackPolicy, at(path, 'fallback_policy'), depth);
      return decodeOverrideHost(message, child, path);
    },
  ),
  known(
    () => lbWrrLocality.WrrLocalitySchema,
    (message, path, depth) => {
      const childPath = at(path, 'endpoint_picking_policy');
      return decodeWrrLocality(decodeChild(message.endpointPickingPolicy, childPath, depth), childPath);
    },
  ),
];

function known<Desc extends DescMessage>(
  schema: () => Desc,
  decode: (message: MessageShape<Desc>, path: Path, depth: number) => LbPolicy,
): Decode {
  return (any, path, depth) => {
    const message = decodeAny(schema(), any, path);
    return message && decode(message, path, depth);
  };
}

function decodeExtension(any: wkt.Any, path: Path, depth: number): LbPolicy | undefined {
  for (const decode of EXTENSIONS) {
    const policy = decode(any, path, depth);
    if (policy !== undefined) return policy;
  }
  return undefined;
}

/**
 * The cluster's fields that say the policy. Round robin goes in the older field, which every client understands; the
 * others as a list that ends in round robin, so that a client which does not know them still gets one it knows.
 */
export function encodeLbPolicy(policy: LbPolicy): Pick<cluster.Cluster, 'lbPolicy' | 'loadBalancingPolicy'> {
  if (isPlain(policy)) return { lbPolicy: cluster.Cluster_LbPolicy.ROUND_ROBIN };
  if (policy.kind === 'cluster-provided') return { lbPolicy: cluster.Cluster_LbPolicy.CLUSTER_PROVIDED };
  return {
    lbPolicy: cluster.Cluster_LbPolicy.LOAD_BALANCING_POLICY_CONFIG,
    loadBalancingPolicy: create(cluster.LoadBalancingPolicySchema, {
      policies: [encodeExtension(policy), ...fallbackOf(policy)],
    }),
  };
}

/** What goes after a policy, for clients that do not know it. */
function fallbackOf(policy: ChildPolicy): cluster.LoadBalancingPolicy_Policy[] {
  // Who would send requests of a subset to any host had better refuse the cluster.
  if (policy.kind === 'subset') return [];
  if (policy.kind === 'override-host') return [encodeExtension(policy.child), ...fallbackOf(policy.child)];
  return [encodeExtension({ kind: 'round-robin', locality: localityOf(policy) })];
}

function encodeChild(policy: ChildPolicy): cluster.LoadBalancingPolicy {
  return create(cluster.LoadBalancingPolicySchema, { policies: [encodeExtension(policy)] });
}

/** Whether the older field of round robin says all of it. */
export function isPlain(policy: LbPolicy): policy is RoundRobinPolicy {
  if (policy.kind !== 'round-robin' || policy.slowStart !== undefined) return false;
  return policy.locality?.kind !== 'zone-aware';
}

function encodeExtension(policy: ChildPolicy): cluster.LoadBalancingPolicy_Policy {
  switch (policy.kind) {
    case 'ring-hash':
      return extension('ring_hash', packAny(lbRingHash.RingHashSchema, encodeRingHash(policy)));
    case 'maglev':
      return extension('maglev', packAny(lbMaglev.MaglevSchema, encodeMaglev(policy)));
    case 'subset': {
      const message = encodeSubset(policy, encodeChild(policy.child));
      return extension('subset', packAny(lbSubset.SubsetSchema, message));
    }
    case 'override-host': {
      const message = encodeOverrideHost(policy, encodeChild(policy.child));
      return extension('override_host', packAny(lbOverrideHost.OverrideHostSchema, message));
    }
    case 'client-side-wrr': {
      const { locality, ...plain } = policy;
      if (locality !== undefined) return encodeWrrLocality(encodeChild(plain));
      const schema = lbClientSideWeightedRoundRobin.ClientSideWeightedRoundRobinSchema;
      return extension('client_side_weighted_round_robin', packAny(schema, encodeClientSideWrr(policy)));
    }
    case 'pick-first': {
      const { locality, ...plain } = policy;
      if (locality === undefined) return encodePickFirst(policy);
      // Its message does not know of localities: the policy around it does.
      return encodeWrrLocality(encodeChild(plain));
    }
    default:
      return encodeListPolicy(policy);
  }
}

type PlainPolicy = Exclude<ChildPolicy, { readonly child: unknown }>;

/** How a policy treats localities, whatever field says it. */
function localityOf(policy: PlainPolicy): LocalityBalancing | undefined {
  if (policy.kind === 'ring-hash' || policy.kind === 'maglev') {
    return policy.localityWeighted ? { kind: 'weighted' } : undefined;
  }
  return policy.locality;
}
