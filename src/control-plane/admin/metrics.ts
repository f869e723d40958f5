import type { AdminStatus } from './status.js';

/** The control plane's metrics in Prometheus' text format, with Istio's names where it has them. */
export function renderMetrics(status: AdminStatus): string {
  const types = status.clients.flatMap((client) => client.types);
  const lines = [
    gauge('pilot_xds', status.clients.length),
    gauge('pilot_total_xds_rejects', types.filter(({ state }) => state === 'NACKED').length),
    gauge('inmesh_config_revision', status.revision),
    gauge('inmesh_config_rejected', status.rejected === undefined ? 0 : 1),
    gauge('inmesh_workloads', status.workloads),
  ];
  return `${lines.join('\n')}\n`;
}

function gauge(name: string, value: number): string {
  return `# TYPE ${name} gauge\n${name} ${value}`;
}
