import type { PlainValue } from '../../schema/value.js';
import type { Analyzer, Report } from '../analyzer.js';
import type { AnalysisDocument } from '../document.js';
import { list, number, text } from '../plain.js';
import { isIstioControlPlane, isSystemNamespace } from '../workloads.js';

/** Istio: service.PortNameAnalyzer. */
export const portNameAnalyzer: Analyzer = {
  name: 'service.PortNameAnalyzer',
  summary: 'ports whose protocol cannot be told',
  codes: ['IST0118', 'IST0150'],
  analyze(context, report) {
    for (const service of context.list('Service', '')) {
      if (isSystemNamespace(service.namespace) || isIstioControlPlane(service)) continue;
      const isExternal = text(service.spec, 'type') === 'ExternalName';
      for (const [index, port] of list(service.spec, 'ports').entries()) {
        const isFine = isProtocolKnown(port) && !(isExternal && text(port, 'name') === 'tcp');
        if (!isFine) reportPort(service, { port, index, isExternal }, report);
      }
    }
  },
};

interface OddPort {
  readonly port: PlainValue;
  readonly index: number;
  readonly isExternal: boolean;
}

function reportPort(service: AnalysisDocument, { port, index, isExternal }: OddPort, report: Report): void {
  const name = text(port, 'name');
  const details = { path: ['spec', 'ports', index, ...(name === '' ? [] : ['name'])] };
  const shown = JSON.stringify(name);
  if (isExternal) {
    const message = `the port ${shown} of an ExternalName service may take other traffic of its number: name its protocol, such as http or tls`;
    report('IST0150', service, message, details);
    return;
  }
  const target = text(port, 'targetPort') || (number(port, 'targetPort') ?? 0);
  const where = `port ${number(port, 'port')}, target ${target}`;
  const message = `the name ${shown} (${where}) does not tell the protocol: begin it with http, grpc, tcp ... or set appProtocol`;
  report('IST0118', service, message, details);
}

const PROTOCOLS: ReadonlySet<string> = new Set([
  'grpc',
  'http',
  'http_proxy',
  'http2',
  'https',
  'mongo',
  'mysql',
  'redis',
  'tcp',
  'tls',
  'udp',
]);

/** Ports whose protocol is TCP by custom: mail, DNS, MySQL, MongoDB. */
const WELL_KNOWN: ReadonlySet<number> = new Set([25, 53, 3306, 27_017]);

const APP_PROTOCOLS: ReadonlySet<string> = new Set([
  'kubernetes.io/h2c',
  'kubernetes.io/ws',
  'kubernetes.io/wss',
]);

/** Istio: kube.ConvertProtocol gives a protocol. */
function isProtocolKnown(port: PlainValue): boolean {
  if (text(port, 'protocol') === 'UDP') return true;
  const appProtocol = text(port, 'appProtocol');
  if (APP_PROTOCOLS.has(appProtocol.toLowerCase())) return true;
  const name = (appProtocol || text(port, 'name')).toLowerCase();
  if (name.startsWith('grpc-web')) return true;
  const [prefix = ''] = name.split('-');
  return PROTOCOLS.has(prefix) || WELL_KNOWN.has(number(port, 'port') ?? 0);
}
