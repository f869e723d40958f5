import { type Random, randomInt } from '../../runtime/random.js';
import type { Host } from '../host.js';
import type { ListPolicy } from './load-balancer.js';

/** The hosts of one list in the order in which they are tried. */
interface Place {
  order: readonly Host[];
  current: Host | undefined;
}

/**
 * gRPC pick_first (A62): the first host serves everything. When it can't be connected to, or leaves the list of those
 * that serve, the next one does; a host stays the one for as long as it serves, though others come back before it.
 */
export function pickFirst(
  shuffle: boolean,
  random: Random,
): { readonly list: ListPolicy; readonly unreachable: (host: Host) => void } {
  const places = new Map<string, Place>();
  return {
    list(hosts, source) {
      const place = places.get(source) ?? { order: [], current: undefined };
      places.set(source, place);
      place.order = shuffle ? shuffled(hosts, random) : hosts;
      if (place.current === undefined || !hosts.includes(place.current)) place.current = place.order[0];
      return () => place.current;
    },
    unreachable(host) {
      for (const place of places.values()) {
        if (place.current !== host) continue;
        const at = place.order.indexOf(host);
        place.current = place.order[(at + 1) % place.order.length];
      }
    },
  };
}

/** Fisher-Yates. */
function shuffled(hosts: readonly Host[], random: Random): readonly Host[] {
  const order = [...hosts];
  for (let i = order.length - 1; i > 0; i--) {
    const j = randomInt(random, i + 1);
    const [a, b] = [order[i], order[j]];
    if (a === undefined || b === undefined) continue;
    order[i] = b;
    order[j] = a;
  }
  return order;
}
