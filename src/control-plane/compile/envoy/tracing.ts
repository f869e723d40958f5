import { create } from '@bufbuild/protobuf';
import { extensionConfig } from '../../../codec/extension.js';
import { encodeRequestIds, encodeTracing } from '../../../codec/tracing.js';
import { encodeService } from '../../../codec/tracing-provider.js';
import { packAny, unpackAny } from '../../../proto/any.js';
import { core, type httpConnectionManager as hcm, otelSamplers, trace } from '../../../proto/xds.js';
import type { ExtensionProviderSpec } from '../../kinds/types.js';
import { type CollectorLookup, httpExporter, tracingBase, tracingProvider } from '../tracing.js';
import type { TracingSpec } from '../tracing-spec.js';

/** How an Envoy traces: fields of its connection managers. */
export interface EnvoyTracing {
  readonly tracing: hcm.HttpConnectionManager_Tracing;
  readonly requestIds: hcm.RequestIDExtension | undefined;
}

/** Tracing of an Envoy; undefined when it does not trace, or its collector is not there (Istio). */
export function envoyTracing(
  spec: TracingSpec | undefined,
  isGateway: boolean,
  find: CollectorLookup,
): EnvoyTracing | undefined {
  if (spec === undefined) return undefined;
  const { provider, requestIds } = spec;
  const isSkyWalking = provider?.skywalking !== undefined;
  const tracing = encodeTracing({
    ...tracingBase(spec),
    // Istio: gateways are hops of their own, and SkyWalking wants both sides.
    spawnUpstreamSpan: (isGateway && provider !== undefined) || isSkyWalking,
    provider: provider && tracingProvider(provider, spec.serviceName, find),
  });
  if (provider !== undefined) {
    const other = otherProvider(provider, spec.serviceName, find);
    if (other !== undefined) tracing.provider = other;
    if (tracing.provider === undefined) return undefined;
    if (!addSampler(provider, tracing.provider, find)) return undefined;
  }
  return { tracing, requestIds: requestIds && encodeRequestIds(requestIds) };
}

/** Providers that only proxies speak to. */
function otherProvider(
  { datadog, skywalking }: ExtensionProviderSpec,
  serviceName: string,
  find: CollectorLookup,
): trace.Tracing_Http | undefined {
  if (datadog !== undefined) {
    const place = find(datadog.service ?? '', datadog.port ?? 0);
    return (
      place &&
      named(
        'datadog',
        packAny(
          trace.DatadogConfigSchema,
          create(trace.DatadogConfigSchema, {
            collectorCluster: place.cluster,
            collectorHostname: place.host,
            serviceName,
          }),
        ),
      )
    );
  }
  const place = skywalking && find(skywalking.service ?? '', skywalking.port ?? 0);
  if (place === undefined) return undefined;
  const grpcService = create(core.GrpcServiceSchema, {
    targetSpecifier: {
      case: 'envoyGrpc',
      value: create(core.GrpcService_EnvoyGrpcSchema, {
        clusterName: place.cluster,
        authority: place.host,
      }),
    },
  });
  return named(
    'skywalking',
    packAny(trace.SkyWalkingConfigSchema, create(trace.SkyWalkingConfigSchema, { grpcService })),
  );
}

function named(name: string, value: ReturnType<typeof packAny>): trace.Tracing_Http {
  return create(trace.Tracing_HttpSchema, {
    name: `envoy.tracers.${name}`,
    configType: { case: 'typedConfig', value },
  });
}

/** Istio: configureDynatraceSampler; false when it can't be had. */
function addSampler(
  { opentelemetry }: ExtensionProviderSpec,
  message: trace.Tracing_Http,
  find: CollectorLookup,
): boolean {
  const sampler = opentelemetry?.dynatraceSampler;
  if (opentelemetry === undefined || sampler === undefined) return true;
  const api = sampler.httpService;
  const http = api === undefined ? opentelemetry.http : api.http;
  const { service = '', port = 0 } = api ?? opentelemetry;
  const place = find(service, port);
  // It asks where spans go, or where it is told to.
  if (place === undefined || http === undefined) return false;
  const path = api === undefined ? 'api/v2/samplingConfiguration' : (http.path ?? '').replace(/^\/+/, '');
  const config = create(otelSamplers.DynatraceSamplerConfigSchema, {
    tenant: sampler.tenant ?? '',
    clusterId: sampler.clusterId ?? 0,
    rootSpansPerMinute: sampler.rootSpansPerMinute ?? 0,
    httpService: encodeService(httpExporter(`${place.host}/${path}`, place, http.headers, http.timeout)),
  });
  const any = message.configType.value;
  const otel = any && unpackAny(trace.OpenTelemetryConfigSchema, any);
  if (otel === undefined) return false;
  otel.sampler = extensionConfig(
    'envoy.tracers.opentelemetry.samplers.dynatrace',
    packAny(otelSamplers.DynatraceSamplerConfigSchema, config),
  );
  message.configType = { case: 'typedConfig', value: packAny(trace.OpenTelemetryConfigSchema, otel) };
  return true;
}
