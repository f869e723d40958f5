import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { validateDocuments } from '../../../../src/control-plane/files/validate-files.js';

/** The versions of kinds that are not in `networking.istio.io/v1`. */
const VERSIONS: Readonly<Record<string, string>> = {
  AuthorizationPolicy: 'security.istio.io/v1',
  EnvoyFilter: 'networking.istio.io/v1alpha3',
  MeshConfig: 'inmesh.dev/v1',
  PeerAuthentication: 'security.istio.io/v1',
  RequestAuthentication: 'security.istio.io/v1',
  Telemetry: 'telemetry.istio.io/v1',
  TrafficExtension: 'extensions.istio.io/v1alpha1',
  WasmPlugin: 'extensions.istio.io/v1alpha1',
};
const versionOf = (kind: string): string => VERSIONS[kind] ?? 'networking.istio.io/v1';

/** What is wrong with a document, by its path. */
function problems(
  kind: string,
  spec: unknown,
  annotations: Record<string, string> = {},
  labels: Record<string, string> = {},
): string[] {
  const apiVersion = versionOf(kind);
  const content = stringify({ apiVersion, kind, metadata: { name: 'one', annotations, labels }, spec });
  const { violations } = validateDocuments({ files: [{ file: 'one.yaml', content }] });
  return violations
    .filter(({ code }) => code !== 'INMESH_CONFIG_UNSUPPORTED')
    .map(({ severity, path }) => `${severity} ${path.join('.')}`);
}

describe('Sidecar', () => {
  const egress = [{ hosts: ['*/*'] }];
  const ingress = (one: object) => ({
    ingress: [{ port: { number: 80, protocol: 'HTTP' }, ...one }],
    egress,
  });

  test.each([
    [{ egress }],
    [{ egress: [{ hosts: ['./*', '~/a.b', 'ns/*.example.com'] }] }],
    [{ egress: [{ hosts: ['*/*', '~/a.b', '~/*.example.com'] }] }],
    [{ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }],
    [ingress({ defaultEndpoint: '127.0.0.1:80' })],
    [ingress({ defaultEndpoint: '[::1]:80' })],
    [ingress({ defaultEndpoint: ':80' })],
    [ingress({ defaultEndpoint: 'unix:///tmp/socket' })],
    [{ egress: [{ port: { number: 0, protocol: 'HTTP' }, bind: 'unix://@name', hosts: ['*/*'] }] }],
    [
      {
        egress,
        outboundTrafficPolicy: {
          mode: 'ALLOW_ANY',
          egressProxy: { host: 'egress.example.com', port: { number: 80 } },
        },
      },
    ],
  ])('%j is valid', (spec) => {
    expect(problems('Sidecar', spec)).toEqual([]);
  });

  test.each([
    [{}, 'error spec'],
    [{ egress: [{ hosts: ['reviews'] }] }, 'error spec.egress.0.hosts.0'],
    [{ egress: [{ hosts: ['ns/reviews'] }] }, 'error spec.egress.0.hosts.0'],
    [{ egress: [{ hosts: ['/'] }] }, 'error spec.egress.0.hosts.0'],
    [{ egress: [{ hosts: [] }] }, 'error spec.egress.0.hosts'],
    [{ egress: [{ hosts: ['*/*'] }, { hosts: ['a/*'] }] }, 'error spec.egress.0'],
    [{ egress: [{ hosts: ['*/*', '~/a.b', 'a/b.c'] }] }, 'warning spec.egress.0.hosts'],
    [{ egress: [{ hosts: ['a/*', 'a/b.c'] }] }, 'warning spec.egress.0.hosts.1'],
    [{ egress: [{ port: { number: 0 }, hosts: ['*/*'] }] }, 'error spec.egress.0.bind'],
    [ingress({ defaultEndpoint: '10.0.0.1:80' }), 'error spec.ingress.0.defaultEndpoint'],
    [ingress({ defaultEndpoint: '127.0.0.1:none' }), 'error spec.ingress.0.defaultEndpoint'],
    [ingress({ bind: 'name' }), 'error spec.ingress.0.bind'],
    [ingress({ port: { number: 80, protocol: 'SOAP' } }), 'error spec.ingress.0.port.protocol'],
    [ingress({ connectionPool: {} }), 'error spec.ingress.0.connectionPool'],
    [
      { outboundTrafficPolicy: { egressProxy: { host: 'a.b', port: { number: 80 } } } },
      'error spec.outboundTrafficPolicy.egressProxy',
    ],
  ])('%j is not', (spec, problem) => {
    expect(problems('Sidecar', spec)).toEqual([problem]);
  });
});

describe('other kinds', () => {
  const patch = (one: object) => ({
    configPatches: [{ applyTo: 'HTTP_FILTER', patch: { operation: 'ADD', value: TYPED }, ...one }],
  });
  const TYPED = { name: 'x', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct' } };
  const filter = (name: string, subFilter?: object) => ({
    match: { listener: { filterChain: { filter: { name, ...(subFilter && { subFilter }) } } } },
  });

  test.each<[string, object, readonly string[]]>([
    [
      'Telemetry',
      { tracing: [{ customTags: { a: { literal: { value: '' } } } }] },
      ['error spec.tracing.0.customTags.a.literal.value'],
    ],
    ['Telemetry', { tracing: [{}, {}] }, ['warning spec.tracing']],
    [
      'Telemetry',
      { metrics: [{ overrides: [{ tagOverrides: { a: {} } }] }] },
      ['error spec.metrics.0.overrides.0.tagOverrides.a'],
    ],
    ['Telemetry', { metrics: [{ overrides: [{ tagOverrides: { a: { operation: 'REMOVE' } } }] }] }, []],
    ['Telemetry', { accessLogging: [{ filter: { expression: 'response.code >= 400 && (a == "(")' } }] }, []],
    [
      'Telemetry',
      { accessLogging: [{ filter: { expression: 'size(a > 1' } }] },
      ['error spec.accessLogging.0.filter.expression'],
    ],
    ['WasmPlugin', { url: 'registry.example.com:5000/filter:v1' }, []],
    ['WasmPlugin', { url: 'ftp://example.com/x' }, ['error spec.url']],
    ['WasmPlugin', { url: 'oci://a/b', sha256: 'F'.repeat(64) }, ['error spec.sha256']],
    [
      'WasmPlugin',
      { url: 'a/b', vmConfig: { env: [{ name: 'A', value: 'x' }, { name: 'A' }] } },
      ['error spec.vmConfig.env.1.name'],
    ],
    [
      'WasmPlugin',
      { url: 'a/b', vmConfig: { env: [{ name: 'A', value: 'x', valueFrom: 'HOST' }] } },
      ['error spec.vmConfig.env.0.value'],
    ],
    ['TrafficExtension', {}, ['error spec']],
    ['TrafficExtension', { lua: { inlineCode: 'x' } }, []],
    ['WorkloadGroup', { template: {}, probe: { exec: { command: [] } } }, ['error spec.probe.exec.command']],
    ['WorkloadGroup', { template: {}, probe: { grpc: { port: 80 } } }, []],
    [
      'WorkloadGroup',
      { template: {}, probe: { httpGet: { port: 80, httpHeaders: [{ name: 'a b' }] } } },
      ['error spec.probe.httpGet.httpHeaders.0.name'],
    ],
    [
      'DestinationRule',
      {
        host: 'a.b',
        trafficPolicy: {
          portLevelSettings: [
            { port: { number: 1 }, tls: {} },
            { port: { number: 1 }, tls: {} },
          ],
        },
      },
      ['warning spec.trafficPolicy.portLevelSettings.1.port'],
    ],
    ['EnvoyFilter', patch({}), []],
    ['EnvoyFilter', patch({ applyTo: undefined }), ['error spec.configPatches.0.applyTo']],
    [
      'EnvoyFilter',
      patch({ patch: { operation: 'ADD', value: { name: 'x' } } }),
      ['warning spec.configPatches.0.patch.value'],
    ],
    ['EnvoyFilter', patch({ patch: { operation: 'ADD', value: { name: 'x', config_discovery: {} } } }), []],
    ['EnvoyFilter', patch({ patch: { operation: 'MERGE' } }), ['error spec.configPatches.0.patch.value']],
    [
      'EnvoyFilter',
      patch({ match: { cluster: { name: 'x' } } }),
      ['error spec.configPatches.0.match.cluster'],
    ],
    [
      'EnvoyFilter',
      patch(filter('', undefined)),
      ['error spec.configPatches.0.match.listener.filterChain.filter.name'],
    ],
    [
      'EnvoyFilter',
      patch(filter('envoy.filters.network.http_connection_manager', { name: 'envoy.filters.http.router' })),
      [],
    ],
    [
      'EnvoyFilter',
      patch(filter('envoy.http_connection_manager', { name: 'envoy.rate_limit' })),
      [
        'warning spec.configPatches.0.match.listener.filterChain.filter.name',
        'warning spec.configPatches.0.match.listener.filterChain.filter.subFilter.name',
      ],
    ],
    [
      'EnvoyFilter',
      patch(filter('other', { name: 'x' })),
      ['error spec.configPatches.0.match.listener.filterChain.filter.subFilter'],
    ],
  ])('%s %j', (kind, spec, expected) => {
    expect(problems(kind, spec)).toEqual(expected);
  });
});

describe('MeshConfig', () => {
  const proxy = (one: object) => ({ defaultConfig: one });
  const provider = (one: object) => ({ extensionProviders: [{ name: 'a', ...one }] });
  const path = 'spec.extensionProviders.0';

  test.each<[object, readonly string[]]>([
    [proxy({ envoyMetricsServiceAddress: 'metrics.example.com:80' }), []],
    [
      proxy({ envoyMetricsServiceAddress: 'metrics' }),
      ['error spec.defaultConfig.envoyMetricsServiceAddress'],
    ],
    [proxy({ tracing: { tlsSettings: { mode: 'SIMPLE' } } }), []],
    [
      proxy({ tracing: { tlsSettings: { mode: 'MUTUAL', clientCertificate: 'a' } } }),
      ['error spec.defaultConfig.tracing.tlsSettings'],
    ],
    [{ tlsDefaults: { ecdhCurves: [''] } }, []],
    // What is wrong with a provider matters to those who use it only: it is told, and refuses nothing.
    [provider({ zipkin: { service: 'zipkin.example.com', port: 9411 } }), []],
    [provider({ zipkin: { service: 'tracing/zipkin.example.com', port: 9411 } }), []],
    [provider({ zipkin: { service: 'tracing/zipkin', port: 9411 } }), [`warning ${path}.zipkin.service`]],
    [provider({ datadog: {} }), [`warning ${path}.datadog.service`, `warning ${path}.datadog.port`]],
    [provider({}), [`warning ${path}`]],
    [provider({ prometheus: {} }), []],
    [
      provider({
        envoyExtAuthzHttp: { service: 'a.b', port: 80, pathPrefix: 'check', statusOnError: '600' },
      }),
      [`warning ${path}.envoyExtAuthzHttp.statusOnError`, `warning ${path}.envoyExtAuthzHttp.pathPrefix`],
    ],
    [provider({ lightstep: { service: 'a.b', port: 80 } }), [`warning ${path}.lightstep`]],
    [
      provider({ opentelemetry: { service: 'a.b', port: 80, grpc: {}, http: { path: '/' } } }),
      [`warning ${path}.opentelemetry.http`],
    ],
    [
      {
        extensionProviders: [
          { name: 'a', prometheus: {} },
          { name: 'a', prometheus: {} },
        ],
      },
      ['warning spec.extensionProviders.1.name'],
    ],
    [{ extensionProviders: [{ prometheus: {} }] }, [`warning ${path}`]],
  ])('%j', (spec, expected) => {
    expect(problems('MeshConfig', spec)).toEqual(expected);
  });
});

describe('ServiceEntry and WorkloadEntry: what is odd, but not refused', () => {
  const WORKLOADS = { workloadSelector: { labels: { app: 'a' } } };
  const entry = (one: object, port: object = { name: 'http', protocol: 'HTTP' }) => ({
    hosts: ['a.com'],
    ports: [{ number: 80, ...port }],
    ...one,
  });
  const SEVERAL = { hosts: ['a.com', 'b.com'], addresses: ['10.0.0.1'] };
  const TCP = { name: 'tcp', protocol: 'TCP' };
  const TLS = { name: 'tls', protocol: 'TLS' };

  test.each<[string, object, readonly string[], Record<string, string>?]>([
    ['ServiceEntry', entry({ resolution: 'NONE', ...WORKLOADS }), ['warning spec.workloadSelector']],
    ['ServiceEntry', entry({ resolution: 'STATIC', ...WORKLOADS }), []],
    ['ServiceEntry', entry({ resolution: 'DNS', ...WORKLOADS }), []],
    ['ServiceEntry', entry({ resolution: 'NONE' }, TCP), ['warning spec.ports.0']],
    ['ServiceEntry', entry({ resolution: 'NONE' }, { name: 'any' }), ['warning spec.ports.0']],
    ['ServiceEntry', entry({ resolution: 'NONE', addresses: ['10.0.0.1'] }, TCP), []],
    ['ServiceEntry', entry({ resolution: 'DNS' }, TCP), []],
    [
      'ServiceEntry',
      entry({ resolution: 'DNS' }, TCP),
      ['warning spec.ports.0'],
      { 'networking.istio.io/enable-autoallocate-ip': 'False' },
    ],
    ['ServiceEntry', entry({ resolution: 'DNS', ...SEVERAL }, TLS), ['warning spec.ports.0']],
    ['ServiceEntry', entry({ resolution: 'DNS', ...SEVERAL }), []],
    ['ServiceEntry', entry({ resolution: 'NONE', ...SEVERAL }, TLS), []],
    [
      'ServiceEntry',
      entry({ resolution: 'STATIC', endpoints: [{ network: 'n' }] }),
      ['warning spec.endpoints.0'],
    ],
    ['WorkloadEntry', { network: 'n' }, ['warning spec']],
  ])('%s %j', (kind, spec, expected, labels = {}) => {
    expect(problems(kind, spec, {}, labels)).toEqual(expected);
  });
});

describe('Gateway', () => {
  const server = (one: object) => ({
    servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['a.b'], ...one }],
  });
  const secured = (tls: object) =>
    server({
      port: { number: 443, name: 'tls', protocol: 'HTTPS' },
      tls: { mode: 'SIMPLE', credentialName: 'x', ...tls },
    });

  test.each<[object, readonly string[]]>([
    [server({ hosts: ['*', './a.b', 'ns/*.a.b', '10.0.0.1'] }), []],
    [server({ hosts: ['short'] }), ['error spec.servers.0.hosts.0']],
    [server({ hosts: ['~/a.b'] }), ['error spec.servers.0.hosts.0']],
    [server({ tls: { mode: 'PASSTHROUGH' } }), []],
    [server({ tls: { httpsRedirect: true } }), []],
    [server({ tls: { mode: 'SIMPLE', credentialName: 'x' } }), ['error spec.servers.0.tls']],
    [server({ port: { number: 80, name: 'tcp', protocol: 'TCP' }, tls: {} }), ['error spec.servers.0.tls']],
    [secured({ cipherSuites: ['ECDHE-RSA-AES128-GCM-SHA256', 'ALL', '-AES128-SHA', '[A|B]'] }), []],
    [
      secured({ cipherSuites: ['AES128-SHA', 'TLS_AES_128_GCM_SHA256', 'AES128-SHA'] }),
      ['warning spec.servers.0.tls.cipherSuites.1', 'warning spec.servers.0.tls.cipherSuites.2'],
    ],
    [
      server({
        port: { number: 443, name: 'tls', protocol: 'HTTPS' },
        tls: { mode: 'SIMPLE', credentialName: 'x', httpsRedirect: true },
      }),
      ['warning spec.servers.0.tls.httpsRedirect'],
    ],
  ])('%j', (spec, expected) => {
    expect(problems('Gateway', spec)).toEqual(expected);
  });

  test('one that was made of a Gateway of the Gateway API may have hosts for nobody', () => {
    expect(
      problems('Gateway', server({ hosts: ['~/a.b'] }), { 'internal.istio.io/gateway-semantics': 'gateway' }),
    ).toEqual([]);
  });
});

test('annotations that only Istio itself sets, or that the kind does not follow, are refused', () => {
  const route = { hosts: ['a'], http: [{ route: [{ destination: { host: 'a' } }] }] };
  expect(problems('VirtualService', route, { 'istio.io/dry-run': 'true' })).toHaveLength(1);
  expect(problems('VirtualService', route, { 'internal.istio.io/parents': 'x' })).toHaveLength(1);
  expect(problems('VirtualService', route)).toEqual([]);
});

describe.each([
  ['Istio', 'webhook-rules.yaml', versionOf],
  ['the Gateway API', 'gateway-api-rules.yaml', () => 'gateway.networking.k8s.io/v1'],
])('documents that %s takes or refuses', (_, name, apiVersionOf) => {
  interface Case {
    readonly annotations?: Readonly<Record<string, string>>;
    readonly spec: unknown;
  }
  const table: Readonly<Record<string, Readonly<Record<string, readonly unknown[]>>>> = parse(
    readFileSync(new URL(name, import.meta.url), 'utf8'),
  );

  test.each(Object.entries(table))('%s', (kind, verdicts) => {
    const rows = Object.entries(verdicts).flatMap(([verdict, cases]) =>
      cases.map((one) => {
        const isWhole = typeof one === 'object' && one !== null && 'annotations' in one;
        // The table is written by hand: what has annotations has a spec, too.
        return { verdict, one, ...(isWhole ? (one as Case) : { spec: one }) };
      }),
    );
    const files = rows.map(({ spec, annotations = {} }, index) => ({
      file: `${index}`,
      content: JSON.stringify({
        apiVersion: apiVersionOf(kind),
        kind,
        metadata: { name: `n${index}`, namespace: 'bar', annotations },
        spec,
      }),
    }));
    const { violations } = validateDocuments({ files });
    const refused = new Set(
      violations
        .filter(({ severity, code }) => severity === 'error' && code !== 'INMESH_CONFIG_REFERENCE')
        .map(({ origin }) => origin.file),
    );
    const wrong = rows.filter(({ verdict }, index) => refused.has(`${index}`) === (verdict === 'valid'));
    expect(wrong.map(({ verdict, one }) => ({ verdict, one }))).toEqual([]);
  });
});
