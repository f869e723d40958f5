import type { Cluster } from '../../model/cluster.js';
import type { RouteAction } from '../../model/route.js';
import type { RequestControls } from '../../routing/request-controls.js';
import type { RoutePlace } from '../../routing/route-effects.js';
import { withWishes } from '../../routing/wished-retries.js';
import { parseGrpcTimeout } from '../../service/grpc-timeout.js';
import type { RequestExplanation } from './explanation.js';
import type { FoundTable } from './find-table.js';

/** What the limits of a request come from. */
export interface LimitSources {
  readonly place: RoutePlace;
  readonly action: RouteAction;
  readonly table: FoundTable;
  /** Those of the request after the changes of its route. */
  readonly headers: readonly (readonly [string, string])[];
  /** What else they asked for. */
  readonly controls: RequestControls | undefined;
}

/** How long a request may take and when it is tried again, by its route and by its own headers (Envoy). */
export function limitsOf(
  { place, action, table, headers, controls }: LimitSources,
  cluster: Cluster | undefined,
): Pick<RequestExplanation, 'timeouts' | 'retries'> {
  const policy = action.retryPolicy ?? place.virtualHost.retryPolicy ?? null;
  const wishes = controls?.retry;
  const retries = policy === null || wishes === undefined ? policy : withWishes(policy, wishes);
  const router = table.filters.at(-1)?.config;
  const expectedMs =
    router?.kind === 'router' && router.respectExpectedTimeout === true ? controls?.expectedMs : undefined;
  const routeMs = action.maxStreamDurationMs === undefined ? action.timeoutMs : 0;
  const routerMs = expectedMs ?? controls?.timeoutMs ?? routeMs;
  const requestMs = shortest([routerMs, action.maxStreamDurationMs ?? 0, deadlineMs(headers) ?? 0]);
  const perTryMs = controls?.perTryMs ?? policy?.perTryTimeoutMs ?? 0;
  // Envoy: a limit of each try that is not below the one of the route is ignored.
  const isIgnored = perTryMs === 0 || (routerMs > 0 && perTryMs >= routerMs);
  return {
    retries,
    timeouts: {
      requestMs,
      perTryMs: isIgnored ? null : perTryMs,
      idleMs: action.idleTimeoutMs ?? table.idleTimeoutMs ?? null,
      connectMs: cluster?.connectTimeoutMs ?? null,
    },
  };
}

/** Until when the caller of a gRPC method waits. */
function deadlineMs(headers: LimitSources['headers']): number | undefined {
  return parseGrpcTimeout(headers.find(([name]) => name === 'grpc-timeout')?.[1]);
}

/** Of limits, of which 0 is none. */
function shortest(limits: readonly number[]): number {
  const real = limits.filter((limit) => limit > 0);
  return real.length === 0 ? 0 : Math.min(...real);
}
