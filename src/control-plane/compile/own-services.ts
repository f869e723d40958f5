import { groupBy } from '../../runtime/group-by.js';
import { derived, lookup } from '../kinds/derived.js';
import type { ConfigView } from '../kinds/view.js';
import { listServices, type MeshPort, type MeshService } from '../mesh/services.js';
import { selects } from '../mesh/visibility.js';
import { snapshotOf } from '../registry/snapshot.js';
import type { Instance } from './instance.js';
import { indexInstances, registeredIn } from './instances.js';

type Labels = Readonly<Record<string, string>>;

/** A workload as documents know it. */
export interface OwnWorkload {
  readonly namespace: string;
  readonly labels: Labels;
  /** Where it is; empty = nobody knows, so that labels alone tell. */
  readonly addresses: readonly string[];
}

/** A port of a service that leads to a workload. */
export interface OwnPort {
  readonly service: MeshService;
  readonly port: MeshPort;
  /** Where the workload takes its connections. */
  readonly target: number;
}

const NOBODY = snapshotOf([]);

const servicesOf = derived((view) => {
  const all = listServices(view, NOBODY);
  const byAddress = new Map<string, MeshService[]>();
  for (const service of all) {
    if (service.source.kind !== 'entry') continue;
    for (const { address = '' } of service.source.spec.endpoints ?? []) {
      byAddress.set(address, [...(byAddress.get(address) ?? []), service]);
    }
  }
  return { byNamespace: groupBy(all, ({ namespace }) => namespace), byAddress };
});

const NONE: readonly MeshService[] = [];
const inNamespace = lookup(servicesOf, ({ byNamespace }, key: string) => byNamespace.get(key) ?? NONE);
const atAddress = lookup(servicesOf, ({ byAddress }, key: string) => byAddress.get(key) ?? NONE);

/**
 * The ports of the services that lead to a workload, the oldest service first (Istio: GetProxyServiceTargets): those of its
 * namespace whose selector chooses it, and those one of whose endpoints it is.
 */
export function ownPorts(view: ConfigView, workload: OwnWorkload): readonly OwnPort[] {
  const { namespace, addresses } = workload;
  const instances = indexInstances(view, registeredIn(NOBODY));
  const isHere = ({ address }: Instance) => addresses.includes(address);
  const found: OwnPort[] = [];
  const near = inNamespace(view, namespace);
  const others = addresses.flatMap((one) => atAddress(view, one));
  for (const service of new Set([...near, ...others])) {
    const isChosen = service.namespace === namespace && leadsTo(service, workload);
    for (const port of service.ports) {
      if (port.protocol === 'udp') continue;
      const own = addresses.length === 0 ? undefined : instances.of(service, port).find(isHere);
      if (own !== undefined) found.push({ service, port, target: own.port });
      else if (isChosen && typeof port.target !== 'string')
        found.push({ service, port, target: port.target ?? port.number });
    }
  }
  return found.filter(({ target }) => target > 0);
}

/** Whether a service has the workload among its endpoints: by its selector, or by their labels. */
function leadsTo({ source }: MeshService, { labels, addresses }: OwnWorkload): boolean {
  if (source.kind === 'implied') return false;
  if (source.kind === 'kubernetes') return isChosen(source.spec.selector, labels);
  const { workloadSelector, endpoints = [] } = source.spec;
  if (isChosen(workloadSelector?.labels, labels)) return true;
  // Who is somewhere is the endpoint of that address, and no other.
  return addresses.length === 0 && endpoints.some((one) => isChosen(one.labels, labels));
}

/** Istio: an empty selector chooses nobody. */
function isChosen(selector: Labels = {}, labels: Labels): boolean {
  return Object.keys(selector).length > 0 && selects(selector, labels);
}
