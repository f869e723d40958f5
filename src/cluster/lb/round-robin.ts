import { type Random, randomInt } from '../../runtime/random.js';
import type { Host } from '../host.js';
import { EdfSchedule, MAX_PREPICKS } from './edf.js';
import { haveEqualWeights, type LoadBalancer } from './load-balancer.js';

/** Envoy ROUND_ROBIN: in turn from a random start; by earliest deadline when weights differ. */
export function roundRobin(random: Random): LoadBalancer {
  const start = randomInt(random, MAX_PREPICKS);
  // Envoy keeps a list's place over updates: frequent changes must not favour the first hosts.
  const places = new Map<string, { next: number }>();
  return (hosts, source) => {
    if (!haveEqualWeights(hosts)) {
      const schedule = new EdfSchedule(hosts, weightOf, randomInt(random, MAX_PREPICKS));
      return () => schedule.pick();
    }
    const place = places.get(source) ?? { next: start };
    places.set(source, place);
    return () => (hosts.length === 0 ? undefined : hosts[place.next++ % hosts.length]);
  };
}

function weightOf(host: Host): number {
  return host.weight;
}
