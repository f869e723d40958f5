import type { LbPolicy } from '../../model/lb-policy.js';
import type { Random } from '../../runtime/random.js';
import { leastRequest } from './least-request.js';
import type { LoadBalancer } from './load-balancer.js';
import { randomChoice } from './random.js';
import { roundRobin } from './round-robin.js';

type Factories = {
  readonly [K in LbPolicy['kind']]: (
    policy: Extract<LbPolicy, { readonly kind: K }>,
    random: Random,
  ) => LoadBalancer;
};

/** Every load-balancing policy: a new one is a file and a line here. */
const POLICIES: Factories = {
  'round-robin': (_, random) => roundRobin(random),
  'least-request': leastRequest,
  random: (_, random) => randomChoice(random),
};

/** The load balancer of a policy. */
export function loadBalancer(policy: LbPolicy, random: Random): LoadBalancer {
  // The table's key and the policy's kind are the same, which the compiler can't follow through an index.
  const factory = POLICIES[policy.kind] as (policy: LbPolicy, random: Random) => LoadBalancer;
  return factory(policy, random);
}
