import type { ClusterRuntime } from '../cluster/cluster.js';
import type { RouteAction, WeightedCluster } from '../model/route.js';
import type { RequestHash } from '../routing/hash-policy.js';
import { headerReader } from '../routing/match.js';
import { compileWeighted } from '../routing/weighted.js';
import { unreachable } from '../runtime/errors.js';
import type { Request, Service } from '../service/service.js';

/** How the stack to one cluster is built; `one` is the weighted cluster that it stands for. */
export type BuildStack = (clusterName: string, one?: WeightedCluster) => Service;

export interface TargetTools {
  readonly cluster: (name: string) => ClusterRuntime | undefined;
  /** The route's hash policies, compiled. */
  readonly hash: RequestHash | undefined;
}

/** The service of a forwarding route: chooses the cluster, then calls the stack that leads there. */
export function routeTarget({ cluster }: RouteAction, build: BuildStack, tools: TargetTools): Service {
  switch (cluster.kind) {
    case 'cluster':
      return build(cluster.name);
    case 'header':
      return byHeader(cluster.name, build, tools);
    case 'weighted': {
      // Envoy chooses the weighted cluster once per request, before the filters: retries stay on it.
      const stacks = cluster.clusters.map((one) =>
        one.clusterHeader === undefined
          ? build(one.name, one)
          : byHeader(one.clusterHeader, (name) => build(name, one), tools),
      );
      const choose = compileWeighted(cluster, tools.hash);
      const missing = build('');
      return (request) => (stacks[choose(request)] ?? missing)(request);
    }
    default:
      return unreachable(cluster);
  }
}

/**
 * Envoy `cluster_header`: the first value of a request header names the cluster. Its stack is built when it is first
 * asked for; requests that name nothing or no cluster that is there share one stack, so no caller can fill the memory.
 */
function byHeader(header: string, build: BuildStack, { cluster }: TargetTools): Service {
  const read = headerReader(header);
  const stacks = new WeakMap<ClusterRuntime, Service>();
  const missing = build('');
  return (request: Request) => {
    const name = read(request)[0] ?? '';
    const runtime = name === '' ? undefined : cluster(name);
    if (runtime === undefined) return missing(request);
    let stack = stacks.get(runtime);
    if (stack === undefined) {
      stack = build(name);
      stacks.set(runtime, stack);
    }
    return stack(request);
  };
}
