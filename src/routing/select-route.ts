import type { RouteConfiguration, VirtualHost } from '../model/route.js';
import type { RequestHead } from '../service/service.js';
import { compilePath, pathOf } from './match.js';
import { compileConditions, type MatchedRoute } from './router.js';

/**
 * Answers one question about a route configuration by reading it as Envoy's documentation states it: no index, no
 * preparation. For explanations, and the yardstick of the compiled router.
 */
export function selectRoute(
  config: RouteConfiguration,
  head: RequestHead,
  random: number,
): MatchedRoute | undefined {
  const virtualHost = selectVirtualHost(config, head.authority);
  const path = pathOf(head.path);
  const route = virtualHost?.routes.find(
    ({ match }) => compileConditions(match)(head, random) && compilePath(match.path)(path),
  );
  return virtualHost === undefined || route === undefined ? undefined : { virtualHost, route };
}

/** The virtual host with the most specific domain that covers the authority. */
function selectVirtualHost(config: RouteConfiguration, authority: string): VirtualHost | undefined {
  const host = authority.toLowerCase();
  let best: VirtualHost | undefined;
  let bestRank = 0;
  for (const virtualHost of config.virtualHosts) {
    for (const domain of virtualHost.domains) {
      const rank = rankOf(domain.toLowerCase(), host);
      if (rank > bestRank) [best, bestRank] = [virtualHost, rank];
    }
  }
  return best;
}

/** Above any length of a domain name. */
const TIER = 1 << 20;

/** 0 = does not cover it; `*` < `prefix*` < `*suffix` < exact, longer before shorter. */
function rankOf(domain: string, host: string): number {
  if (domain === '*') return 1;
  const length = domain.length - 1;
  const isLonger = host.length > length;
  if (domain.startsWith('*')) return isLonger && host.endsWith(domain.slice(1)) ? 2 * TIER + length : 0;
  if (domain.endsWith('*')) return isLonger && host.startsWith(domain.slice(0, -1)) ? TIER + length : 0;
  return domain === host ? 3 * TIER : 0;
}
