import type { NodeWorkload } from '../../model/node.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { isHttp2Port, isTcpPort, protocolOf, type ServicePort } from '../mesh/port-protocol.js';
import { listServices, type MeshService } from '../mesh/services.js';
import { selects } from '../mesh/visibility.js';
import { snapshotOf } from '../registry/snapshot.js';
import { peerAuthentications } from './peer-authentication.js';
import { sidecarFor } from './sidecar.js';

type Labels = Readonly<Record<string, string>>;

/** A workload as documents know it. */
interface Subject {
  readonly namespace: string;
  readonly labels: Labels;
}

const NOBODY = snapshotOf([]);
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
  const services = listServices(view, NOBODY).filter((one) => leadsTo(one, subject));
  const service = services[0]?.source.name ?? '';
  const found = new Map<number, NodeWorkload>();
  const add = (port: number, name: string, protocol: ServicePort, owner: string) => {
    if (found.has(port)) return;
    const kind = isTcpPort(protocol) ? 'tcp' : isHttp2Port(protocol) ? 'grpc' : undefined;
    const served = { service: owner, address: ANY_ADDRESS, port, portName: name, tlsMode: 'istio' as const };
    found.set(port, kind === undefined ? served : { ...served, protocol: kind });
  };
  const ingress = sidecarFor(view, subject, config.rootNamespace)?.spec.ingress ?? [];
  for (const { port } of ingress) {
    const { number = 0, name = '', protocol = '' } = port;
    add(number, name, { number, protocol: protocol.toLowerCase() || protocolOf(undefined, name) }, service);
  }
  for (const one of ingress.length > 0 ? [] : services) {
    for (const port of one.ports) {
      if (typeof port.target === 'string' || port.protocol === 'udp') continue;
      add(port.target ?? port.number, port.name, port, one.source.name);
    }
  }
  if (Object.keys(subject.labels).length > 0) {
    const { ports } = peerAuthentications(view, config)(subject);
    for (const number of ports.keys()) add(number, '', { number, protocol: 'tcp' }, service);
  }
  return [...found.values()].sort((a, b) => a.port - b.port);
}

/** Whether a service has the workload among its endpoints: by its selector, or by their labels. */
function leadsTo({ source, namespace }: MeshService, subject: Subject): boolean {
  if (namespace !== subject.namespace || source.kind === 'implied') return false;
  if (source.kind === 'kubernetes') return isChosen(source.spec.selector, subject.labels);
  const { workloadSelector, endpoints = [] } = source.spec;
  return (
    isChosen(workloadSelector?.labels, subject.labels) ||
    endpoints.some(({ labels }) => isChosen(labels, subject.labels))
  );
}

/** Istio: an empty selector chooses nobody. */
function isChosen(selector: Labels = {}, labels: Labels): boolean {
  return Object.keys(selector).length > 0 && selects(selector, labels);
}
