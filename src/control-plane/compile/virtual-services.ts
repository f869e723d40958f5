import { coversHost, fullHostName } from '../kinds/hosts.js';
import type { ConfigView, Document } from '../kinds/view.js';
import { appliesToMesh } from '../kinds/virtual-service.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { isExported } from '../mesh/visibility.js';
import { virtualServicesOf } from './delegates.js';
import { isMoreSpecific } from './destination-rules.js';

/** The VirtualServices that hold for the clients of one namespace. */
export interface VirtualServiceIndex {
  /** The one for a port of a host: the most specific of its hosts wins, then the oldest. */
  find(host: string, port: number, layer: 'http' | 'tcp'): Document<'VirtualService'> | undefined;
  /** All hosts that are named, in full. */
  readonly hosts: readonly string[];
}

/** The VirtualServices that clients of a namespace follow, in the order in which they count. */
export function meshVirtualServices(
  view: ConfigView,
  clientNamespace: string,
  config: Pick<MeshConfig, 'exportTo'>,
): readonly Document<'VirtualService'>[] {
  const byDefault = config.exportTo.virtualServices;
  return virtualServicesOf(view, config).filter(
    ({ spec, namespace: from }) =>
      appliesToMesh(spec) && isExported(spec.exportTo, { from, to: clientNamespace, byDefault }),
  );
}

/** Indexes VirtualServices that are in the order in which they count. */
export function indexVirtualServices(documents: readonly Document<'VirtualService'>[]): VirtualServiceIndex {
  // The first to name a host has it; those that stand for routes of the Gateway API may be about one of its ports.
  const byHost = new Map<string, Document<'VirtualService'>[]>();
  for (const document of documents) {
    for (const host of document.spec.hosts ?? []) {
      const full = fullHostName(host, document.namespace);
      const others = byHost.get(full);
      if (others === undefined) byHost.set(full, [document]);
      else others.push(document);
    }
  }
  const isOwn = ({ spec }: Document<'VirtualService'>) => spec.gatewayApi === undefined;
  const wildcards = [...byHost.keys()]
    .filter((host) => host.startsWith('*'))
    .sort((a, b) => (isMoreSpecific(a, b) ? -1 : 1));
  return {
    // A route of the Gateway API makes no host.
    hosts: [...byHost].filter(([, all]) => all.some(isOwn)).map(([host]) => host),
    find(host, port, layer) {
      const at = (name: string) => byHost.get(name)?.find((one) => holdsAt(one, port, layer));
      const exact = at(host);
      if (exact !== undefined) return exact;
      const pattern = wildcards.find((wildcard) => coversHost(wildcard, host));
      return pattern === undefined ? undefined : at(pattern);
    },
  };
}

function holdsAt({ spec }: Document<'VirtualService'>, port: number, layer: 'http' | 'tcp'): boolean {
  const { gatewayApi } = spec;
  if (gatewayApi === undefined) return true;
  return gatewayApi.layer === layer && (gatewayApi.port === undefined || gatewayApi.port === port);
}
