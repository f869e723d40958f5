import { create } from '@bufbuild/protobuf';
import type { SpanExporter, TracingProvider } from '../model/tracing.js';
import { packAny } from '../proto/any.js';
import { core, otelResourceDetectors as detectors, trace } from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { extensionConfig } from './extension.js';
import { onlyFields } from './field-guard.js';
import { decodeGrpcService, encodeGrpcService } from './grpc-service.js';
import { decodeAddition, encodeAddition, headerName } from './header-mutation.js';
import { decodeHttpUri, encodeHttpUri } from './http-uri.js';
import { at, type Path, refuse, required } from './path.js';

const otelFields = onlyFields(() => trace.OpenTelemetryConfigSchema, {
  enforced: ['grpc_service', 'http_service', 'service_name', 'resource_detectors'],
});

const zipkinFields = onlyFields(() => trace.ZipkinConfigSchema, {
  enforced: [
    'collector_cluster',
    'collector_endpoint',
    'collector_hostname',
    'collector_service',
    'trace_id_128bit',
    'shared_span_context',
    'trace_context_option',
  ],
  ignored: [
    // How spans are written: those of a process are written by the OpenTelemetry SDK of its application.
    'collector_endpoint_version',
    // Envoy: `spawn_upstream_span` counts.
    'split_spans_for_request',
  ],
});

const serviceFields = onlyFields(() => core.HttpServiceSchema, {
  enforced: ['http_uri', 'request_headers_to_add'],
});

const DETECTORS = {
  environment: 'envoy.tracers.opentelemetry.resource_detectors.environment',
  dynatrace: 'envoy.tracers.opentelemetry.resource_detectors.dynatrace',
} as const;

/** Envoy's timeout of reports to a collector that has none. */
const COLLECTOR_TIMEOUT_MS = 5_000;

/** The provider; others than OpenTelemetry and Zipkin have headers that are not written here. */
export function decodeProvider(
  message: trace.Tracing_Http | undefined,
  path: Path,
): TracingProvider | undefined {
  if (message === undefined) return undefined;
  if (message.name === '') refuse(at(path, 'name'), 'must not be empty');
  const where = at(path, 'typed_config');
  const any = required(message.configType.value, where);
  const otel = decodeAny(trace.OpenTelemetryConfigSchema, any, where);
  if (otel !== undefined) return decodeOtel(otel, where);
  const zipkin = decodeAny(trace.ZipkinConfigSchema, any, where);
  if (zipkin !== undefined) return decodeZipkin(zipkin, where);
  return refuse(where, `the tracer ${JSON.stringify(any.typeUrl)} is not supported`);
}

function decodeOtel(message: trace.OpenTelemetryConfig, path: Path): TracingProvider {
  otelFields(message, path);
  const { grpcService, httpService, serviceName, resourceDetectors } = message;
  // Envoy: one of them only.
  if (grpcService !== undefined && httpService !== undefined) {
    refuse(at(path, 'http_service'), 'may not stand next to grpc_service');
  }
  const grpc = grpcService && decodeGrpcService(grpcService, at(path, 'grpc_service'));
  const http = httpService && decodeService(httpService, at(path, 'http_service'));
  return {
    kind: 'opentelemetry',
    exporter: grpc === undefined ? http : { kind: 'grpc', service: grpc },
    serviceName,
    resourceDetectors: resourceDetectors.map(({ typedConfig }, index) => {
      const where = at(at(path, 'resource_detectors', index), 'typed_config');
      const any = required(typedConfig, where);
      if (decodeAny(detectors.EnvironmentResourceDetectorConfigSchema, any, where)) return 'environment';
      if (decodeAny(detectors.DynatraceResourceDetectorConfigSchema, any, where)) return 'dynatrace';
      return refuse(where, `the detector ${JSON.stringify(any.typeUrl)} is not supported`);
    }),
  };
}

type HttpExporter = Extract<SpanExporter, { readonly kind: 'http' }>;

function decodeService(message: core.HttpService, path: Path): HttpExporter {
  serviceFields(message, path);
  const uri = required(message.httpUri, at(path, 'http_uri'));
  return {
    kind: 'http',
    uri: decodeHttpUri(uri, at(path, 'http_uri')),
    headers: message.requestHeadersToAdd.map((one, index) =>
      decodeAddition(one, at(path, 'request_headers_to_add', index), headerName),
    ),
  };
}

function decodeZipkin(message: trace.ZipkinConfig, path: Path): TracingProvider {
  zipkinFields(message, path);
  const { collectorService, traceContextOption: option } = message;
  const { USE_B3, USE_B3_WITH_W3C_PROPAGATION } = trace.ZipkinConfig_TraceContextOption;
  if (option !== USE_B3 && option !== USE_B3_WITH_W3C_PROPAGATION) {
    refuse(at(path, 'trace_context_option'), `has no value ${String(option)}`);
  }
  return {
    kind: 'zipkin',
    exporter:
      collectorService === undefined
        ? decodeCollector(message, path)
        : decodeService(collectorService, at(path, 'collector_service')),
    has128BitIds: message.traceId128bit,
    sharesSpans: message.sharedSpanContext ?? true,
    withW3c: option === USE_B3_WITH_W3C_PROPAGATION,
  };
}

/** The older fields for the collector. */
function decodeCollector(message: trace.ZipkinConfig, path: Path): HttpExporter {
  const { collectorCluster: cluster, collectorEndpoint: endpoint, collectorHostname: host } = message;
  if (cluster === '') refuse(at(path, 'collector_cluster'), 'must not be empty');
  if (endpoint === '') refuse(at(path, 'collector_endpoint'), 'must not be empty');
  const uri = `http://${host || cluster}${endpoint}`;
  return { kind: 'http', uri: { uri, cluster, timeoutMs: COLLECTOR_TIMEOUT_MS }, headers: [] };
}

/** The provider as a message. */
export function encodeProvider(provider: TracingProvider): trace.Tracing_Http {
  const value =
    provider.kind === 'opentelemetry'
      ? packAny(trace.OpenTelemetryConfigSchema, encodeOtel(provider))
      : packAny(trace.ZipkinConfigSchema, encodeZipkin(provider));
  return create(trace.Tracing_HttpSchema, {
    name: `envoy.tracers.${provider.kind}`,
    configType: { case: 'typedConfig', value },
  });
}

function encodeOtel(
  provider: Extract<TracingProvider, { kind: 'opentelemetry' }>,
): trace.OpenTelemetryConfig {
  const { exporter, serviceName, resourceDetectors } = provider;
  const message = create(trace.OpenTelemetryConfigSchema, {
    serviceName,
    resourceDetectors: resourceDetectors.map((name) => extensionConfig(DETECTORS[name], detector(name))),
  });
  if (exporter?.kind === 'grpc') message.grpcService = encodeGrpcService(exporter.service);
  if (exporter?.kind === 'http') message.httpService = encodeService(exporter);
  return message;
}

function detector(name: keyof typeof DETECTORS) {
  return name === 'environment'
    ? packAny(
        detectors.EnvironmentResourceDetectorConfigSchema,
        create(detectors.EnvironmentResourceDetectorConfigSchema),
      )
    : packAny(
        detectors.DynatraceResourceDetectorConfigSchema,
        create(detectors.DynatraceResourceDetectorConfigSchema),
      );
}

/** An HTTP service as a message. */
export function encodeService({ uri, headers }: HttpExporter): core.HttpService {
  return create(core.HttpServiceSchema, {
    httpUri: encodeHttpUri(uri),
    requestHeadersToAdd: headers.map(encodeAddition),
  });
}

function encodeZipkin(provider: Extract<TracingProvider, { kind: 'zipkin' }>): trace.ZipkinConfig {
  const { USE_B3, USE_B3_WITH_W3C_PROPAGATION } = trace.ZipkinConfig_TraceContextOption;
  return create(trace.ZipkinConfigSchema, {
    collectorEndpointVersion: trace.ZipkinConfig_CollectorEndpointVersion.HTTP_JSON,
    collectorService: encodeService(provider.exporter),
    traceId128bit: provider.has128BitIds,
    sharedSpanContext: provider.sharesSpans,
    traceContextOption: provider.withW3c ? USE_B3_WITH_W3C_PROPAGATION : USE_B3,
  });
}
