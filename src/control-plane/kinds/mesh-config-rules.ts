import { checkProviders } from './extension-provider-rules.js';
import { checkLocality } from './load-balancer-rules.js';
import { isDnsLabel, isDnsName, isIpAddress, isPort, isWildcardDnsName } from './names.js';
import { entriesOf, type Report } from './report.js';
import { checkTls } from './traffic-policy-rules.js';
import type { MeshConfigSpec } from './types.js';
import type { FieldPath } from './view.js';

const MAX_CONNECT_TIMEOUT_MS = 3_600_000;
const CURVES: ReadonlySet<string> = new Set(['P-256', 'P-521', 'P-384', 'X25519', 'X25519MLKEM768']);

/** Istio: ValidateMeshConfig. What is left out has a default, which is valid. */
export function checkMeshConfig(spec: MeshConfigSpec, path: FieldPath, report: Report): void {
  const { trustDomain, connectTimeout, localityLbSetting } = spec;
  for (const field of ['proxyListenPort', 'proxyInboundListenPort'] as const) {
    checkPort(spec[field], [...path, field], report);
  }
  if (connectTimeout !== undefined && !(connectTimeout >= 1 && connectTimeout <= MAX_CONNECT_TIMEOUT_MS)) {
    report.invalid([...path, 'connectTimeout'], 'connectTimeout must be from 1ms to 1h');
  }
  if (!Number.isInteger(spec.protocolDetectionTimeout ?? 0)) {
    report.invalid([...path, 'protocolDetectionTimeout'], 'no finer than a millisecond');
  }
  if (trustDomain !== undefined) checkDomain(trustDomain, [...path, 'trustDomain'], report);
  for (const [domain, at] of entriesOf(spec.trustDomainAliases, [...path, 'trustDomainAliases'])) {
    checkDomain(domain, at, report);
  }
  for (const [{ hosts }, at] of entriesOf(spec.serviceSettings, [...path, 'serviceSettings'])) {
    for (const [host, where] of entriesOf(hosts, [...at, 'hosts'])) {
      if (!isWildcardDnsName(host)) report.invalid(where, `${JSON.stringify(host)} is not a host`);
    }
  }
  if (localityLbSetting !== undefined) {
    checkLocality(localityLbSetting, [...path, 'localityLbSetting'], report);
  }
  checkCurves(spec, path, report);
  checkProxy(spec.defaultConfig ?? {}, [...path, 'defaultConfig'], report);
  checkProviders(spec.extensionProviders, [...path, 'extensionProviders'], report);
}

function checkCurves({ meshMTLS, tlsDefaults }: MeshConfigSpec, path: FieldPath, report: Report): void {
  if (meshMTLS?.ecdhCurves !== undefined) {
    report.invalid([...path, 'meshMTLS', 'ecdhCurves'], 'the curves of mTLS in the mesh cannot be chosen');
  }
  const seen = new Set<string>();
  for (const [curve, at] of entriesOf(tlsDefaults?.ecdhCurves, [...path, 'tlsDefaults', 'ecdhCurves'])) {
    if (curve !== '' && !CURVES.has(curve)) report.warn(at, `${JSON.stringify(curve)} is not a known curve`);
    if (seen.has(curve)) report.warn(at, `${curve} is in the list twice`);
    seen.add(curve);
  }
}

type Proxy = NonNullable<MeshConfigSpec['defaultConfig']>;

/** Istio: ValidateMeshConfigProxyConfig. What is left out has a default, which is valid. */
export function checkProxy(proxy: Proxy, path: FieldPath, report: Report): void {
  const { drainDuration, tracing } = proxy;
  for (const field of ['configPath', 'binaryPath', 'serviceCluster'] as const) {
    if (proxy[field] === '') report.invalid([...path, field], `${field} must not be empty`);
  }
  for (const field of ['proxyAdminPort', 'statusPort'] as const) {
    checkPort(proxy[field], [...path, field], report);
  }
  if (drainDuration !== undefined && !(drainDuration >= 1000 && drainDuration % 1000 === 0)) {
    report.invalid([...path, 'drainDuration'], 'drainDuration must be whole seconds, at least 1s');
  }
  checkAddresses(proxy, path, report);
  if (tracing?.lightstep !== undefined && !tracing.lightstep.accessToken) {
    report.invalid([...path, 'tracing', 'lightstep'], 'lightstep needs an accessToken');
  }
  checkTls(tracing?.tlsSettings, [...path, 'tracing', 'tlsSettings'], report);
  checkKeyProvider(proxy.privateKeyProvider, [...path, 'privateKeyProvider'], report);
  if (proxy.proxyMetadata?.['ISTIO_META_DNS_AUTO_ALLOCATE'] !== undefined) {
    report.warn([...path, 'proxyMetadata'], 'ISTIO_META_DNS_AUTO_ALLOCATE is deprecated');
  }
}

function checkKeyProvider(provider: Proxy['privateKeyProvider'], path: FieldPath, report: Report): void {
  if (provider === undefined) return;
  const settings = provider.cryptomb ?? provider.qat;
  if (settings === undefined) report.invalid(path, 'give cryptomb or qat');
  else if (!settings.pollDelay) report.invalid(path, 'it needs a pollDelay other than 0');
}

function checkAddresses(proxy: Proxy, path: FieldPath, report: Report): void {
  const { tracing } = proxy;
  const addresses: readonly (readonly [string | undefined, FieldPath])[] = [
    [proxy.discoveryAddress, ['discoveryAddress']],
    [proxy.statsdUdpAddress || undefined, ['statsdUdpAddress']],
    [proxy.envoyMetricsServiceAddress || undefined, ['envoyMetricsServiceAddress']],
    [proxy.envoyMetricsService?.address || undefined, ['envoyMetricsService', 'address']],
    [proxy.envoyAccessLogService?.address || undefined, ['envoyAccessLogService', 'address']],
    [tracing?.zipkin && (tracing.zipkin.address ?? ''), ['tracing', 'zipkin', 'address']],
    [tracing?.datadog && (tracing.datadog.address ?? ''), ['tracing', 'datadog', 'address']],
    [tracing?.lightstep && (tracing.lightstep.address ?? ''), ['tracing', 'lightstep', 'address']],
  ];
  for (const [address, field] of addresses) {
    if (address !== undefined) checkAddress(address, [...path, ...field], report);
  }
}

/** `host:port` (Istio: ValidateProxyAddress); the address of the machine may stand for the host. */
function checkAddress(address: string, path: FieldPath, report: Report): void {
  const parsed = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(address.replace('$(HOST_IP)', '127.0.0.1'));
  const [, bracketed, bare = '', port = ''] = parsed ?? [];
  const host = bracketed ?? bare;
  if (isPort(Number(port)) && (isIpAddress(host) || isDnsName(host))) return;
  report.invalid(path, `${JSON.stringify(address)} is not host:port`);
}

function checkPort(port: number | undefined, path: FieldPath, report: Report): void {
  if (port !== undefined && !isPort(port)) report.invalid(path, `${port} is not a port`);
}

/** Istio: ValidateTrustDomain. */
function checkDomain(domain: string, path: FieldPath, report: Report): void {
  const labels = (domain.endsWith('.') ? domain.slice(0, -1) : domain).split('.');
  if (!labels.every(isDnsLabel)) report.invalid(path, `${JSON.stringify(domain)} is not a trust domain`);
}
