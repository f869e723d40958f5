import { checkLabels } from './common-rules.js';
import { isSubdomain, validateEndpointSlice, validateEndpoints } from './endpoint-rules.js';
import type { Kind } from './kind.js';
import {
  configMapSchema,
  deploymentSchema,
  endpointSliceSchema,
  endpointsSchema,
  metadataOnlySchema,
  podSchema,
  serviceSchema,
} from './kubernetes-schema.js';
import { meshConfigOfConfigMap } from './mesh-config.js';
import { isDnsLabel, isIpAddress } from './names.js';
import { createReport, entriesOf, type Report } from './report.js';
import type { Document } from './view.js';

/** Kubernetes Service: the name, ports and selector of a service. */
export const serviceKind: Kind<'Service'> = {
  name: 'Service',
  apiVersions: ['v1'],
  schema: serviceSchema,
  validate: validateService,
};

/** Kubernetes Deployment: the labels and service account of a version's workloads. */
export const deploymentKind: Kind<'Deployment'> = {
  name: 'Deployment',
  apiVersions: ['apps/v1'],
  schema: deploymentSchema,
  validate: validateDeployment,
};

/** Kubernetes StatefulSet: the same of its workloads. */
export const statefulSetKind: Kind<'StatefulSet'> = {
  name: 'StatefulSet',
  apiVersions: ['apps/v1'],
  schema: deploymentSchema,
  validate: validateDeployment,
};

/** Kubernetes DaemonSet: the same of its workloads. */
export const daemonSetKind: Kind<'DaemonSet'> = {
  name: 'DaemonSet',
  apiVersions: ['apps/v1'],
  schema: deploymentSchema,
  validate: validateDeployment,
};

/** Kubernetes Pod: labels and service account of one workload. */
export const podKind: Kind<'Pod'> = {
  name: 'Pod',
  apiVersions: ['v1'],
  schema: podSchema,
  validate: () => [],
};

/** Kubernetes Endpoints: where a service without selector is served. */
export const endpointsKind: Kind<'Endpoints'> = {
  name: 'Endpoints',
  apiVersions: ['v1'],
  schema: endpointsSchema,
  isSpec: true,
  validate: validateEndpoints,
};

/** Kubernetes EndpointSlice: where a service is served. */
export const endpointSliceKind: Kind<'EndpointSlice'> = {
  name: 'EndpointSlice',
  apiVersions: ['discovery.k8s.io/v1', 'discovery.k8s.io/v1beta1'],
  schema: endpointSliceSchema,
  isSpec: true,
  validate: validateEndpointSlice,
};

/** Kubernetes ConfigMap: data that others refer to; the MeshConfig is in one. */
export const configMapKind: Kind<'ConfigMap'> = {
  name: 'ConfigMap',
  apiVersions: ['v1'],
  schema: configMapSchema,
  isSpec: true,
  validate: (document) => meshConfigOfConfigMap(document)?.violations ?? [],
};

/** Kubernetes Namespace: its labels. */
export const namespaceKind: Kind<'Namespace'> = {
  name: 'Namespace',
  apiVersions: ['v1'],
  schema: metadataOnlySchema,
  validate: (document) => {
    const report = createReport();
    checkName(document, report);
    return report.violations;
  },
};

/** Kubernetes ServiceAccount: a name that identities refer to. */
export const serviceAccountKind: Kind<'ServiceAccount'> = {
  name: 'ServiceAccount',
  apiVersions: ['v1'],
  schema: metadataOnlySchema,
  validate: () => [],
};

function validateService(document: Document<'Service'>) {
  const report = createReport();
  const { selector, type, clusterIP = '', externalName = '', ports = [] } = document.spec;
  checkName(document, report);
  checkLabels(selector, ['spec', 'selector'], report);
  if (clusterIP !== '' && clusterIP !== 'None' && !isIpAddress(clusterIP)) {
    report.invalid(['spec', 'clusterIP'], `${JSON.stringify(clusterIP)} is neither an IP address nor None`);
  }
  if (type === 'ExternalName' && !isSubdomain(externalName.replace(/\.$/, ''))) {
    report.invalid(['spec', 'externalName'], `${JSON.stringify(externalName)} is not a DNS name`);
  }
  checkPorts(ports, report);
  return report.violations;
}

function checkPorts(ports: NonNullable<Document<'Service'>['spec']['ports']>, report: Report): void {
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [port, path] of entriesOf(ports, ['spec', 'ports'])) {
    const { name = '', protocol = 'TCP' } = port;
    if (name === '' && ports.length > 1) report.invalid(path, 'each of several ports needs a name');
    if (name !== '' && !isLowerLabel(name))
      report.invalid([...path, 'name'], `${JSON.stringify(name)} is not the name of a port`);
    // Kubernetes refuses it; Istio, which goes by numbers, does not look.
    if (name !== '' && names.has(name))
      report.warn([...path, 'name'], `the port name ${JSON.stringify(name)} is already used`);
    const number = `${protocol} ${port.port}`;
    if (numbers.has(number)) report.invalid([...path, 'port'], `the port ${port.port} is already used`);
    names.add(name);
    numbers.add(number);
    const { targetPort } = port;
    if (typeof targetPort === 'string' && !isPortName(targetPort)) {
      report.invalid(
        [...path, 'targetPort'],
        `${JSON.stringify(targetPort)} is not the name of a port of a Pod`,
      );
    }
  }
}

/** Names that are one label of DNS: those of Services and of namespaces. */
function checkName({ kind, name }: Document, report: Report): void {
  if (isLowerLabel(name)) return;
  report.invalid(
    ['metadata', 'name'],
    `the name of a ${kind} is at most 63 small letters, digits and inner "-"`,
  );
}

/** Kubernetes, unlike Istio, has no capitals in labels of DNS. */
function isLowerLabel(text: string): boolean {
  return isDnsLabel(text) && text === text.toLowerCase();
}

/** Kubernetes: IsValidPortName. It has a letter: a number in quotes is no number. */
function isPortName(text: string): boolean {
  return text.length <= 15 && /[a-z]/.test(text) && /^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(text);
}

function validateDeployment(document: Document<'Deployment' | 'StatefulSet' | 'DaemonSet'>) {
  const report = createReport();
  const { selector, template } = document.spec;
  const labels = template.metadata?.labels ?? {};
  checkLabels(labels, ['spec', 'template', 'metadata', 'labels'], report);
  for (const [name, value] of Object.entries(selector?.matchLabels ?? {})) {
    if (labels[name] === value) continue;
    report.invalid(
      ['spec', 'selector', 'matchLabels', name],
      'the labels of the template do not have this one',
    );
  }
  return report.violations;
}
