import { type Random, randomInt } from '../../runtime/random.js';
import type { ListPolicy } from './load-balancer.js';

/** Envoy RANDOM: any host with equal chance, whatever its weight. */
export function randomChoice(random: Random): ListPolicy {
  return (hosts) => () => hosts[randomInt(random, hosts.length)];
}
