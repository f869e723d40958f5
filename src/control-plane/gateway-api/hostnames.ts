import { coversHost } from '../kinds/hosts.js';

/** Any host. */
export const ANY_HOST = '*';

/** The names that a host name of a listener and one of a route have in common; undefined = none (both in lower case). */
export function commonHost(listener: string, route: string): string | undefined {
  if (listener === ANY_HOST || coversHost(listener, route)) return route;
  return route === ANY_HOST || coversHost(route, listener) ? listener : undefined;
}

/** Gateway API: an exact name before a wildcard with more labels before one with fewer before any host. */
export function specificity(host: string): number {
  if (host === ANY_HOST) return 0;
  return host.startsWith('*') ? host.split('.').length : 1000;
}

/** Of the host names of listeners the one whose requests for a host are; undefined = none. */
export function bestListenerHost(host: string, listeners: Iterable<string>): string | undefined {
  let best: string | undefined;
  for (const one of listeners) {
    const covers = one === ANY_HOST || one === host || coversHost(one, host);
    if (covers && (best === undefined || specificity(one) > specificity(best))) best = one;
  }
  return best;
}
