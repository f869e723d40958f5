import type { Clock } from '../../runtime/clock.js';
import { type Random, randomInt } from '../../runtime/random.js';
import { choosePriority, priorityLoadOf } from '../priority.js';
import { HashedHosts, type HashedHostsOptions } from './hashed-hosts.js';
import type { LbCounts } from './lb-counts.js';
import type { Balancer, PickContext } from './load-balancer.js';
import { normalizedWeights } from './normalized-weights.js';

export interface HashBalancerOptions extends HashedHostsOptions {
  readonly localityWeighted: boolean;
  /** What requests are placed by; undefined = by what their route says. */
  readonly hash?: PickContext['hash'];
}

interface HashTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly panicThresholdPercent: number;
  readonly counts?: LbCounts | undefined;
}

/** The request's hash decides the priority and, by a table per priority, the host. Without a hash chance does. */
export function hashBalancer(options: HashBalancerOptions, tools: HashTools): Balancer {
  const { random, panicThresholdPercent, counts } = tools;
  const priorities: HashedHosts[] = [];
  return {
    picker(sets) {
      const load = priorityLoadOf(sets, panicThresholdPercent);
      for (const [priority, set] of sets.entries()) {
        priorities[priority] ??= new HashedHosts(options, tools.clock);
        const inPanic = load.panic[priority] === true;
        priorities[priority].update(normalizedWeights(set, inPanic, options.localityWeighted));
      }
      for (const gone of priorities.splice(sets.length)) gone.close();
      return (context, attempt) => {
        const hash = hashOf(context, options.hash ?? context.hash) ?? randomHash(random);
        // Envoy: the same number chooses both, so keys and what spills over correlate.
        const priority = choosePriority(load, Number(hash % 100n) + 1) >> 1;
        if (counts !== undefined && attempt === 0 && load.panic[priority] === true) counts.healthyPanic++;
        return priorities[priority]?.pick(hash, attempt);
      };
    },
    close() {
      for (const one of priorities) one.close();
    },
  };
}

function hashOf({ request }: PickContext, hash: PickContext['hash']): bigint | undefined {
  return request === undefined || hash === undefined ? undefined : hash(request);
}

function randomHash(random: Random): bigint {
  return (BigInt(randomInt(random, 2 ** 32)) << 32n) | BigInt(randomInt(random, 2 ** 32));
}
