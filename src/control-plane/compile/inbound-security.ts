import type { HttpFilter } from '../../model/filter-config.js';
import type { Node } from '../../model/node.js';
import type { ConfigView } from '../kinds/view.js';
import { type MeshConfig, pathRules } from '../mesh/mesh-config.js';
import { INBOUND_FILTERS } from './fault.js';
import type { IssuerKeys } from './issuer-keys.js';
import type { InboundHttpPolicy } from './listeners.js';
import type { PolicySubject } from './policy-scope.js';
import { servedLimits } from './rate-limits.js';
import { jwtFilter } from './request-authentication.js';
import { accessLogsFor } from './telemetry.js';
import { processTracing } from './tracing.js';
import { tracingSpec } from './tracing-spec.js';

/** What the policies of workloads are compiled with. */
export interface InboundSecurity {
  readonly config: MeshConfig;
  readonly keys: IssuerKeys;
}

/** The same with what decides about requests. */
export interface RequestSecurity extends InboundSecurity {
  readonly authorization: readonly HttpFilter[];
}

/** What is done to the requests of a workload. In Istio's order: first who asks, then whether that is allowed, then how often. */
export function inboundHttpPolicy(
  view: ConfigView,
  subject: PolicySubject & { readonly port?: number | undefined; readonly node: Node },
  { config, keys, authorization }: RequestSecurity,
): InboundHttpPolicy {
  const authentication = jwtFilter(view, subject, { config, keys, clearRouteCache: false });
  const accessLogs = accessLogsFor(view, subject, 'SERVER', config);
  return {
    filters: [
      ...(authentication === undefined ? [] : [authentication]),
      ...authorization,
      ...servedLimits(view, { ...subject, port: subject.port }, config),
      ...INBOUND_FILTERS,
    ],
    paths: pathRules(config),
    ...(accessLogs !== undefined && { accessLogs }),
    ...processTracing(tracingSpec(view, { ...subject, isOurs: true }, 'SERVER', config)),
  };
}

/** What is done to the requests that a gateway takes, before it sends them on. */
export function gatewayFilters(
  view: ConfigView,
  subject: PolicySubject,
  { config, keys, authorization }: RequestSecurity,
): readonly HttpFilter[] {
  // Istio: the routes of a gateway may depend on claims.
  const authentication = jwtFilter(view, subject, { config, keys, clearRouteCache: true });
  const limits = servedLimits(view, { ...subject, port: undefined }, config);
  return [...(authentication === undefined ? [] : [authentication]), ...authorization, ...limits];
}
