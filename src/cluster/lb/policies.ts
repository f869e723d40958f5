import type { HashPolicy } from '../../model/hash-policy.js';
import type { HashBalancing, LbPolicy } from '../../model/lb-policy.js';
import type { Agenda } from '../../runtime/agenda.js';
import type { Clock } from '../../runtime/clock.js';
import { murmurHash2, xxHash64 } from '../../runtime/hash.js';
import { type Random, randomInt } from '../../runtime/random.js';
import type { LocalZone } from '../zone.js';
import { avoiding } from './avoiding.js';
import { clientSideWrr } from './client-side-wrr.js';
import { MAX_PREPICKS } from './edf.js';
import { hashBalancer } from './hash-balancer.js';
import { hostRequests } from './host-request.js';
import type { LbCounts } from './lb-counts.js';
import { leastRequest } from './least-request.js';
import { listBalancer } from './list-balancer.js';
import type { Balancer, PickContext } from './load-balancer.js';
import { maglevKind } from './maglev.js';
import { pickFirst } from './pick-first.js';
import { randomChoice } from './random.js';
import { ringKind } from './ring.js';
import { roundRobin } from './round-robin.js';
import { createSlowStart } from './slow-start.js';
import { subsetBalancer } from './subset/subset-balancer.js';

/** Compiles hash policies; undefined when there are none. */
export type CompileHash = (policies: readonly HashPolicy[]) => PickContext['hash'];

/** What a policy is made with. */
export interface BalancerTools {
  readonly random: Random;
  /** Percentage of usable hosts below which all hosts are used; 0 = never. */
  readonly panicThresholdPercent: number;
  readonly clock: Clock;
  /** Shared by whatever happens at intervals; by default one of its own. */
  readonly agenda?: Agenda | undefined;
  /** Requests under way in the whole cluster. */
  readonly activeRequests: () => number;
  /** Where picks are counted; by default nowhere. */
  readonly counts?: LbCounts | undefined;
  /** Compiles hash policies of the load balancing policy itself. */
  readonly compileHash?: CompileHash | undefined;
  /** For zone-aware routing; undefined where the local cluster is not known. */
  readonly zone?: LocalZone | undefined;
}

type Factories = {
  readonly [K in LbPolicy['kind']]: (
    policy: Extract<LbPolicy, { readonly kind: K }>,
    tools: BalancerTools,
    seed: number,
  ) => Balancer;
};

/** Every load-balancing policy: a new one is a file and a line here. */
const POLICIES: Factories = {
  'round-robin': (policy, tools, seed) => {
    const slowStart = createSlowStart(policy.slowStart, tools.clock);
    return listBalancer(roundRobin(seed, slowStart), policy, tools, seed);
  },
  'least-request': (policy, tools, seed) => {
    const slowStart = createSlowStart(policy.slowStart, tools.clock);
    const list = leastRequest(policy, { random: tools.random, seed, slowStart });
    return listBalancer(list, policy, tools, seed);
  },
  'client-side-wrr': clientSideWrr,
  'cluster-provided': () => ({ picker: () => () => undefined }),
  random: (policy, tools, seed) => listBalancer(randomChoice(tools.random), policy, tools, seed),
  'ring-hash': (policy, tools) => {
    const { minimumRingSize: minimumSize, maximumRingSize: maximumSize, hashFunction } = policy;
    const hash = hashFunction === 'xx-hash' ? (text: string) => xxHash64(text) : murmurHash2;
    const table = ringKind({ minimumSize, maximumSize, hash });
    return hashBalancer({ ...policy, ...hashOptions(policy, tools), table }, tools);
  },
  maglev: (policy, tools) => {
    const table = maglevKind({ tableSize: policy.tableSize, hash: xxHash64 });
    return hashBalancer({ ...policy, ...hashOptions(policy, tools), table }, tools);
  },
  'pick-first': (policy, tools, seed) => {
    const { list, unreachable } = pickFirst(policy.shuffle, tools.random);
    return { ...listBalancer(list, policy, tools, seed), unreachable };
  },
  'override-host': (policy, tools) => hostRequests(policy, createBalancer(policy.child, tools)),
  subset: (policy, tools) => subsetBalancer(policy, () => createBalancer(policy.child, tools), tools.clock),
};

/** Envoy: hash policies of the load balancing policy replace those of the route, even if they say nothing. */
function hashOptions({ hashPolicies }: HashBalancing, { activeRequests, compileHash }: BalancerTools) {
  return { activeRequests, hash: hashPolicies && (compileHash?.(hashPolicies) ?? nothingHashed) };
}

const nothingHashed = () => undefined;

/** Puts a policy to work in a cluster. Envoy: one random start serves all of its schedules. */
export function createBalancer(policy: LbPolicy, tools: BalancerTools): Balancer {
  // The table's key and the policy's kind are the same, which the compiler can't follow through an index.
  const factory = POLICIES[policy.kind] as (policy: LbPolicy, tools: BalancerTools, seed: number) => Balancer;
  const balancer = factory(policy, tools, randomInt(tools.random, MAX_PREPICKS));
  return balancer.delegates === true ? balancer : avoiding(balancer);
}
