import { checkLoadBalancer } from './load-balancer-rules.js';
import { isDnsName, isIpAddress, isPort } from './names.js';
import { entriesOf, fieldsOf, type Report } from './report.js';
import type {
  ClientTlsSettings,
  ConnectionPoolSettings,
  LoadBalancerSettings,
  PortTrafficPolicy,
  TrafficPolicy,
} from './types.js';
import type { FieldPath } from './view.js';

/** Istio TrafficPolicy (Istio: validateTrafficPolicy). */
export function checkTrafficPolicy(policy: TrafficPolicy | undefined, path: FieldPath, report: Report): void {
  if (policy === undefined) return;
  if (fieldsOf(policy).length === 0) report.invalid(path, 'a trafficPolicy needs at least one field');
  checkParts(policy, path, report);
  const ports = new Set<number>();
  for (const [setting, at] of entriesOf(policy.portLevelSettings, [...path, 'portLevelSettings'])) {
    const number = setting.port?.number;
    if (number === undefined) report.invalid(at, 'portLevelSettings must name its port');
    // Istio takes it all the same.
    else if (ports.has(number)) report.warn([...at, 'port'], `port ${number} already has its settings`);
    else ports.add(number);
    if (fieldsOf(setting).every((field) => field === 'port')) {
      report.invalid(at, 'portLevelSettings needs at least one field next to port');
    }
    checkParts(setting, at, report);
  }
  checkTunnel(policy.tunnel, [...path, 'tunnel'], report);
  if (policy.tunnel !== undefined && policy.proxyProtocol !== undefined) {
    report.invalid([...path, 'proxyProtocol'], 'give either tunnel or proxyProtocol');
  }
}

function checkParts(policy: Omit<PortTrafficPolicy, 'port'>, path: FieldPath, report: Report): void {
  checkLoadBalancer(policy.loadBalancer, [...path, 'loadBalancer'], report);
  checkConnectionPool(policy.connectionPool, [...path, 'connectionPool'], report);
  checkTls(policy.tls, [...path, 'tls'], report);
  const outlier = policy.outlierDetection;
  const at = [...path, 'outlierDetection'];
  if (outlier === undefined) warnOfFailover(policy.loadBalancer, [...path, 'loadBalancer'], report);
  if (outlier?.consecutiveErrors !== undefined) {
    report.warn([...at, 'consecutiveErrors'], 'consecutiveErrors is deprecated: use consecutive5xxErrors');
  }
  if (
    outlier?.splitExternalLocalOriginErrors !== true &&
    (outlier?.consecutiveLocalOriginFailures ?? 0) > 0
  ) {
    report.invalid(
      [...at, 'consecutiveLocalOriginFailures'],
      'consecutiveLocalOriginFailures is counted with splitExternalLocalOriginErrors only: set it to true',
    );
  }
  for (const [code, where] of entriesOf(outlier?.outlierDetectionHttpErrorCodes, [
    ...at,
    'outlierDetectionHttpErrorCodes',
  ])) {
    if (code < 100 || code > 599) report.invalid(where, `${code} is not a status of HTTP`);
  }
}

/** Istio: nothing would tell that endpoints are unhealthy. */
function warnOfFailover(settings: LoadBalancerSettings | undefined, path: FieldPath, report: Report): void {
  for (const field of ['localityLbSetting', 'zoneAwareLbSetting'] as const) {
    const { enabled, failover = [], failoverPriority = [] } = settings?.[field] ?? {};
    if (enabled === false || failover.length + failoverPriority.length === 0) continue;
    report.warn([...path, field], 'a failover needs outlierDetection next to it to have an effect');
  }
}

/** Istio: validateConnectionPool. */
export function checkConnectionPool(
  pool: ConnectionPoolSettings | undefined,
  path: FieldPath,
  report: Report,
): void {
  if (pool === undefined) return;
  if (pool.tcp === undefined && pool.http === undefined)
    report.invalid(path, 'a connectionPool needs tcp or http');
  const { h2UpgradePolicy, useClientProtocol } = pool.http ?? {};
  if (h2UpgradePolicy === 'UPGRADE' && useClientProtocol === true) {
    report.invalid(
      [...path, 'http', 'useClientProtocol'],
      'useClientProtocol contradicts h2UpgradePolicy UPGRADE',
    );
  }
}

/** Istio ClientTLSSettings (Istio: ValidateTLS). */
export function checkTls(tls: ClientTlsSettings | undefined, path: FieldPath, report: Report): void {
  if (tls === undefined) return;
  const files = (['clientCertificate', 'privateKey', 'caCertificates'] as const).filter(
    (field) => tls[field],
  );
  const [file] = files;
  if (tls.credentialName && file !== undefined) {
    report.invalid([...path, file], `give either credentialName or ${files.join(', ')}`);
  }
  if (tls.mode === 'ISTIO_MUTUAL' && file !== undefined) {
    report.warn([...path, file], 'the mode ISTIO_MUTUAL takes its certificates from the mesh');
  }
  if (tls.mode === 'MUTUAL' && !tls.credentialName) {
    for (const field of ['clientCertificate', 'privateKey'] as const) {
      if (!tls[field]) report.invalid(path, `the mode MUTUAL needs ${field} (or credentialName)`);
    }
  }
  checkVerification(tls, path, report);
  for (const [name, at] of entriesOf(tls.subjectAltNames, [...path, 'subjectAltNames'])) {
    if (name === '') report.invalid(at, 'a subject alternative name must not be empty');
  }
}

function checkVerification(tls: ClientTlsSettings, path: FieldPath, report: Report): void {
  const { mode } = tls;
  if (mode !== 'SIMPLE' && mode !== 'MUTUAL') return;
  if (tls.caCrl && tls.credentialName) {
    report.invalid([...path, 'caCrl'], 'a caCrl next to a credentialName belongs into its Secret');
  } else if (tls.caCrl && !tls.caCertificates) {
    report.warn([...path, 'caCrl'], 'caCrl has no effect without caCertificates');
  }
  if (tls.insecureSkipVerify !== true) return;
  for (const field of ['caCertificates', 'subjectAltNames'] as const) {
    if (tls[field]?.length) report.invalid([...path, field], `insecureSkipVerify would ignore ${field}`);
  }
  if (mode === 'SIMPLE' && tls.credentialName) {
    report.invalid([...path, 'credentialName'], 'insecureSkipVerify would ignore credentialName');
  }
}

function checkTunnel(tunnel: TrafficPolicy['tunnel'], path: FieldPath, report: Report): void {
  if (tunnel === undefined) return;
  const { protocol = 'CONNECT', targetHost, targetPort } = tunnel;
  if (!['CONNECT', 'POST'].includes(protocol)) {
    report.invalid(
      [...path, 'protocol'],
      `protocol must be CONNECT or POST, not ${JSON.stringify(protocol)}`,
    );
  }
  if (!isDnsName(targetHost) && !isIpAddress(targetHost)) {
    report.invalid(
      [...path, 'targetHost'],
      `${JSON.stringify(targetHost)} is neither a host name nor an IP address`,
    );
  }
  if (!isPort(targetPort)) report.invalid([...path, 'targetPort'], `${targetPort} is not a port`);
}
