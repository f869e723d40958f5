import { X509Certificate } from 'node:crypto';
import type { PlainValue } from '../../schema/value.js';
import { type AnalysisContext, type Analyzer, NETWORKING, type Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { labelsAt, list, map, number, text } from '../plain.js';
import { selectorText, selects } from '../selectors.js';

const selectorOf = ({ spec }: AnalysisDocument) => labelsAt(spec, 'selector');

/** Istio: gateway.IngressGatewayPortAnalyzer. */
export const gatewayPortAnalyzer: Analyzer = {
  name: 'gateway.IngressGatewayPortAnalyzer',
  summary: 'ports of gateways that no Service leads to',
  codes: ['IST0101', 'IST0162'],
  analyze(context, report) {
    for (const gateway of context.list('Gateway', NETWORKING)) {
      const selector = selectorOf(gateway);
      const pods = context.pods.filter(({ labels }) => selects(selector, labels));
      if (pods.length === 0) {
        reportNoWorkload(gateway, report);
        continue;
      }
      const ports = new Set(pods.flatMap((pod) => portsTo(pod, context)));
      for (const [index, server] of list(gateway.spec, 'servers').entries()) {
        const port = number(server, 'port', 'number');
        if (port === undefined || ports.has(port)) continue;
        const message = `no Service leads to port ${port} of the workloads ${selectorText(selector)}`;
        report('IST0162', gateway, message, { path: ['spec', 'servers', index, 'port', 'number'] });
      }
    }
  },
};

function reportNoWorkload(gateway: AnalysisDocument, report: Report): void {
  const selector = selectorText(selectorOf(gateway));
  report('IST0101', gateway, `the selector ${selector} selects no workload`, { path: ['spec', 'selector'] });
}

/** The ports that Services of the pod are reached on, and those of the pod that they lead to: gateways may mean either. */
function portsTo({ namespace, labels }: AnalysisDocument, context: AnalysisContext): readonly number[] {
  const services = context
    .list('Service', '')
    .filter((one) => one.namespace === namespace && selects(labelsAt(one.spec, 'selector'), labels));
  return services.flatMap(({ spec }) =>
    list(spec, 'ports').flatMap((port) => {
      if ((text(port, 'protocol') || 'TCP') !== 'TCP') return [];
      return [number(port, 'port'), targetOf(port)].flatMap((one) => one ?? []);
    }),
  );
}

/** Kubernetes: a target port is a number, the text of one, or the name of a port of the pod. */
function targetOf(port: PlainValue): number | undefined {
  const target = text(port, 'targetPort');
  return /^\d+$/.test(target) ? Number(target) : number(port, 'targetPort');
}

/** Istio: gateway.SecretAnalyzer. */
export const gatewaySecretAnalyzer: Analyzer = {
  name: 'gateway.SecretAnalyzer',
  summary: 'certificates of gateways',
  codes: ['IST0101', 'IST0161'],
  analyze(context, report) {
    for (const gateway of context.list('Gateway', NETWORKING)) {
      const selector = selectorOf(gateway);
      const pod = context.pods.find(({ labels }) => selects(selector, labels));
      if (pod === undefined) reportNoWorkload(gateway, report);
      else checkCredentials(gateway, pod.namespace, context, report);
    }
  },
};

function checkCredentials(
  gateway: AnalysisDocument,
  namespace: string,
  context: AnalysisContext,
  report: Report,
): void {
  for (const [index, server] of list(gateway.spec, 'servers').entries()) {
    const name = text(server, 'tls', 'credentialName');
    // What is built in, or comes from another provider, is no Secret.
    if (name === '' || name.includes('://')) continue;
    const path = ['spec', 'servers', index, 'tls', 'credentialName'];
    const slash = name.indexOf('/');
    const secret =
      slash < 0
        ? context.find('Secret', namespace, name)
        : context.find('Secret', name.slice(0, slash), name.slice(slash + 1));
    if (secret === undefined) {
      const message = `the namespace ${namespace} of the gateway's workloads has no Secret ${name}`;
      report('IST0101', gateway, message, { path });
      continue;
    }
    const problem = problemOf(secret, context.now);
    if (problem !== undefined) report('IST0161', gateway, `the Secret ${name} ${problem}`, { path });
  }
}

/** Istio: a Secret of TLS holds a certificate that is valid now, and a key, by its own names or by Kubernetes'. */
function problemOf(secret: AnalysisDocument, now: number): string | undefined {
  const hasOwnNames = Boolean(dataOf(secret, 'cert') && dataOf(secret, 'key'));
  const [certName, keyName] = hasOwnNames ? ['cert', 'key'] : ['tls.crt', 'tls.key'];
  const [chain, key] = [dataOf(secret, certName), dataOf(secret, keyName)];
  if (chain === undefined || chain === '') return `has no ${certName}`;
  if (key === undefined || key === '') return `has no ${keyName}`;
  try {
    const certificate = new X509Certificate(chain);
    if (now > Date.parse(certificate.validTo)) return `holds a certificate that ended ${certificate.validTo}`;
    if (now < Date.parse(certificate.validFrom))
      return `holds a certificate that begins ${certificate.validFrom}`;
    return undefined;
  } catch {
    return `holds no certificate (PEM) in ${certName}`;
  }
}

function dataOf({ value }: AnalysisDocument, key: string): string | undefined {
  const plain = map(value, 'stringData')?.[key];
  if (typeof plain === 'string') return plain;
  const encoded = map(value, 'data')?.[key];
  return typeof encoded === 'string' ? Buffer.from(encoded, 'base64').toString() : undefined;
}

/** Istio: gateway.CertificateAnalyzer. */
export const gatewayCertificateAnalyzer: Analyzer = {
  name: 'gateway.CertificateAnalyzer',
  summary: 'certificates that gateways share',
  codes: ['IST0138'],
  analyze(context, report) {
    const gateways = context.list('Gateway', NETWORKING);
    for (const gateway of gateways) {
      // A gateway that selects less selects the workloads of the other, too.
      const others = gateways.filter(
        (other) => other !== gateway && selects(selectorOf(gateway), selectorOf(other)),
      );
      for (const other of others) {
        const shared = list(gateway.spec, 'servers').findIndex((server) =>
          list(other.spec, 'servers').some((one) => isSameCertificate(map(server, 'tls'), map(one, 'tls'))),
        );
        if (shared < 0) continue;
        const message = `${other.namespace}/${other.name} has the same certificate: clients that reuse a connection of HTTP/2 may get 404`;
        report('IST0138', gateway, message, { path: ['spec', 'servers', shared, 'tls'] });
      }
    }
  },
};

type Tls = ReturnType<typeof map>;

function isSameCertificate(left: Tls, right: Tls): boolean {
  if (left === undefined || right === undefined) return false;
  const isSame = (name: string): boolean => text(left, name) !== '' && text(left, name) === text(right, name);
  if (text(left, 'credentialName') !== '' || text(right, 'credentialName') !== '')
    return isSame('credentialName');
  return isSame('serverCertificate') && isSame('privateKey');
}

/** Istio: gateway.ConflictingGatewayAnalyzer. */
export const conflictingGatewayAnalyzer: Analyzer = {
  name: 'gateway.ConflictingGatewayAnalyzer',
  summary: 'gateways of one workload that share port and host',
  codes: ['IST0145'],
  analyze(context, report) {
    const gateways = context.list('Gateway', NETWORKING);
    for (const gateway of gateways) {
      const others = gateways.filter((other) => other !== gateway && shareWorkload(gateway, other, context));
      for (const [index, server] of list(gateway.spec, 'servers').entries()) {
        const names = others.filter((other) =>
          list(other.spec, 'servers').some((one) => isConflict(server, one)),
        );
        if (names.length === 0) continue;
        const shown = names
          .map(({ namespace, name }) => `${namespace}/${name}`)
          .sort()
          .join(', ');
        const port = number(server, 'port', 'number');
        report('IST0145', gateway, `port ${port} and a host are also those of ${shown}`, {
          path: ['spec', 'servers', index, 'hosts'],
        });
      }
    }
  },
};

function shareWorkload(left: AnalysisDocument, right: AnalysisDocument, context: AnalysisContext): boolean {
  const [a, b] = [selectorOf(left), selectorOf(right)];
  if (selectorText(a) === selectorText(b)) return true;
  if (!selects(a, b) && !selects(b, a)) return false;
  return context.pods.some(({ labels }) => selects(a, labels) && selects(b, labels));
}

type Server = Parameters<typeof list>[0];

function isConflict(left: Server, right: Server): boolean {
  const port = number(left, 'port', 'number');
  if (port === undefined || port !== number(right, 'port', 'number')) return false;
  if (text(left, 'bind') !== text(right, 'bind')) return false;
  const hosts = new Set(list(right, 'hosts'));
  return list(left, 'hosts').some((host) => hosts.has(host));
}
