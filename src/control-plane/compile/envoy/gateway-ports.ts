import type { MeshService } from '../../mesh/services.js';
import { selects } from '../../mesh/visibility.js';
import type { Instance } from '../instance.js';
import type { InstanceIndex } from '../instances.js';
import type { EnvoyOptions } from '../profile.js';

/** Istio's label of services whose ports are not translated. */
const NO_TRANSLATION = 'experimental.istio.io/disable-gateway-port-translation';

/**
 * The ports that a gateway listens on for the port of a server. `hosts` are those of the services that the Gateway is for;
 * undefined = it has a selector.
 */
export type ListenPorts = (port: number, hosts: readonly string[] | undefined) => readonly number[];

/** What the services in front of a gateway are found by. */
export interface FrontServices {
  /** Of the gateway: services of another one do not lead to it, whatever their endpoints. */
  readonly namespace: string;
  readonly services: Iterable<MeshService>;
  readonly instances: InstanceIndex;
  /** Labels of the document of a service. */
  readonly labelsOf: (service: MeshService) => Readonly<Record<string, string>>;
}

/**
 * Istio (resolvePorts): where a service leads to the gateway, servers name the ports of that service, and the gateway
 * listens where the service sends connections to. Without such a service it listens on the port itself, unless its
 * Gateway is for one.
 */
export function listenPorts(
  { addresses, labels }: EnvoyOptions,
  { namespace, services, instances, labelsOf }: FrontServices,
): ListenPorts {
  const targets = new Map<number, number>();
  const ofServices = new Map<string, number>();
  const add = ({ host }: MeshService, port: number, target: number, isTranslated: boolean) => {
    ofServices.set(`${host}:${port}`, target);
    if (isTranslated && !targets.has(port)) targets.set(port, target);
  };
  // Before anybody is there, its place is anywhere: an endpoint is its own unless a label of it says otherwise.
  const isOwn = (one: Instance) =>
    addresses === undefined ? selects(one.labels, labels) : addresses.includes(one.address);
  for (const service of services) {
    if (service.namespace !== namespace) continue;
    const isTranslated = !(NO_TRANSLATION in labelsOf(service));
    const { source } = service;
    const selector = source.kind === 'kubernetes' ? source.spec.selector : undefined;
    const isFront = selector !== undefined && selects(selector, labels);
    for (const port of service.ports) {
      const own = instances.of(service, port).find(isOwn);
      if (own !== undefined) add(service, port.number, own.port, isTranslated);
      else if (isFront && typeof port.target !== 'string')
        add(service, port.number, port.target ?? port.number, isTranslated);
    }
  }
  return (port, hosts) =>
    hosts === undefined
      ? [targets.get(port) ?? port]
      : [...new Set(hosts.flatMap((host) => ofServices.get(`${host}:${port}`) ?? []))];
}
