import type { Clock } from '../runtime/clock.js';
import { quoteLabel, renderGauge, type Sample } from '../telemetry/prometheus.js';
import type { XdsClient } from '../xds/client-api.js';
import { OLD_STYLE } from '../xds/resource-name.js';
import type { ControlPlaneServerStatus } from './status.js';

/** The servers that a client is connected to, or tries. */
export function serverStatuses(xds: Pick<XdsClient, 'servers'>): readonly ControlPlaneServerStatus[] {
  return xds.servers().map(({ authority, target, state, isPreferred, savedAtMs }) => ({
    authority: authority === OLD_STYLE ? '' : authority,
    target,
    state,
    isPreferred,
    savedAtMs,
  }));
}

/** Whether the servers answer (Envoy's `control_plane.connected_state`), and how old what is in use from the disk is. */
export function renderServers(
  servers: readonly ControlPlaneServerStatus[],
  clock: Pick<Clock, 'wallTime'>,
): string {
  const labels = ({ authority, target }: ControlPlaneServerStatus) =>
    `authority=${quoteLabel(authority)},server=${quoteLabel(target)}`;
  const ages = servers.flatMap((server): Sample<number>[] =>
    server.savedAtMs === undefined
      ? []
      : [[labels(server), Math.max(0, (clock.wallTime() - server.savedAtMs) / 1000)]],
  );
  return [
    ...renderGauge(
      'envoy_control_plane_connected_state',
      servers.map((server) => [labels(server), server.state === 'connected' ? 1 : 0] as const),
    ),
    ...renderGauge('inmesh_cached_configuration_age_seconds', ages),
  ].join('');
}
