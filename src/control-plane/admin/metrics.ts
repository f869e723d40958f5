import type { LoadFigures, LoadSummary } from '../serve/load-reports.js';
import { authorityMetrics } from './authority.js';
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
    gauge('inmesh_registrations_held', status.registrationsHeld),
    ...loadLines(status.load),
    ...(status.ca === undefined ? [] : authorityMetrics(status.ca)),
  ];
  return `${lines.join('\n')}\n`;
}

function gauge(name: string, value: number): string {
  return `# TYPE ${name} gauge\n${name} ${value}`;
}

/** What clients report of their load (LRS). */
function loadLines({ clients, load, drops, overflow }: LoadSummary): readonly string[] {
  const requests = load.flatMap(({ succeeded, failed, ...one }) => [
    `inmesh_load_requests_total${labels({ ...placeOf(one), result: 'success' })} ${succeeded}`,
    `inmesh_load_requests_total${labels({ ...placeOf(one), result: 'error' })} ${failed}`,
  ]);
  return [
    gauge('inmesh_load_clients', clients),
    '# TYPE inmesh_load_figures_not_kept counter',
    `inmesh_load_figures_not_kept ${overflow}`,
    '# TYPE inmesh_load_requests_total counter',
    ...requests,
    '# TYPE inmesh_load_requests_in_progress gauge',
    ...load.map((one) => `inmesh_load_requests_in_progress${labels(placeOf(one))} ${one.inProgress}`),
    '# TYPE inmesh_load_drops_total counter',
    ...drops.map(
      ({ cluster, category, dropped }) =>
        `inmesh_load_drops_total${labels({ cluster, category })} ${dropped}`,
    ),
  ];
}

function placeOf({ cluster, locality, priority }: Pick<LoadFigures, 'cluster' | 'locality' | 'priority'>) {
  return { cluster, locality, priority: String(priority) };
}

/** Clients choose the values: they are escaped as the format demands. */
function labels(values: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(values).map(
    ([name, value]) =>
      `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  );
  return `{${pairs.join(',')}}`;
}
