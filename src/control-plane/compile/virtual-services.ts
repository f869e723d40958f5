import { coversHost, fullHostName } from '../kinds/hosts.js';
import { appliesToMesh } from '../kinds/virtual-service.js';
import type { ConfigView, Document } from '../store/view.js';
import { isMoreSpecific } from './destination-rules.js';
import { isExported } from './visibility.js';

/** The VirtualServices that hold for the clients of one namespace. */
export interface VirtualServiceIndex {
  /** The one for a host: the most specific of its hosts wins, then the oldest. */
  find(host: string): Document<'VirtualService'> | undefined;
  /** All hosts that are named, in full. */
  readonly hosts: readonly string[];
}

/** Indexes the VirtualServices of a view for clients of a namespace. */
export function indexVirtualServices(view: ConfigView, clientNamespace: string): VirtualServiceIndex {
  // Oldest first, so the first to name a host has it.
  const byHost = new Map<string, Document<'VirtualService'>>();
  for (const document of view.list('VirtualService')) {
    const { spec, namespace } = document;
    if (!appliesToMesh(spec) || !isExported(spec.exportTo, namespace, clientNamespace)) continue;
    for (const host of spec.hosts ?? []) {
      const full = fullHostName(host, namespace);
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
