import type { LeastRequestPolicy } from '../../model/lb-policy.js';
import { type Random, randomInt } from '../../runtime/random.js';
import type { Host } from '../host.js';
import { EdfSchedule } from './edf.js';
import { haveEqualWeights, type ListPolicy } from './load-balancer.js';
import type { SlowStarter } from './slow-start.js';

interface LeastRequestTools {
  readonly random: Random;
  readonly seed: number;
  readonly slowStart?: SlowStarter | undefined;
}

/**
 * Envoy LEAST_REQUEST: the least busy of `choiceCount` random hosts, or of all; when weights differ or hosts start
 * slowly, earliest deadline first by weight / (active + 1) ^ bias.
 */
export function leastRequest(
  policy: LeastRequestPolicy,
  { random, seed, slowStart }: LeastRequestTools,
): ListPolicy {
  const choices = Math.max(1, policy.choiceCount);
  const choose = policy.fullScan === true ? leastOfAll : leastOfSome;
  const biased = biasedWeight(policy.activeRequestBias);
  const weightOf = slowStart === undefined ? biased : (host: Host) => biased(host) * slowStart.factor(host);
  return (hosts) => {
    const isSlow = slowStart?.enter(hosts) ?? false;
    if (hosts.length <= 1) return () => hosts[0];
    if (isSlow || !haveEqualWeights(hosts)) {
      const schedule = new EdfSchedule(hosts, weightOf, seed);
      return () => schedule.pick();
    }
    return () => choose(hosts, random, choices);
  };
}

/** The first of equally busy choices wins. */
function leastOfSome(hosts: readonly Host[], random: Random, choices: number): Host | undefined {
  let best = hosts[randomInt(random, hosts.length)];
  for (let i = 1; i < choices; i++) {
    const other = hosts[randomInt(random, hosts.length)];
    if (other !== undefined && best !== undefined && other.activeRequests < best.activeRequests) best = other;
  }
  return best;
}

/** Any of the least busy hosts with equal chance. */
function leastOfAll(hosts: readonly Host[], random: Random): Host | undefined {
  let best: Host | undefined;
  let equals = 0;
  for (const host of hosts) {
    if (best === undefined || host.activeRequests < best.activeRequests) {
      best = host;
      equals = 1;
    } else if (host.activeRequests === best.activeRequests && randomInt(random, ++equals) === 0) {
      best = host;
    }
  }
  return best;
}

function biasedWeight(bias: number): (host: Host) => number {
  if (bias === 0) return (host) => host.weight;
  // Envoy: a negative bias is invalid and counts as 1.
  if (bias === 1 || bias < 0) return (host) => host.weight / (host.activeRequests + 1);
  return (host) => host.weight / (host.activeRequests + 1) ** bias;
}
