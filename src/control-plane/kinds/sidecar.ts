import { checkSelector } from './common-rules.js';
import { checkServerTls } from './gateway-tls-rules.js';
import type { Kind } from './kind.js';
import { isDnsLabel, isDnsName, isIpAddress, isPort } from './names.js';
import { checkNamespacedHost } from './namespaced-host.js';
import { isHttpProtocol, isProtocol, isTlsProtocol } from './protocols.js';
import { createReport, entriesOf, fieldsOf, type Report } from './report.js';
import { checkDestination } from './route-destination-rules.js';
import { sidecarSchema } from './sidecar-schema.js';
import { checkConnectionPool } from './traffic-policy-rules.js';
import type { SidecarSpec } from './types.js';
import { checkUnixPath, isUnixAddress } from './unix-address.js';
import type { Document, FieldPath } from './view.js';

/** Istio Sidecar: what the workloads of a namespace see of the mesh. */
export const sidecarKind: Kind<'Sidecar'> = {
  name: 'Sidecar',
  apiVersions: ['networking.istio.io/v1', 'networking.istio.io/v1beta1', 'networking.istio.io/v1alpha3'],
  schema: sidecarSchema,
  validate,
};

type Ingress = NonNullable<SidecarSpec['ingress']>[number];
type Egress = NonNullable<SidecarSpec['egress']>[number];
type Port = Ingress['port'];

/** Istio: ValidateSidecar. */
function validate({ spec, namespace }: Document<'Sidecar'>) {
  const report = createReport();
  const { workloadSelector, ingress = [], egress = [], inboundConnectionPool, outboundTrafficPolicy } = spec;
  if (workloadSelector !== undefined) {
    checkSelector(workloadSelector.labels, ['spec', 'workloadSelector'], report);
  }
  const isEmpty = ingress.length === 0 && egress.length === 0;
  if (isEmpty && inboundConnectionPool === undefined && outboundTrafficPolicy === undefined) {
    const fields = 'egress, ingress, outboundTrafficPolicy or inboundConnectionPool';
    report.invalid(['spec'], `a Sidecar needs ${fields}`);
    return report.violations;
  }
  const ports = new Set<number>();
  for (const [one, path] of entriesOf(ingress, ['spec', 'ingress'])) checkIngress(one, ports, path, report);
  checkConnectionPool(inboundConnectionPool, ['spec', 'inboundConnectionPool'], report);
  checkEgress(egress, namespace, report);
  checkOutbound(outboundTrafficPolicy, report);
  return report.violations;
}

function checkIngress(ingress: Ingress, ports: Set<number>, path: FieldPath, report: Report): void {
  const { port, bind = '', defaultEndpoint = '', tls, connectionPool } = ingress;
  const number = port.number ?? 0;
  checkPort(port, [...path, 'port'], report);
  if (!isPort(number)) report.invalid([...path, 'port', 'number'], `${number} is not a port`);
  if (bind !== '' && !isIpAddress(bind)) {
    report.invalid([...path, 'bind'], `${JSON.stringify(bind)} is not an IP address`);
  }
  if (ports.has(number)) report.invalid([...path, 'port', 'number'], `the port ${number} is already used`);
  ports.add(number);
  if (defaultEndpoint !== '') checkEndpoint(defaultEndpoint, [...path, 'defaultEndpoint'], report);
  if (tls !== undefined) checkTls(tls, port, [...path, 'tls'], report);
  checkConnectionPool(connectionPool, [...path, 'connectionPool'], report);
  if (connectionPool?.http !== undefined && !isHttpProtocol(port.protocol ?? '')) {
    report.warn([...path, 'connectionPool', 'http'], 'the port is not one of HTTP: only tcp has an effect');
  }
}

/** The port of a listener; its number is checked by whoever knows what it may be. */
function checkPort(
  { name = '', protocol = '', targetPort = 0 }: Port,
  path: FieldPath,
  report: Report,
): void {
  if (name !== '' && !isDnsLabel(name)) {
    report.invalid([...path, 'name'], `${JSON.stringify(name)} is not the name of a port`);
  }
  // Without a protocol the proxy looks at the first bytes.
  if (protocol !== '' && !isProtocol(protocol)) {
    report.invalid([...path, 'protocol'], `${JSON.stringify(protocol)} is not a protocol`);
  }
  if (targetPort > 0) report.invalid([...path, 'targetPort'], 'targetPort has no effect on a Sidecar');
}

const OWN_HOSTS: ReadonlySet<string> = new Set(['', '127.0.0.1', '0.0.0.0', '::1', '::']);

/** Where the program listens: on this machine. */
function checkEndpoint(endpoint: string, path: FieldPath, report: Report): void {
  if (isUnixAddress(endpoint)) {
    checkUnixPath(endpoint, path, report);
    return;
  }
  const parsed = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(endpoint);
  const [, bracketed, bare = '', port = ''] = parsed ?? [];
  const isOwn = parsed !== null && OWN_HOSTS.has(bracketed ?? bare);
  if (isOwn && /^\d+$/.test(port) && isPort(Number(port))) return;
  report.invalid(
    path,
    'defaultEndpoint must be 127.0.0.1:port, 0.0.0.0:port, [::1]:port, [::]:port or unix://path',
  );
}

function checkTls(
  tls: NonNullable<Ingress['tls']>,
  { protocol = '' }: Port,
  path: FieldPath,
  report: Report,
): void {
  for (const field of ['subjectAltNames', 'credentialNames', 'tlsCertificates'] as const) {
    if ((tls[field] ?? []).length > 0) report.invalid([...path, field], `a Sidecar takes no ${field}`);
  }
  if (tls.httpsRedirect === true) report.invalid([...path, 'httpsRedirect'], 'a Sidecar does not redirect');
  if (tls.credentialName) report.invalid([...path, 'credentialName'], 'a Sidecar takes no credentialName');
  if (tls.mode === 'ISTIO_MUTUAL' || tls.mode === 'AUTO_PASSTHROUGH') {
    report.invalid([...path, 'mode'], `the mode ${tls.mode} is not for the ingress of a Sidecar`);
  }
  if (!isTlsProtocol(protocol)) report.invalid(path, 'tls is for ports of HTTPS and TLS only');
  checkServerTls(tls, path, report);
}

function checkEgress(egress: readonly Egress[], namespace: string, report: Report): void {
  const ports = new Set<number>();
  const sockets = new Set<string>();
  for (const [one, path] of entriesOf(egress, ['spec', 'egress'])) {
    if (one.port === undefined) {
      const isLast = one === egress.at(-1);
      if (!isLast)
        report.invalid(path, 'a listener without port takes all that others leave: it must be the last');
    } else checkEgressPort(one, one.port, { ports, sockets }, path, report);
    checkEgressHosts(one.hosts, namespace, [...path, 'hosts'], report);
  }
}

interface Taken {
  readonly ports: Set<number>;
  readonly sockets: Set<string>;
}

function checkEgressPort(
  { bind = '', captureMode = 'DEFAULT' }: Egress,
  port: Port,
  { ports, sockets }: Taken,
  path: FieldPath,
  report: Report,
): void {
  const number = port.number ?? 0;
  checkPort(port, [...path, 'port'], report);
  if (number === 0) {
    if (!isUnixAddress(bind)) report.invalid([...path, 'bind'], 'a port of 0 needs a bind of unix://path');
    else checkUnixPath(bind, [...path, 'bind'], report);
    if (captureMode === 'IPTABLES') {
      report.invalid([...path, 'captureMode'], 'nothing is captured for a unix socket: use DEFAULT or NONE');
    }
    if (sockets.has(bind))
      report.invalid([...path, 'bind'], `the socket ${JSON.stringify(bind)} is already used`);
    sockets.add(bind);
    return;
  }
  if (!isPort(number)) report.invalid([...path, 'port', 'number'], `${number} is not a port`);
  if (bind !== '' && !isIpAddress(bind)) {
    report.invalid([...path, 'bind'], `${JSON.stringify(bind)} is not an IP address`);
  }
  if (ports.has(number)) report.invalid([...path, 'port', 'number'], `the port ${number} is already used`);
  ports.add(number);
}

function checkEgressHosts(
  hosts: readonly string[],
  namespace: string,
  path: FieldPath,
  report: Report,
): void {
  if (hosts.length === 0) report.invalid(path, 'hosts must name a host');
  const seen = new Map<string, Set<string>>();
  for (const [host, at] of entriesOf(hosts, path)) {
    const slash = host.indexOf('/');
    if (slash >= 0) {
      const [given, name] = [host.slice(0, slash), host.slice(slash + 1)];
      const own = given === '.' ? namespace : given;
      const names = seen.get(own) ?? new Set<string>();
      seen.set(own, names);
      const isCovered = name === '*' ? names.size > 0 : names.has(name) || names.has('*');
      if (isCovered) report.warn(at, `${JSON.stringify(host)} is in the list twice, with a wildcard perhaps`);
      names.add(name);
    }
    checkNamespacedHost(host, { isGateway: false }, at, report);
  }
  // "~/host" takes a host out of what the others stand for.
  const others = [...seen.keys()].filter((own) => own !== '*' && own !== '~');
  if (seen.get('*')?.has('*') === true && others.length > 0) {
    report.warn(path, '"*/*" already stands for every host');
  }
}

function checkOutbound(policy: SidecarSpec['outboundTrafficPolicy'], report: Report): void {
  const { egressProxy, mode } = policy ?? {};
  if (egressProxy === undefined || fieldsOf(egressProxy).length === 0) return;
  const path = ['spec', 'outboundTrafficPolicy', 'egressProxy'];
  if (mode !== 'ALLOW_ANY') {
    report.invalid(path, 'an egressProxy is for the mode ALLOW_ANY');
    return;
  }
  if (!isDnsName(egressProxy.host)) {
    report.invalid([...path, 'host'], `${JSON.stringify(egressProxy.host)} is not a full host name`);
  }
  if (egressProxy.port === undefined) report.invalid([...path, 'port'], 'an egressProxy needs a port');
  else checkDestination(egressProxy, path, report);
}
