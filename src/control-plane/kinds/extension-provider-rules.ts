import { ENVOY_STATUSES } from './envoy-statuses.js';
import { isDnsName, isIpAddress, isPort } from './names.js';
import { checkNamespacedHost } from './namespaced-host.js';
import { createReport, entriesOf, type Report } from './report.js';
import type { MeshConfigSpec } from './types.js';
import type { FieldPath } from './view.js';

type Provider = NonNullable<MeshConfigSpec['extensionProviders']>[number];

/** The types of providers that are services which somebody calls. */
const SERVICES = [
  'envoyExtAuthzHttp',
  'envoyExtAuthzGrpc',
  'zipkin',
  'lightstep',
  'datadog',
  'opencensus',
  'skywalking',
  'opentelemetry',
  'envoyHttpAls',
  'envoyTcpAls',
  'envoyOtelAls',
] as const satisfies readonly (keyof Provider)[];

/**
 * Istio: validateExtensionProvider. What is wrong with a provider refuses nothing: it matters to those who use it only.
 */
export function checkProviders(
  providers: MeshConfigSpec['extensionProviders'],
  path: FieldPath,
  report: Report,
): void {
  const names = new Set<string>();
  for (const [provider, at] of entriesOf(providers, path)) {
    const { name = '' } = provider;
    if (name === '') report.warn(at, 'a provider needs a name');
    else if (names.has(name)) report.warn([...at, 'name'], `${JSON.stringify(name)} names two providers`);
    names.add(name);
    if (Object.keys(provider).every((field) => field === 'name'))
      report.warn(at, 'a provider needs a type, such as opentelemetry or envoyExtAuthzGrpc');
    checkProvider(provider, at, report);
  }
}

function checkProvider(provider: Provider, path: FieldPath, report: Report): void {
  for (const type of SERVICES) {
    const one = provider[type];
    if (one === undefined) continue;
    const { service = '', port = 0 } = one;
    checkService(service, [...path, type, 'service'], report);
    if (!isPort(port)) report.warn([...path, type, 'port'], `${port} is not a port`);
  }
  checkAuthorizer(provider, path, report);
  if (provider.lightstep !== undefined && !provider.lightstep.accessToken) {
    report.warn([...path, 'lightstep'], 'it needs an accessToken');
  }
  const { grpc, http } = provider.opentelemetry ?? {};
  if (grpc !== undefined && http !== undefined) {
    report.warn([...path, 'opentelemetry', 'http'], 'give either grpc or http');
  }
}

function checkAuthorizer(provider: Provider, path: FieldPath, report: Report): void {
  for (const type of ['envoyExtAuthzHttp', 'envoyExtAuthzGrpc'] as const) {
    const status = provider[type]?.statusOnError ?? '';
    if (status === '' || (/^\d+$/.test(status) && ENVOY_STATUSES.has(Number(status)))) continue;
    report.warn([...path, type, 'statusOnError'], 'it must be the text of an HTTP status, such as "403"');
  }
  const prefix = provider.envoyExtAuthzHttp?.pathPrefix ?? '';
  if (prefix !== '' && !prefix.startsWith('/')) {
    report.warn([...path, 'envoyExtAuthzHttp', 'pathPrefix'], 'it must begin with "/"');
  }
}

/** `host` or `namespace/host` (Istio: validateExtensionProviderService). */
function checkService(service: string, path: FieldPath, report: Report): void {
  if (service.includes('/')) {
    const own = createReport();
    checkNamespacedHost(service, { isGateway: false }, path, own);
    for (const { message } of own.violations) report.warn(path, message);
  } else if (!isDnsName(service) && !isIpAddress(service)) {
    report.warn(path, `${JSON.stringify(service)} is not a host, nor namespace/host`);
  }
}
