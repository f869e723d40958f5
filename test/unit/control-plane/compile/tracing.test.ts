import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { LISTENER } from '../../../../src/codec/resource-types.js';
import type { HttpTracing, RequestIdRules } from '../../../../src/model/tracing.js';
import { unpackAnyMessage } from '../../../../src/proto/any.js';
import { httpConnectionManager as hcm, listener } from '../../../../src/proto/xds.js';
import { complaintsAbout } from '../load.js';
import { compile, nodeOf, service } from './mesh.js';

const A = 'a.default.svc.cluster.local';
const WEB = { service: 'web', address: '10.0.0.1', port: 80, portName: '', tlsMode: 'istio' as const };

const mesh = (spec: string) => `---
apiVersion: inmesh.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec:
  extensionProviders:
  - {name: otel, opentelemetry: {service: tracing/otel.tracing.svc.cluster.local, port: 4317, maxTagLength: 64}}
  - name: http
    opentelemetry:
      service: otel.tracing.svc.cluster.local
      port: 4318
      http: {path: /v1/traces, timeout: 10s, headers: [{name: Api-Key, value: "100%"}]}
      resourceDetectors: {environment: {}, dynatrace: {}}
  - {name: zipkin, zipkin: {service: otel.tracing.svc.cluster.local, port: 9411, traceContextOption: USE_B3_WITH_W3C_PROPAGATION}}
  - {name: datadog, datadog: {service: otel.tracing.svc.cluster.local, port: 8126}}
  - {name: skywalking, skywalking: {service: otel.tracing.svc.cluster.local, port: 11800}}
  - {name: gone, opentelemetry: {service: gone.tracing.svc.cluster.local, port: 4317}}
  - {name: logs, envoyFileAccessLog: {}}
${spec}
`;
const OTEL = service('otel', 4317, 'tracing');
const telemetry = (name: string, spec: string, namespace = 'default') => `---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
`;

type Traced = { readonly tracing?: HttpTracing; readonly requestIds?: RequestIdRules };

/** What a process is told of the requests that it sends and serves. */
function traces(text: string): { readonly sent: Traced; readonly served: Traced } {
  const set = compile(service('a', 80) + text, [], nodeOf({ INMESH_WORKLOADS: [WEB] }));
  const sent = set.listeners.get(`${A}:80`);
  const served = set.listenerOf('xds.istio.io/grpc/lds/inbound/10.0.0.1:80');
  if (sent?.kind !== 'outbound' || served?.kind !== 'inbound') throw new Error('no listeners');
  // It must be accepted as it was sent.
  for (const one of [sent, served]) LISTENER.decode(LISTENER.encode(one));
  const chain = served.filterChains[0]?.http;
  return { sent: sent.http as Traced, served: (chain ?? {}) as Traced };
}

/** The connection manager of an Envoy's proxy port, and the provider's configuration in it. */
function managerOf(text: string, metadata = {}, id?: string) {
  const node = { ...nodeOf({ GENERATOR: 'envoy', ...metadata }), ...(id !== undefined && { id }) };
  const set = compile(service('a', 80) + OTEL + text, [], node);
  const wire = [...set.wireListeners.values()].find(({ name }) => name !== 'virtualInbound');
  const message = fromBinary(listener.ListenerSchema, wire?.bytes ?? new Uint8Array());
  const config = message.filterChains[0]?.filters.at(-1)?.configType;
  if (config?.case !== 'typedConfig') throw new Error('no connection manager');
  const manager = fromBinary(hcm.HttpConnectionManagerSchema, config.value.value);
  const any = manager.tracing?.provider?.configType.value;
  return { manager, tracing: manager.tracing, provider: any && unpackAnyMessage(any) };
}

const percents = ({ tracing }: Traced) => tracing?.sampling.random;

describe('tracing of Telemetry', () => {
  test('nothing is traced unless somebody says so', () => {
    expect([traces('').sent.tracing, traces(mesh('')).served.tracing]).toEqual([undefined, undefined]);
    expect(managerOf(mesh('')).tracing).toBeUndefined();
  });

  test('the mesh’s provider traces one percent, with Istio’s tags', () => {
    const { sent, served } = traces(
      mesh('  defaultProviders: {tracing: [otel]}\n  defaultConfig: {meshId: m1}'),
    );
    expect(sent.tracing).toEqual({
      sampling: {
        client: { numerator: 100, denominator: 100 },
        random: { numerator: 100, denominator: 10_000 },
        overall: { numerator: 10_000, denominator: 10_000 },
      },
      maxPathTagLength: 64,
      customTags: expect.arrayContaining([
        {
          tag: 'istio.canonical_service',
          source: { kind: 'environment', name: 'INMESH_CANONICAL_SERVICE', defaultValue: 'unknown' },
        },
        { tag: 'istio.mesh_id', source: { kind: 'literal', value: 'm1' } },
      ]),
      spawnUpstreamSpan: false,
      noContextPropagation: false,
      provider: { kind: 'opentelemetry', exporter: undefined, serviceName: '', resourceDetectors: [] },
    });
    expect(sent.tracing?.customTags).toHaveLength(9);
    expect(served.tracing).toEqual(sent.tracing);
    expect(sent.requestIds).toEqual({ packsTraceReason: true, decidesTracing: true });
  });

  test('without any provider `enableTracing` and the defaults of proxies count', () => {
    const proxy =
      '  defaultConfig: {tracing: {sampling: 20, maxPathTagLength: 9, enableIstioTags: false, customTags: {a: {literal: {value: b}}}}}';
    const { sent } = traces(mesh(`  enableTracing: true\n${proxy}`));
    expect(percents(sent)).toEqual({ numerator: 2_000, denominator: 10_000 });
    expect(sent.tracing).toMatchObject({
      maxPathTagLength: 9,
      provider: undefined,
      customTags: [{ tag: 'a', source: { kind: 'literal', value: 'b' } }],
    });
    expect(traces(mesh(proxy)).sent.tracing).toBeUndefined();
    // Istio: more than everything is the default.
    const odd = mesh('  enableTracing: true\n  defaultConfig: {tracing: {sampling: 101}}');
    expect(percents(traces(odd).sent)).toEqual({ numerator: 100, denominator: 10_000 });
  });

  test('narrower scopes and later entries replace field by field, for their direction', () => {
    const wide =
      mesh('  defaultProviders: {tracing: [otel]}') +
      telemetry(
        'mesh',
        '{tracing: [{randomSamplingPercentage: 10, customTags: {a: {literal: {value: "1"}}}}]}',
        'istio-system',
      ) +
      telemetry(
        'ns',
        '{tracing: [{match: {mode: SERVER}, randomSamplingPercentage: 50}, {useRequestIdForTraceSampling: false}]}',
      );
    const text =
      wide +
      telemetry(
        'web',
        '{selector: {matchLabels: {app: web}}, tracing: [{match: {mode: CLIENT}, disableSpanReporting: true}, {enableIstioTags: false, disableContextPropagation: true}]}',
      );
    const { sent, served } = traces(text);
    expect(sent.tracing).toBeUndefined();
    expect(percents(traces(wide).sent)).toEqual({ numerator: 1_000, denominator: 10_000 });
    expect(percents(served)).toEqual({ numerator: 5_000, denominator: 10_000 });
    expect(served.requestIds).toEqual({ packsTraceReason: true, decidesTracing: false });
    expect(served.tracing).toMatchObject({
      noContextPropagation: true,
      customTags: [{ tag: 'a', source: { kind: 'literal', value: '1' } }],
    });
  });

  test('reporting may be switched off, and a provider that makes no spans switches it off', () => {
    const with_ = (spec: string) =>
      traces(mesh('  defaultProviders: {tracing: [otel]}') + telemetry('t', spec)).sent.tracing;
    expect(with_('{tracing: [{disableSpanReporting: true}]}')).toBeUndefined();
    expect(with_('{tracing: [{providers: [{name: nobody}]}]}')).toBeUndefined();
    expect(with_('{tracing: [{providers: [{name: logs}]}]}')).toBeUndefined();
    expect(with_('{tracing: [{providers: [{name: ZIPKIN}]}]}')?.provider).toMatchObject({
      kind: 'zipkin',
      withW3c: true,
    });
    // A process can't speak to it.
    expect(with_('{tracing: [{providers: [{name: datadog}]}]}')).toBeUndefined();
  });

  test('every kind of tag', () => {
    const tags =
      '{l: {literal: {value: v}}, e: {environment: {name: E}}, h: {header: {name: X-User, defaultValue: none}}, f: {formatter: {value: "%REQ(:path)%"}}}';
    const text =
      mesh('  defaultProviders: {tracing: [otel]}') +
      telemetry('t', `{tracing: [{enableIstioTags: false, customTags: ${tags}}]}`);
    expect(traces(text).sent.tracing?.customTags).toEqual([
      { tag: 'e', source: { kind: 'environment', name: 'E', defaultValue: '' } },
      { tag: 'f', source: { kind: 'format', format: '%REQ(:path)%' } },
      { tag: 'h', source: { kind: 'header', name: 'x-user', defaultValue: 'none' } },
      { tag: 'l', source: { kind: 'literal', value: 'v' } },
    ]);
  });

  test('what formats can’t say here is refused, what Envoys alone do is warned of', () => {
    const of = (text: string) => complaintsAbout(text).map((line) => line.replace(/^\S+ (\w+) \S+ /, '$1 '));
    expect(of(telemetry('t', '{tracing: [{customTags: {a: {formatter: {value: "%NOTHING%"}}}}]}'))).toEqual([
      'error inmesh does not carry out value %NOTHING% of Telemetry: there are no such operators here',
    ]);
    expect(of(mesh('')).filter((line) => !/datadog|skywalking/.test(line))).toEqual([]);
    expect(of(mesh(''))).toHaveLength(2);
  });
});

describe('tracing of Envoys', () => {
  const by = (provider: string, id?: string) =>
    managerOf(
      mesh(`  defaultProviders: {tracing: [${provider}]}`),
      { LABELS: { 'service.istio.io/canonical-name': 'cart' } },
      id,
    );

  test('OTLP over gRPC and HTTP, Zipkin, Datadog, SkyWalking', () => {
    const cluster = (port: number) => `outbound|${port}||otel.tracing.svc.cluster.local`;
    expect(by('otel').provider).toMatchObject({
      $typeName: 'envoy.config.trace.v3.OpenTelemetryConfig',
      grpcService: {
        targetSpecifier: {
          value: { clusterName: cluster(4317), authority: 'otel.tracing.svc.cluster.local' },
        },
      },
    });
    expect(by('http').provider).toMatchObject({
      httpService: {
        httpUri: {
          uri: 'otel.tracing.svc.cluster.local/v1/traces',
          httpUpstreamType: { value: cluster(4318) },
          timeout: { seconds: 10n },
        },
        requestHeadersToAdd: [{ header: { key: 'api-key', value: '100%%' } }],
      },
      resourceDetectors: [
        { name: 'envoy.tracers.opentelemetry.resource_detectors.environment' },
        { name: 'envoy.tracers.opentelemetry.resource_detectors.dynatrace' },
      ],
    });
    expect(by('zipkin').provider).toMatchObject({
      collectorService: {
        httpUri: { uri: 'http://otel.tracing.svc.cluster.local/api/v2/spans', timeout: { seconds: 5n } },
      },
      traceId128bit: true,
      sharedSpanContext: false,
      traceContextOption: 1,
    });
    expect(by('datadog').provider).toMatchObject({ collectorCluster: cluster(8126) });
    expect([by('skywalking').tracing?.spawnUpstreamSpan, by('otel').tracing?.spawnUpstreamSpan]).toEqual([
      true,
      undefined,
    ]);
  });

  test('tags name the proxy, and the id of requests decides', () => {
    const { manager, tracing } = by('otel');
    const tags = Object.fromEntries((tracing?.customTags ?? []).map(({ tag, type }) => [tag, type.value]));
    expect(tags).toMatchObject({
      'istio.canonical_service': { value: 'cart' },
      'istio.canonical_revision': { value: 'latest' },
    });
    const ids = manager.requestIdExtension?.typedConfig;
    expect(ids && unpackAnyMessage(ids)).toMatchObject({ useRequestIdForTraceSampling: true });
  });

  test('a collector that is not there is not reported to', () => {
    expect(by('gone').tracing).toBeUndefined();
  });
});
