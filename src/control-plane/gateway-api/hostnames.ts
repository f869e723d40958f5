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

/**
 * Gateway API: of host names of routes the one with more characters without a wildcard goes first, then the one with more
 * characters at all.
 */
export function hostRank(host: string): number {
  const precise = host.startsWith('*') ? 0 : host.length;
  // A host name has 253 characters at most.
  return precise * 1000 + host.length;
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
