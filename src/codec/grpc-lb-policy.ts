import { create } from '@bufbuild/protobuf';
import type { LbPolicy, LeastRequestPolicy } from '../model/lb-policy.js';
import { packAny } from '../proto/any.js';
import { cluster, lbLeastRequest, lbRoundRobin, xdsType } from '../proto/xds.js';
import { extension } from './lb-extension.js';
import { encodeWrrLocality } from './lb-wrr-locality.js';

type LbFields = Partial<Pick<cluster.Cluster, 'lbPolicy' | 'loadBalancingPolicy' | 'lbConfig'>>;

/** Envoy's defaults; gRPC has a lower limit of its own (gRFC A42). */
const DEFAULT_RING = 1024;
const MAX_RING = 8_388_608;

/**
 * The policy of a cluster as every gRPC client takes it. Round robin and the ring go in the older fields, which all read.
 * Least request goes in a list (gRFC A52) that ends in round robin, as only some know it (A48): clients use the first
 * policy of the list that they know.
 */
export function encodeGrpcLbPolicy(policy: LbPolicy): LbFields {
  switch (policy.kind) {
    case 'ring-hash':
      return ringHash(policy.minimumRingSize, policy.maximumRingSize);
    case 'maglev':
      // gRPC has no Maglev; a ring keeps requests at their hosts just as well.
      return ringHash(DEFAULT_RING, MAX_RING);
    case 'least-request':
      return {
        // Not read beside a list, but clients from before gRFC A52 know nothing else.
        lbPolicy: cluster.Cluster_LbPolicy.ROUND_ROBIN,
        loadBalancingPolicy: listOf(
          encodeWrrLocality(listOf(leastRequest(policy), roundRobin())),
          namedPolicy('xds_wrr_locality'),
          roundRobin(),
        ),
      };
    default:
      return { lbPolicy: cluster.Cluster_LbPolicy.ROUND_ROBIN };
  }
}

function ringHash(minimum: number, maximum: number): LbFields {
  const value = create(cluster.Cluster_RingHashLbConfigSchema, {
    hashFunction: cluster.Cluster_RingHashLbConfig_HashFunction.XX_HASH,
    minimumRingSize: BigInt(minimum),
    maximumRingSize: BigInt(Math.max(minimum, maximum)),
  });
  return { lbPolicy: cluster.Cluster_LbPolicy.RING_HASH, lbConfig: { case: 'ringHashLbConfig', value } };
}

function listOf(...policies: cluster.LoadBalancingPolicy_Policy[]): cluster.LoadBalancingPolicy {
  return create(cluster.LoadBalancingPolicySchema, { policies });
}

function leastRequest({ choiceCount }: LeastRequestPolicy): cluster.LoadBalancingPolicy_Policy {
  const message = create(lbLeastRequest.LeastRequestSchema, { choiceCount });
  return extension('least_request', packAny(lbLeastRequest.LeastRequestSchema, message));
}

function roundRobin(): cluster.LoadBalancingPolicy_Policy {
  return extension(
    'round_robin',
    packAny(lbRoundRobin.RoundRobinSchema, create(lbRoundRobin.RoundRobinSchema)),
  );
}

/**
 * A policy by its name in gRPC's registry (gRFC A52): `@grpc/grpc-js-xds` does not know `wrr_locality` in lists, and
 * round robin alone would leave out the weights of localities.
 */
function namedPolicy(name: string): cluster.LoadBalancingPolicy_Policy {
  const message = create(xdsType.TypedStructSchema, {
    typeUrl: `type.googleapis.com/${name}`,
    value: { child_policy: [{ round_robin: {} }] },
  });
  return extension(name, packAny(xdsType.TypedStructSchema, message));
}
