import type { ClusterRuntime } from '../cluster/cluster.js';
import type { Request, Response } from '../service/service.js';
import { dropAll, dropSome } from './answers.js';

/** The answer to a request that the control plane has dropped. Envoy draws once per request, before anything is sent. */
export function dropOverload(cluster: ClusterRuntime, request: Request): Promise<Response> | undefined {
  const shed = cluster.shed();
  if (shed === undefined) return undefined;
  return shed === 'all' ? dropAll(request) : dropSome(request);
}
