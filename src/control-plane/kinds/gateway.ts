import { credentialReferences } from './credential-references.js';
import { gatewaySchema } from './gateway-schema.js';
import { checkServerTls } from './gateway-tls-rules.js';
import type { Kind } from './kind.js';
import { isDnsLabel, isIpAddress, isPort } from './names.js';
import { checkNamespacedHost } from './namespaced-host.js';
import { isHttpProtocol, isProtocol, isTlsProtocol } from './protocols.js';
import { createReport, entriesOf, type Report } from './report.js';
import type { GatewayServer } from './types.js';
import { checkUnixPath, isUnixAddress } from './unix-address.js';
import type { Document, FieldPath } from './view.js';

/** Istio Gateway: carried out by the Envoys that it selects. */
export const gatewayKind: Kind<'Gateway'> = {
  name: 'Gateway',
  apiVersions: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  schema: gatewaySchema,
  validate,
  references: credentialReferences,
};

/** What Istio makes of a Gateway of the Gateway API is marked by it. */
const SEMANTICS = 'internal.istio.io/gateway-semantics';

/** Istio: ValidateGateway. */
function validate({ spec, name, annotations }: Document<'Gateway'>) {
  const report = createReport();
  const { servers = [] } = spec;
  const isGenerated = annotations[SEMANTICS] === 'gateway';
  if (!isGenerated && !isDnsLabel(name)) {
    report.invalid(
      ['metadata', 'name'],
      `${JSON.stringify(name)} is not the name of a Gateway: it has no dots`,
    );
  }
  if (servers.length === 0) report.invalid(['spec'], 'a Gateway needs a server');
  const portNames = new Set<string>();
  for (const [server, path] of entriesOf(servers, ['spec', 'servers'])) {
    const { name: port } = server.port;
    if (portNames.has(port)) {
      report.invalid([...path, 'port', 'name'], `the port name ${JSON.stringify(port)} is already used`);
    }
    portNames.add(port);
    checkServer(server, isGenerated, path, report);
  }
  return report.violations;
}

function checkServer(server: GatewayServer, isGenerated: boolean, path: FieldPath, report: Report): void {
  const { bind = '', hosts } = server;
  if (hosts.length === 0) report.invalid([...path, 'hosts'], 'hosts must name a host');
  for (const [host, at] of entriesOf(hosts, [...path, 'hosts'])) {
    checkNamespacedHost(host, { isGateway: true, isGenerated }, at, report);
  }
  checkPort(server, path, report);
  if (isUnixAddress(bind)) checkUnixPath(bind, [...path, 'bind'], report);
  else if (bind !== '' && !isIpAddress(bind)) {
    report.invalid([...path, 'bind'], `${JSON.stringify(bind)} is neither an IP address nor a unix socket`);
  }
  checkTls(server, path, report);
}

const PLAIN: readonly (keyof NonNullable<GatewayServer['tls']>)[] = [
  'caCertificates',
  'privateKey',
  'serverCertificate',
];

function checkTls({ port, tls }: GatewayServer, path: FieldPath, report: Report): void {
  const { protocol } = port;
  if (tls === undefined) {
    if (isTlsProtocol(protocol)) report.invalid(path, `a server of ${protocol} needs tls`);
    return;
  }
  const at = [...path, 'tls'];
  checkServerTls(tls, at, report);
  if (isTlsProtocol(protocol)) {
    if (tls.httpsRedirect === true)
      report.warn([...at, 'httpsRedirect'], 'httpsRedirect is for servers of HTTP');
    return;
  }
  const { mode = 'PASSTHROUGH' } = tls;
  const isPassed = mode === 'PASSTHROUGH' || mode === 'AUTO_PASSTHROUGH';
  if (!isHttpProtocol(protocol)) report.invalid(at, `a server of ${protocol} has no tls`);
  else if (!isPassed || PLAIN.some((field) => tls[field])) {
    report.invalid(at, `a server of ${protocol} cannot have tls other than httpsRedirect`);
  }
}

function checkPort({ port, bind = '' }: GatewayServer, path: FieldPath, report: Report): void {
  const at = [...path, 'port'];
  if (!isProtocol(port.protocol)) {
    report.invalid([...at, 'protocol'], `${JSON.stringify(port.protocol)} is not a protocol`);
  }
  if (port.name === '') report.invalid([...at, 'name'], 'a port needs a name');
  if ((port.targetPort ?? 0) > 0)
    report.invalid([...at, 'targetPort'], 'targetPort has no effect on a Gateway');
  const isUnix = isUnixAddress(bind);
  if (isUnix && port.number !== 0) report.invalid([...at, 'number'], 'the port of a unix socket is 0');
  if (!isUnix && !isPort(port.number)) report.invalid([...at, 'number'], `${port.number} is not a port`);
}
