import { type LocalReply, localReply } from '../service/local-reply.js';
import type { Service } from '../service/service.js';

/** A service that answers every request here. */
function answering(reply: LocalReply): Service {
  return async (request) => localReply(request, reply);
}

/** No route matches (Envoy: 404, NR). */
export const noRoute: Service = answering({
  status: 404,
  body: '',
  details: 'route_not_found',
  reason: 'INMESH_NO_ROUTE',
  flag: 'NR',
});

/** The listener's route table does not exist (Envoy: 404, NR). */
export const missingRoutes: Service = answering({
  status: 404,
  body: '',
  details: 'route_configuration_not_found',
  reason: 'INMESH_NO_ROUTE',
  flag: 'NR',
});

/** The route's cluster does not exist (Envoy: 503 or what the route says, NC). */
export function noClusterAs(status = 503): Service {
  return answering({
    status,
    body: '',
    details: 'cluster_not_found',
    reason: 'INMESH_NO_CLUSTER',
    flag: 'NC',
  });
}

/** The cluster has no usable host (Envoy: 503, UH). */
export const noHealthyUpstream: Service = answering({
  status: 503,
  body: 'no healthy upstream',
  details: 'no_healthy_upstream',
  reason: 'INMESH_NO_HEALTHY_UPSTREAM',
  flag: 'UH',
});

/** The control plane has a part of the requests dropped (Envoy: 503, DO). */
export const dropSome: Service = answering({
  status: 503,
  body: 'drop overload',
  details: 'drop_overload',
  reason: 'INMESH_DROP_OVERLOAD',
  flag: 'DO',
  headers: [['x-envoy-drop-overload', 'true']],
});

/** The control plane has every request dropped (Envoy: 503, UDO). */
export const dropAll: Service = answering({
  status: 503,
  body: 'unconditional drop overload',
  details: 'unconditional_drop_overload',
  reason: 'INMESH_DROP_OVERLOAD',
  flag: 'UDO',
  headers: [['x-envoy-unconditional-drop-overload', 'true']],
});

/** A circuit breaker's threshold is reached (Envoy: 503, UO). */
export const overflow: Service = async (request) => {
  const retried = request.context.attemptCount > 0 ? 'retried and the latest ' : '';
  return localReply(request, {
    status: 503,
    body: `upstream connect error or disconnect/reset before headers. ${retried}reset reason: overflow`,
    details: 'upstream_reset_before_response_started{overflow}',
    reason: 'INMESH_OVERFLOW',
    flag: 'UO',
    headers: [['x-envoy-overloaded', 'true']],
  });
};
