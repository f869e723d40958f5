import type { PlainValue } from '../../schema/value.js';
import type { AnalysisContext, Analyzer, Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { at, field, labelsAt, list, number, text } from '../plain.js';
import { selects } from '../selectors.js';
import { isDeploymentInMesh, isIstioControlPlane } from '../workloads.js';

/** Istio: deployment.ServiceAssociationAnalyzer. */
export const serviceAssociationAnalyzer: Analyzer = {
  name: 'deployment.ServiceAssociationAnalyzer',
  summary: 'services that share a workload',
  codes: ['IST0116', 'IST0137'],
  analyze(context, report) {
    for (const deployment of context.list('Deployment')) {
      const isWaypoint = deployment.labels['gateway.istio.io/managed'] === 'istio.io-mesh-controller';
      if (isWaypoint || !isDeploymentInMesh(deployment, context)) continue;
      const services = servicesOf(deployment, context);
      checkProtocols(deployment, services, report);
      checkTargetPorts(deployment, services, report);
    }
  },
};

function servicesOf({ spec, namespace }: AnalysisDocument, context: AnalysisContext) {
  const labels = labelsAt(spec, 'template', 'metadata', 'labels');
  return context.list('Service', '').filter((service) => {
    const selector = labelsAt(service.spec, 'selector');
    const hasSelector = Object.keys(selector).length > 0;
    return service.namespace === namespace && hasSelector && selects(selector, labels);
  });
}

const nameOf = ({ namespace, name }: AnalysisDocument): string => `${namespace}/${name}`;

function checkProtocols(
  deployment: AnalysisDocument,
  services: readonly AnalysisDocument[],
  report: Report,
): void {
  const ports = new Map<number, Map<string, string[]>>();
  for (const service of services) {
    for (const port of list(service.spec, 'ports')) {
      const value = number(port, 'port');
      if (value === undefined) continue;
      const protocols = ports.get(value) ?? new Map<string, string[]>();
      const protocol = text(port, 'protocol') || 'TCP';
      protocols.set(protocol, [...(protocols.get(protocol) ?? []), nameOf(service)]);
      ports.set(value, protocols);
    }
  }
  for (const [port, protocols] of ports) {
    if (protocols.size < 2) continue;
    const names = [...protocols.values()].flat().sort();
    const message = `the services ${names.join(', ')} use port ${port} of this workload with different protocols: ${[...protocols.keys()].join(', ')}`;
    report('IST0116', deployment, message);
  }
}

function checkTargetPorts(
  deployment: AnalysisDocument,
  services: readonly AnalysisDocument[],
  report: Report,
): void {
  const targets = new Map<string, Map<number, string>>();
  for (const service of services) {
    for (const port of list(service.spec, 'ports')) {
      const value = number(port, 'port');
      if (value === undefined) continue;
      const target = targetOf(port, value);
      const numbers = targets.get(target) ?? new Map<number, string>();
      targets.set(target, numbers.set(value, nameOf(service)));
    }
  }
  for (const [target, numbers] of targets) {
    if (numbers.size < 2) continue;
    const names = [...new Set(numbers.values())].sort();
    const message = `the services ${names.join(', ')} lead to the port ${target} of this workload from different ports: ${[...numbers.keys()].sort((a, b) => a - b).join(', ')}`;
    report('IST0137', deployment, message);
  }
}

/** Kubernetes: a target port that is left out, or 0, is the port itself. */
function targetOf(port: PlainValue, value: number): string {
  const target = field(port, 'targetPort');
  const isNamed = typeof target === 'string' && target !== '' && target !== '0';
  return isNamed || (typeof target === 'number' && target !== 0) ? String(target) : String(value);
}

const PROXY_USER = 1337;
const OWN_CONTAINERS: ReadonlySet<string> = new Set(['istio-proxy', 'istio-operator']);

/** Istio: deployment.ApplicationUIDAnalyzer. */
export const applicationUidAnalyzer: Analyzer = {
  name: 'deployment.ApplicationUIDAnalyzer',
  summary: "programs that run as the proxy's user",
  codes: ['IST0144'],
  analyze(context, report) {
    for (const pod of context.list('Pod')) checkUser(pod, pod.spec, ['spec'], report);
    for (const deployment of context.list('Deployment')) {
      checkUser(deployment, at(deployment.spec, 'template', 'spec'), ['spec', 'template', 'spec'], report);
    }
  },
};

function checkUser(
  document: AnalysisDocument,
  podSpec: PlainValue | undefined,
  path: readonly string[],
  report: Report,
): void {
  if (isIstioControlPlane(document)) return;
  const user = ['securityContext', 'runAsUser'];
  const message = `user ${PROXY_USER} is the proxy, whose traffic is not captured: run the program as another one`;
  if (number(podSpec, ...user) === PROXY_USER) {
    report('IST0144', document, message, { path: [...path, ...user] });
  }
  for (const [index, container] of list(podSpec, 'containers').entries()) {
    if (OWN_CONTAINERS.has(text(container, 'name')) || number(container, ...user) !== PROXY_USER) continue;
    report('IST0144', document, message, { path: [...path, 'containers', index, ...user] });
  }
}
