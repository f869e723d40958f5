import type { Cluster } from '../../../model/cluster.js';
import type { Listener } from '../../../model/listener.js';
import type { VirtualHost } from '../../../model/route.js';
import type { MeshConfig } from '../../mesh/mesh-config.js';
import type { Outline } from '../outlined.js';
import type { EnvoyOptions } from '../profile.js';
import { ALLOW_ANY, dialsNamedHost, PASSTHROUGH_CLUSTER } from './forward-proxy.js';
import type { EnvoyGateways } from './gateways.js';
import { envoyOutbound } from './outbound.js';
import type { EnvoyTracing } from './tracing.js';

const NO_LISTENERS: ReadonlyMap<string, Listener> = new Map();

/** What an Envoy is sent in place of the common outline: listeners on sockets, and tables of many hosts. */
export function envoyOutline(
  outline: Outline,
  {
    options,
    config,
    gateways,
    unknown,
    traced,
  }: {
    readonly options: EnvoyOptions;
    readonly config: MeshConfig;
    readonly gateways: EnvoyGateways;
    /** What takes the hosts that the mesh does not know; undefined = they are let through. */
    readonly unknown: VirtualHost | undefined;
    readonly traced: EnvoyTracing | undefined;
  },
): Outline {
  const outbound = envoyOutbound(outline, options, { config, unknown: unknown ?? ALLOW_ANY, traced });
  const clusters = new Map<string, Cluster>();
  for (const cluster of outline.clusters.values()) {
    const isOpen = cluster.discovery.kind === 'original-dst';
    clusters.set(cluster.name, isOpen ? dialsNamedHost(cluster) : cluster);
  }
  clusters.set(PASSTHROUGH_CLUSTER.name, PASSTHROUGH_CLUSTER);
  const tables = [...outbound.tables, ...gateways.tables];
  const wires = [...outbound.listeners, ...gateways.listeners];
  return {
    ...outline,
    listeners: NO_LISTENERS,
    routes: new Map(tables.map((table) => [table.name, table])),
    clusters,
    wireListeners: new Map(wires.map((wire) => [wire.name, wire])),
  };
}
