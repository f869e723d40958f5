import { create } from '@bufbuild/protobuf';
import type { ChildPolicy } from '../model/lb-policy.js';
import { packAny } from '../proto/any.js';
import { type cluster, lbWrrLocality } from '../proto/xds.js';
import { extension } from './lb-extension.js';
import { type Path, refuse } from './path.js';

/** The policy that chooses the endpoint, in a locality that its weight chose. */
export function decodeWrrLocality(child: ChildPolicy, path: Path): ChildPolicy {
  switch (child.kind) {
    case 'round-robin':
    case 'least-request':
    case 'random':
    case 'pick-first':
    case 'client-side-wrr':
      return { ...child, locality: { kind: 'weighted' } };
    default:
      return refuse(path, `${child.kind} is not supported here`);
  }
}

/** Localities by weight around a policy that does not know of them. */
export function encodeWrrLocality(
  endpointPickingPolicy: cluster.LoadBalancingPolicy,
): cluster.LoadBalancingPolicy_Policy {
  const message = create(lbWrrLocality.WrrLocalitySchema, { endpointPickingPolicy });
  return extension('wrr_locality', packAny(lbWrrLocality.WrrLocalitySchema, message));
}
