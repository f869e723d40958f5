import type { FilterConfig } from '../model/filter-config.js';
import type { StatefulSession, StatefulSessionConfig } from '../model/stateful-session.js';
import { changeHead } from '../service/response-head.js';
import type { Filter } from '../service/service.js';
import type { FilterTools } from './filter.js';
import { sessionCarrier } from './session-state.js';

/**
 * Stateful session (Envoy `envoy.filters.http.stateful_session`): the host that the request names overrules load
 * balancing; when another one answered, the caller is told its address. The most specific override counts alone.
 */
export function statefulSession(
  config: StatefulSessionConfig,
  layers: readonly FilterConfig[],
  tools: FilterTools,
): Filter | undefined {
  const override = layers.find((layer) => layer.kind === 'stateful-session-route');
  const { state, strict = false }: Partial<StatefulSession> =
    (override === undefined ? config : override.session) ?? {};
  // On a server there is no host to choose.
  if (state === undefined || tools.direction === 'inbound') return undefined;
  const carrier = sessionCarrier(state, tools.clock);
  return (request, next) => {
    if (!carrier.applies(request)) return next(request);
    const { context } = request;
    const asked = carrier.read(request);
    if (asked !== undefined) context.overrideHost = { address: asked, strict };
    return changeHead(request, next, ({ headers }) => {
      const { upstreamHost } = context;
      if (upstreamHost !== undefined && upstreamHost !== asked) carrier.write(headers, upstreamHost);
    });
  };
}
