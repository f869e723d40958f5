import type { RouteConfiguration, VirtualHost } from '../model/route.js';
import { compileConditions, type RouteInput } from './conditions.js';
import { compilePath, pathOf, withoutParameters } from './match.js';
import { compileMatchTree } from './match-tree.js';
import type { MatchedRoute } from './route-list.js';
import { compileHostName } from './router.js';

/**
 * Answers one question about a route configuration by reading it as Envoy's documentation states it: no index, no
 * preparation. For explanations, and the yardstick of the compiled router.
 */
export function selectRoute(
  config: RouteConfiguration,
  input: RouteInput,
  random: number,
): MatchedRoute | undefined {
  const name = compileHostName(config)(input);
  const virtualHost = name === undefined ? undefined : selectVirtualHost(config, name);
  const bare = pathOf(input.path);
  const path = config.ignorePathParameters === true ? withoutParameters(bare) : bare;
  const tree = virtualHost?.matcher;
  const routes = tree === undefined ? virtualHost?.routes : compileMatchTree(tree)(input);
  const route = routes?.find(({ match }) => {
    if (bare === '' && match.path.kind !== 'connect') return false;
    const seen = match.path.kind === 'template' ? bare : path;
    return compileConditions(match)(input, random) && compilePath(match.path)(seen);
  });
  return virtualHost === undefined || route === undefined ? undefined : { virtualHost, route };
}

/** The virtual host with the most specific domain that covers the authority. */
function selectVirtualHost(config: RouteConfiguration, name: string): VirtualHost | undefined {
  const host = name.toLowerCase();
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
