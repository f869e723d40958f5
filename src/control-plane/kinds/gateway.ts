import type { Document, FieldPath } from '../store/view.js';
import { credentialReferences } from './credential-references.js';
import { gatewaySchema } from './gateway-schema.js';
import { checkServerTls } from './gateway-tls-rules.js';
import type { Kind } from './kind.js';
import { isDnsLabel, isIpAddress, isPort, isWildcardDnsName } from './names.js';
import { createReport, entriesOf, type Report } from './report.js';
import { PORT_PROTOCOLS } from './service-entry.js';
import type { GatewayServer } from './types.js';

/** Istio Gateway: carried out by the Envoys that it selects. */
export const gatewayKind: Kind<'Gateway'> = {
  name: 'Gateway',
  apiVersions: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  schema: gatewaySchema,
  validate,
  references: credentialReferences,
};

function validate(document: Document<'Gateway'>) {
  const report = createReport();
  const { servers = [] } = document.spec;
  if (servers.length === 0) report.invalid(['spec'], 'a Gateway needs a server');
  const portNames = new Set<string>();
  for (const [server, path] of entriesOf(servers, ['spec', 'servers'])) {
    const { name } = server.port;
    if (portNames.has(name)) {
      report.invalid([...path, 'port', 'name'], `the port name ${JSON.stringify(name)} is already used`);
    }
    portNames.add(name);
    checkServer(server, path, report);
  }
  return report.violations;
}

function checkServer(server: GatewayServer, path: FieldPath, report: Report): void {
  const { port, bind = '', hosts, tls } = server;
  if (hosts.length === 0) report.invalid([...path, 'hosts'], 'hosts must name a host');
  for (const [host, at] of entriesOf(hosts, [...path, 'hosts'])) {
    if (!isServerHost(host)) report.invalid(at, `${JSON.stringify(host)} is not a host`);
  }
  checkPort(server, path, report);
  if (bind !== '' && !isIpAddress(bind) && !/^unix:\/\/[/@]./.test(bind)) {
    report.invalid([...path, 'bind'], `${JSON.stringify(bind)} is neither an IP address nor a unix socket`);
  }
  const isTls = ['https', 'tls'].includes(port.protocol.toLowerCase());
  const isHttp = ['http', 'http2', 'grpc', 'grpc-web'].includes(port.protocol.toLowerCase());
  if (isTls && tls === undefined) report.invalid(path, `a server of ${port.protocol} needs tls`);
  if (isHttp && tls !== undefined && tls.mode !== undefined) {
    report.invalid([...path, 'tls'], `a server of ${port.protocol} cannot have tls other than httpsRedirect`);
  }
  if (isTls && tls?.httpsRedirect === true) {
    report.invalid([...path, 'tls', 'httpsRedirect'], 'httpsRedirect is for servers of HTTP');
  }
  if (isTls && tls !== undefined) checkServerTls(tls, [...path, 'tls'], report);
}

function checkPort({ port, bind = '' }: GatewayServer, path: FieldPath, report: Report): void {
  const at = [...path, 'port'];
  if (!PORT_PROTOCOLS.has(port.protocol.toLowerCase())) {
    report.invalid([...at, 'protocol'], `${JSON.stringify(port.protocol)} is not a protocol`);
  }
  if (port.name === '') report.invalid([...at, 'name'], 'a port needs a name');
  const isUnix = bind.startsWith('unix://');
  if (isUnix && port.number !== 0) report.invalid([...at, 'number'], 'the port of a unix socket is 0');
  if (!isUnix && !isPort(port.number)) report.invalid([...at, 'number'], `${port.number} is not a port`);
}

/** `host` or `namespace/host`, where the namespace may be `*`, `.` or `~`. */
function isServerHost(host: string): boolean {
  const [first = '', second, ...rest] = host.split('/');
  if (rest.length > 0) return false;
  if (second === undefined) return isWildcardDnsName(first) || isIpAddress(first);
  return (['*', '.', '~'].includes(first) || isDnsLabel(first)) && isWildcardDnsName(second);
}
