import type { InstanceIndex } from '../instances.js';
import type { EnvoyOptions } from '../profile.js';
import type { MeshService } from '../services.js';
import { selects } from '../visibility.js';

/** Istio's label of services whose ports are not translated. */
const NO_TRANSLATION = 'experimental.istio.io/disable-gateway-port-translation';

/** The port that a gateway listens on for the port of a server. */
export type ListenPort = (port: number) => number;

/** What the services in front of a gateway are found by. */
export interface FrontServices {
  readonly services: Iterable<MeshService>;
  readonly instances: InstanceIndex;
  /** Labels of the document of a service. */
  readonly labelsOf: (service: MeshService) => Readonly<Record<string, string>>;
}

/**
 * Istio (resolvePorts): where a service leads to the gateway, servers name the ports of that service, and the gateway
 * listens where the service sends connections to. Without such a service it listens on the port itself.
 */
export function listenPorts(
  { addresses, labels }: EnvoyOptions,
  { services, instances, labelsOf }: FrontServices,
): ListenPort {
  const targets = new Map<number, number>();
  const add = (port: number, target: number) => {
    if (!targets.has(port)) targets.set(port, target);
  };
  for (const service of services) {
    if (NO_TRANSLATION in labelsOf(service)) continue;
    const { source } = service;
    const selector = source.kind === 'kubernetes' ? source.spec.selector : undefined;
    const isFront = selector !== undefined && selects(selector, labels);
    for (const port of service.ports) {
      const own = instances.of(service, port).find(({ address }) => addresses.includes(address));
      if (own !== undefined) add(port.number, own.port);
      else if (isFront && typeof port.target !== 'string') add(port.number, port.target ?? port.number);
    }
  }
  return (port) => targets.get(port) ?? port;
}
