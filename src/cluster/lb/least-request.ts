import type { LeastRequestPolicy } from '../../model/lb-policy.js';
import { type Random, randomInt } from '../../runtime/random.js';
import type { Host } from '../host.js';
import { EdfSchedule } from './edf.js';
import { haveEqualWeights, type ListPolicy } from './load-balancer.js';

/**
 * Envoy LEAST_REQUEST: the least busy of `choiceCount` random hosts; when weights differ, earliest deadline first by
 * weight / (active + 1) ^ bias.
 */
export function leastRequest(policy: LeastRequestPolicy, random: Random, seed: number): ListPolicy {
  const choices = Math.max(1, policy.choiceCount);
  const weightOf = biasedWeight(policy.activeRequestBias);
  return (hosts) => {
    if (hosts.length <= 1) return () => hosts[0];
    if (!haveEqualWeights(hosts)) {
      const schedule = new EdfSchedule(hosts, weightOf, seed);
      return () => schedule.pick();
    }
    return () => leastOf(hosts, choices, random);
  };
}

/** The first of equally busy choices wins. */
function leastOf(hosts: readonly Host[], choices: number, random: Random): Host | undefined {
  let best = hosts[randomInt(random, hosts.length)];
  for (let i = 1; i < choices; i++) {
    const other = hosts[randomInt(random, hosts.length)];
    if (other !== undefined && best !== undefined && other.activeRequests < best.activeRequests) best = other;
  }
  return best;
}

function biasedWeight(bias: number): (host: Host) => number {
  if (bias === 0) return (host) => host.weight;
  // Envoy: a negative bias is invalid and counts as 1.
  if (bias === 1 || bias < 0) return (host) => host.weight / (host.activeRequests + 1);
  return (host) => host.weight / (host.activeRequests + 1) ** bias;
}
