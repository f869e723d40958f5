import type { NodeWorkload } from '../../model/node.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { isHttp2Port, isTcpPort, protocolOf, type ServicePort } from '../mesh/port-protocol.js';
import { ownPorts } from './own-services.js';
import { peerAuthentications } from './peer-authentication.js';
import { sidecarFor } from './sidecar.js';
import { ingressProtocol } from './sidecar-ingress.js';

/** A workload as documents know it. */
interface Subject {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

const ANY_ADDRESS = '0.0.0.0';

/**
 * The ports that a workload would serve by what documents say of its labels: those where services of its namespace lead to,
 * or those of its Sidecar in their place (Istio), and those that its PeerAuthentication has a word on.
 */
export function servedWorkloads(
  view: ConfigView,
  subject: Subject,
  config: MeshConfig,
): readonly NodeWorkload[] {
  const own = ownPorts(view, { ...subject, addresses: [] });
  const service = own[0]?.service.source.name ?? '';
  const found = new Map<number, NodeWorkload>();
  const add = (port: number, name: string, protocol: ServicePort, owner: string) => {
    if (found.has(port)) return;
    const kind = isTcpPort(protocol) ? 'tcp' : isHttp2Port(protocol) ? 'grpc' : undefined;
    const served = { service: owner, address: ANY_ADDRESS, port, portName: name, tlsMode: 'istio' as const };
    found.set(port, kind === undefined ? served : { ...served, protocol: kind });
  };
  const ingress = sidecarFor(view, subject, config.rootNamespace)?.spec.ingress ?? [];
  for (const one of ingress) {
    const { number = 0, name = '' } = one.port;
    add(number, name, { number, protocol: ingressProtocol(one) || protocolOf(undefined, name) }, service);
  }
  if (ingress.length === 0)
    for (const one of own) add(one.target, one.port.name, one.port, one.service.source.name);
  if (Object.keys(subject.labels).length > 0) {
    const { ports } = peerAuthentications(view, config)(subject);
    for (const number of ports.keys()) add(number, '', { number, protocol: 'tcp' }, service);
  }
  return [...found.values()].sort((a, b) => a.port - b.port);
}
