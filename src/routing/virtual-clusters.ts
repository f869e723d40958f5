import type { RouteConfiguration, VirtualHost } from '../model/route.js';
import type { RequestHead } from '../service/service.js';
import { compileHeaderMatchers, type HeadPredicate } from './match.js';

/** The name of a request's virtual cluster; undefined where its virtual host has none. */
export type VirtualClusterOf = (virtualHost: VirtualHost, head: RequestHead) => string | undefined;

/** Envoy: what none of the virtual clusters takes. */
const OTHER = 'other';

/** Compiles the virtual clusters of a table, which group requests for logs; undefined when it has none. */
export function compileVirtualClusters({ virtualHosts }: RouteConfiguration): VirtualClusterOf | undefined {
  const groups = new Map<VirtualHost, readonly { readonly name: string; readonly test: HeadPredicate }[]>();
  for (const virtualHost of virtualHosts) {
    const { virtualClusters } = virtualHost;
    if (virtualClusters === undefined) continue;
    const compiled = virtualClusters.map(({ name, headers }) => ({
      name,
      test: compileHeaderMatchers(headers),
    }));
    groups.set(virtualHost, compiled);
  }
  if (groups.size === 0) return undefined;
  return (virtualHost, head) => {
    const group = groups.get(virtualHost);
    return group === undefined ? undefined : (group.find(({ test }) => test(head))?.name ?? OTHER);
  };
}
