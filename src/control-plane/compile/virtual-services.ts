import { coversHost, fullHostName } from '../kinds/hosts.js';
import { appliesToMesh } from '../kinds/virtual-service.js';
import type { ConfigView, Document } from '../store/view.js';
import { virtualServicesOf } from './delegates.js';
import { isMoreSpecific } from './destination-rules.js';
import type { MeshConfig } from './mesh-config.js';
import { isExported } from './visibility.js';

/** The VirtualServices that hold for the clients of one namespace. */
export interface VirtualServiceIndex {
  /** The one for a host: the most specific of its hosts wins, then the oldest. */
  find(host: string): Document<'VirtualService'> | undefined;
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
  // The first to name a host has it.
  const byHost = new Map<string, Document<'VirtualService'>>();
  for (const document of documents) {
    for (const host of document.spec.hosts ?? []) {
      const full = fullHostName(host, document.namespace);
      if (!byHost.has(full)) byHost.set(full, document);
    }
  }
  const wildcards = [...byHost.keys()]
    .filter((host) => host.startsWith('*'))
    .sort((a, b) => (isMoreSpecific(a, b) ? -1 : 1));
  return {
    hosts: [...byHost.keys()],
    find(host) {
      const exact = byHost.get(host);
      if (exact !== undefined) return exact;
      const pattern = wildcards.find((wildcard) => coversHost(wildcard, host));
      return pattern === undefined ? undefined : byHost.get(pattern);
    },
  };
}
