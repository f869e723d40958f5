import { isIPv6 } from 'node:net';
import type { Node } from '../../../model/node.js';
import type { ConnectionPoolSettings, GatewayServer, SidecarSpec } from '../../kinds/types.js';
import type { ConfigView, Document } from '../../kinds/view.js';
import { isHttp2Port, isHttpPort, type ServicePort } from '../../mesh/port-protocol.js';
import type { MeshService } from '../../mesh/services.js';
import { type OwnWorkload, ownPorts } from '../own-services.js';
import { ingressProtocol, ingressTls } from '../sidecar-ingress.js';

/** A port of the application that an Envoy stands before. */
export interface InboundPort {
  /** Where connections come to. */
  readonly port: number;
  /** As the service calls it; of a Sidecar the same. */
  readonly servicePort: ServicePort;
  readonly protocol: InboundProtocol;
  readonly isHttp2: boolean;
  /** Whose spans they are (Istio): of the service, else of the Sidecar. */
  readonly host: string;
  /** The services that lead there; a Sidecar's port may be nobody's. */
  readonly services: readonly MeshService[];
  /** The address of a socket of its own; undefined = connections are captured. */
  readonly bind: string | undefined;
  /** Where the application listens: an address and port, or a Unix socket; undefined = where a connection wanted to go. */
  readonly endpoint: { readonly address: string; readonly port: number } | undefined;
  /** TLS with certificates of its own, which is ended where the mesh's is not. */
  readonly tls: GatewayServer['tls'];
  /** What of a Sidecar holds for connections to the application; undefined = the DestinationRule decides. */
  readonly pool: ConnectionPoolSettings | undefined;
}

/** What connections carry; `auto` = their first bytes tell. */
export type InboundProtocol = 'http' | 'tcp' | 'auto';

/** How connections come to an Envoy, and where it is. */
export interface InboundPlace {
  readonly interception: 'REDIRECT' | 'TPROXY' | 'NONE';
  /** For all addresses of its machine. */
  readonly wildcard: '0.0.0.0' | '::';
  readonly loopback: '127.0.0.1' | '::1';
  /** Istio: connections from there are not captured again. */
  readonly passthroughSource: '127.0.0.6' | '::6';
  readonly addresses: readonly string[];
}

/** Where the node says it is. */
export function inboundPlace({ metadata }: Node, addresses: readonly string[]): InboundPlace {
  const { INTERCEPTION_MODE: mode } = metadata;
  const isV6 = addresses.length > 0 && addresses.every(isIPv6);
  return {
    // Istio: an Envoy that does not say how is one whose connections are redirected.
    interception: mode === 'NONE' || mode === 'TPROXY' ? mode : 'REDIRECT',
    wildcard: isV6 ? '::' : '0.0.0.0',
    loopback: isV6 ? '::1' : '127.0.0.1',
    passthroughSource: isV6 ? '::6' : '127.0.0.6',
    addresses,
  };
}

/** What the ports of a workload are found by. */
export interface InboundSubject {
  readonly workload: OwnWorkload;
  readonly place: InboundPlace;
  readonly sidecar: Document<'Sidecar'> | undefined;
  /** Istio's `inboundTrafficPolicy`: whether applications listen on loopback alone. */
  readonly isLocal: boolean;
}

/**
 * The ports of a workload, lowest first (Istio: buildInboundChainConfigs): those that its services lead to, of several with
 * one port the oldest; or those of its Sidecar in their place. Without capture only a Sidecar can say them, as the
 * application has the others itself.
 */
export function inboundPorts(view: ConfigView, subject: InboundSubject): readonly InboundPort[] {
  const { sidecar, place, workload } = subject;
  const own = ownPorts(view, workload);
  const ingress = sidecar?.spec.ingress ?? [];
  const found = new Map<number, InboundPort>();
  const add = (port: InboundPort) => {
    if (!found.has(port.port)) found.set(port.port, port);
  };
  const servicesAt = (target: number) => [
    ...new Set(own.filter((one) => one.target === target).map(({ service }) => service)),
  ];
  if (sidecar !== undefined && ingress.length > 0) {
    for (const one of ingress)
      add(ingressPort(one, sidecar, { place, services: servicesAt(one.port.number ?? 0) }));
  } else if (place.interception !== 'NONE') {
    for (const { service, port, target } of own) {
      add({
        port: target,
        servicePort: port,
        ...protocolOf(port),
        host: service.host,
        services: servicesAt(target),
        bind: undefined,
        endpoint: subject.isLocal ? { address: place.loopback, port: target } : undefined,
        tls: undefined,
        pool: sidecar?.spec.inboundConnectionPool,
      });
    }
  }
  return [...found.values()].sort((a, b) => a.port - b.port);
}

type Ingress = NonNullable<SidecarSpec['ingress']>[number];

function ingressPort(
  ingress: Ingress,
  { name, namespace, spec }: Document<'Sidecar'>,
  { place, services }: { readonly place: InboundPlace; readonly services: readonly MeshService[] },
): InboundPort {
  const { port, bind, captureMode = 'DEFAULT', defaultEndpoint, connectionPool } = ingress;
  const { number = 0 } = port;
  const servicePort = { number, protocol: ingressProtocol(ingress) };
  const isBound = captureMode === 'NONE' || (captureMode === 'DEFAULT' && place.interception === 'NONE');
  return {
    port: number,
    servicePort,
    ...protocolOf(servicePort),
    host: `${name}.${namespace}`,
    services,
    bind: isBound ? bind || place.wildcard : undefined,
    endpoint: endpointOf(defaultEndpoint ?? '', place),
    tls: ingressTls(ingress),
    pool: connectionPool ?? spec.inboundConnectionPool,
  };
}

function protocolOf(port: ServicePort): Pick<InboundPort, 'protocol' | 'isHttp2'> {
  const isHttp = isHttpPort(port);
  return {
    protocol: isHttp ? (port.protocol === '' ? 'auto' : 'http') : 'tcp',
    isHttp2: isHttp2Port(port),
  };
}

const UNIX = 'unix://';

/** Istio: all addresses of the machine mean the one by which others know it. */
function endpointOf(text: string, { addresses }: InboundPlace): InboundPort['endpoint'] {
  if (text === '') return undefined;
  if (text.startsWith(UNIX)) return { address: text.slice(UNIX.length), port: 0 };
  const split = text.lastIndexOf(':');
  const host = text.slice(0, split).replace(/^\[|\]$/g, '');
  const port = Number(text.slice(split + 1));
  const known = addresses.find((one) => isIPv6(one) === (host === '::'));
  if (host === '0.0.0.0') return { address: known ?? '127.0.0.1', port };
  if (host === '::') return { address: known ?? '::1', port };
  return { address: host === '' ? '127.0.0.1' : host, port };
}
