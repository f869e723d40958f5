import type { Cluster } from '../../model/cluster.js';
import type { RouteAction } from '../../model/route.js';
import type { RoutePlace } from '../../routing/route-effects.js';
import type { Request } from '../../service/service.js';
import type { ChosenCluster } from './chosen-route.js';
import { assignmentOf, explainEndpoints, explainPolicy } from './destination.js';
import type { ExplainedHead, RequestExplanation } from './explanation.js';
import type { FoundTable } from './find-table.js';
import { limitsOf } from './limits.js';
import { rewrittenBy } from './rewritten.js';
import { serverPolicies } from './server-policy.js';
import type { ExplainWorld } from './world.js';

interface Forwarding {
  readonly place: RoutePlace;
  readonly action: RouteAction;
  readonly target: ChosenCluster;
  readonly table: FoundTable;
  readonly request: Request;
}

/** Goes on where a route forwards the request: what it does to it, the cluster, its endpoints. */
export async function onCluster(
  explained: RequestExplanation,
  forwarding: Forwarding,
  world: ExplainWorld,
): Promise<RequestExplanation> {
  const { place, action, target, request } = forwarding;
  const { name, all } = target;
  const cluster = world.set.clusters.get(name);
  const { head: rewritten, controls } = await rewrittenBy(place, request, cluster !== undefined);
  const forwarded: RequestExplanation = {
    ...explained,
    outcome: 'forwarded',
    cluster: name,
    clusters: all,
    rewritten,
    ...limitsOf({ ...forwarding, controls, headers: rewritten.headers }, cluster),
    mirrors: mirrorsOf(forwarding),
  };
  if (cluster !== undefined) {
    const { route, virtualHost } = place;
    const matched = `route ${route.name === '' ? (forwarded.route?.index ?? 0) : route.name} of virtual host ${virtualHost.name} matched`;
    return withDestination(forwarded, { cluster, head: rewritten, matched }, world);
  }
  const status = action.clusterNotFoundStatus ?? 503;
  const reason = name === '' ? 'no cluster is chosen' : `there is no cluster ${name} (${status} NC)`;
  return { ...forwarded, outcome: 'refused', reason, response: { status } };
}

function mirrorsOf({ place, action, request }: Forwarding): RequestExplanation['mirrors'] {
  const policies = action.mirrors ?? place.virtualHost.mirrors ?? place.table.mirrors ?? [];
  return policies.map(({ target: to, fraction }) => ({
    cluster: to.kind === 'cluster' ? to.name : (request.headers.get(to.name) ?? ''),
    percent: fraction === undefined ? 100 : (fraction.numerator * 100) / fraction.denominator,
  }));
}

interface Destination {
  readonly cluster: Cluster;
  readonly head: ExplainedHead;
  /** Why it goes there. */
  readonly matched: string;
}

/** Goes on with what is known of the cluster: its endpoints, its policy, and what its workloads say. */
export function withDestination(
  forwarded: RequestExplanation,
  { cluster, head, matched }: Destination,
  world: ExplainWorld,
): RequestExplanation {
  const endpoints = explainEndpoints(cluster, assignmentOf(cluster, world.set.endpoints));
  const policy = explainPolicy(cluster);
  const isMutual =
    endpoints.length === 0
      ? policy.tls !== 'none'
      : endpoints.some((one) => one.chosen && one.tls === 'mutual');
  const server = serverPolicies({ clusterName: cluster.name, caller: world.caller, head, isMutual }, world);
  const hasNobody = cluster.discovery.kind === 'eds' && !endpoints.some(({ chosen }) => chosen);
  return {
    ...forwarded,
    reason: hasNobody ? `${matched}; its cluster has no endpoints now (503 UH)` : matched,
    policy: { ...policy, server },
    endpoints,
  };
}
