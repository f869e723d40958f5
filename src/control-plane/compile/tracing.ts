import type { HttpConnectionManager } from '../../model/listener.js';
import type { HttpTracing, SpanExporter, TracingProvider } from '../../model/tracing.js';
import type { ExtensionProviderSpec } from '../kinds/types.js';
import { clusterName } from '../mesh/names.js';
import type { TracingSpec } from './tracing-spec.js';

/** Where a provider's service is reached. */
export interface CollectorPlace {
  readonly host: string;
  readonly cluster: string;
}

/** Finds the service `[namespace/]host` at a port; undefined when it is not there. */
export type CollectorLookup = (service: string, port: number) => CollectorPlace | undefined;

/** Without a look at what is there: whoever reports by other means needs the name alone. */
export const byName: CollectorLookup = (service, port) => {
  const host = service.slice(service.indexOf('/') + 1).toLowerCase();
  return { host, cluster: clusterName(port, '', host) };
};

/** Istio's timeouts of reports. */
const ZIPKIN_TIMEOUT_MS = 5_000;
const OTLP_TIMEOUT_MS = 3_000;
const ZIPKIN_PATH = '/api/v2/spans';
const DEFAULT_PATH_LENGTH = 256;

type HttpExporter = Extract<SpanExporter, { readonly kind: 'http' }>;
type Headers = NonNullable<NonNullable<ExtensionProviderSpec['zipkin']>['headers']>;

/** What both proxies and processes are told besides the provider. */
export function tracingBase(spec: TracingSpec): Omit<HttpTracing, 'provider'> {
  const { provider, sampling, customTags, noContextPropagation } = spec;
  const { zipkin, datadog, opentelemetry } = provider ?? {};
  const own = (zipkin ?? datadog ?? opentelemetry)?.maxTagLength;
  return {
    sampling: {
      client: { numerator: 100, denominator: 100 },
      random: { numerator: Math.round(sampling * 100), denominator: 10_000 },
      overall: { numerator: 10_000, denominator: 10_000 },
    },
    maxPathTagLength: own || spec.maxPathTagLength || DEFAULT_PATH_LENGTH,
    customTags,
    spawnUpstreamSpan: false,
    noContextPropagation,
  };
}

/** Tracing of a process: it reports by the OpenTelemetry SDK of its application, so that where to is not its affair. */
export function processTracing(
  spec: TracingSpec | undefined,
): Pick<HttpConnectionManager, 'tracing' | 'requestIds'> {
  if (spec === undefined) return {};
  const { provider, requestIds } = spec;
  // Their headers are not known here: see `unsupported`.
  if (provider?.datadog !== undefined || provider?.skywalking !== undefined) return {};
  const known = provider && withoutSecrets(tracingProvider(provider, '', byName));
  return {
    tracing: { ...tracingBase(spec), provider: known },
    ...(requestIds !== undefined && { requestIds }),
  };
}

function withoutSecrets(provider: TracingProvider | undefined): TracingProvider | undefined {
  if (provider?.kind === 'zipkin') return { ...provider, exporter: { ...provider.exporter, headers: [] } };
  return provider && { ...provider, exporter: undefined, resourceDetectors: [] };
}

/** Istio: zipkinConfig, otelConfig; undefined when the service is not there, or the provider is of another kind. */
export function tracingProvider(
  { zipkin, opentelemetry }: ExtensionProviderSpec,
  serviceName: string,
  find: CollectorLookup,
): TracingProvider | undefined {
  if (zipkin !== undefined) {
    const { service = '', port = 0, path, headers, timeout = ZIPKIN_TIMEOUT_MS } = zipkin;
    const place = find(service, port);
    return (
      place && {
        kind: 'zipkin',
        exporter: {
          ...httpExporter(`http://${place.host}${path || ZIPKIN_PATH}`, place, headers),
          uri: {
            uri: `http://${place.host}${path || ZIPKIN_PATH}`,
            cluster: place.cluster,
            timeoutMs: timeout,
          },
        },
        has128BitIds: zipkin.enable64bitTraceId !== true,
        sharesSpans: false,
        withW3c: zipkin.traceContextOption === 'USE_B3_WITH_W3C_PROPAGATION',
      }
    );
  }
  if (opentelemetry === undefined) return undefined;
  const { service = '', port = 0, resourceDetectors = {} } = opentelemetry;
  const place = find(service, port);
  return (
    place && {
      kind: 'opentelemetry',
      exporter: otlpExporter(opentelemetry, place),
      serviceName,
      resourceDetectors: (['environment', 'dynatrace'] as const).filter(
        (name) => resourceDetectors[name] !== undefined,
      ),
    }
  );
}

type OtelSpec = NonNullable<ExtensionProviderSpec['opentelemetry']>;

function otlpExporter({ http, grpc }: OtelSpec, place: CollectorPlace): SpanExporter {
  if (http !== undefined) {
    const path = `/${http.path ?? ''}`.replace(/^\/+/, '/');
    return httpExporter(`${place.host}${path}`, place, http.headers, http.timeout);
  }
  return {
    kind: 'grpc',
    service: {
      cluster: place.cluster,
      authority: place.host,
      timeoutMs: grpc?.timeout,
      initialMetadata: (grpc?.initialMetadata ?? []).map(({ name = '', value = '' }) => ({
        name: name.toLowerCase(),
        value: literalFormat(value),
      })),
      maxReceiveBytes: undefined,
    },
  };
}

/** A collector that is spoken to over HTTP. */
export function httpExporter(
  uri: string,
  { cluster }: CollectorPlace,
  headers: Headers = [],
  timeoutMs = OTLP_TIMEOUT_MS,
): HttpExporter {
  return {
    kind: 'http',
    uri: { uri, cluster, timeoutMs },
    headers: headers.map(({ name = '', value = '' }) => ({
      name: name.toLowerCase(),
      value: literalFormat(value),
      action: 'overwrite-if-exists-or-add',
      keepEmpty: false,
    })),
  };
}

/** A percent sign begins a command. */
function literalFormat(value: string): string {
  return value.replaceAll('%', '%%');
}
