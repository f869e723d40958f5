import { z } from 'zod';
import { duration, int32, openMap, stringMap, uint32 } from './fields.js';

const httpHeaders = z.array(
  z.strictObject({
    name: z.string().optional(),
    value: z.string().optional(),
    envName: z.string().optional(),
  }),
);

const httpService = z.strictObject({
  path: z.string().optional(),
  timeout: duration.optional(),
  headers: httpHeaders.optional(),
});

const requestBody = z.strictObject({
  maxRequestBytes: uint32.optional(),
  allowPartialMessage: z.boolean().optional(),
  packAsBytes: z.boolean().optional(),
});

const logFormat = z.strictObject({ text: z.string().optional(), labels: openMap.optional() });

/** Istio `MeshConfig.ExtensionProvider`: every field of every provider. */
export const extensionProvider = z.strictObject({
  name: z.string().optional(),
  envoyExtAuthzHttp: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      timeout: duration.optional(),
      pathPrefix: z.string().optional(),
      failOpen: z.boolean().optional(),
      clearRouteCache: z.boolean().optional(),
      statusOnError: z.string().optional(),
      includeHeadersInCheck: z.array(z.string()).optional(),
      includeRequestHeadersInCheck: z.array(z.string()).optional(),
      includeAdditionalHeadersInCheck: stringMap.optional(),
      includeRequestBodyInCheck: requestBody.optional(),
      headersToUpstreamOnAllow: z.array(z.string()).optional(),
      headersToDownstreamOnDeny: z.array(z.string()).optional(),
      headersToDownstreamOnAllow: z.array(z.string()).optional(),
    })
    .optional(),
  envoyExtAuthzGrpc: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      timeout: duration.optional(),
      failOpen: z.boolean().optional(),
      clearRouteCache: z.boolean().optional(),
      statusOnError: z.string().optional(),
      includeRequestBodyInCheck: requestBody.optional(),
    })
    .optional(),
  zipkin: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      maxTagLength: uint32.optional(),
      enable64bitTraceId: z.boolean().optional(),
      path: z.string().optional(),
      traceContextOption: z.enum(['USE_B3', 'USE_B3_WITH_W3C_PROPAGATION']).optional(),
      timeout: duration.optional(),
      headers: httpHeaders.optional(),
    })
    .optional(),
  lightstep: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      accessToken: z.string().optional(),
      maxTagLength: uint32.optional(),
    })
    .optional(),
  datadog: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      maxTagLength: uint32.optional(),
    })
    .optional(),
  stackdriver: z
    .strictObject({
      debug: z.boolean().optional(),
      maxNumberOfAttributes: z.int().optional(),
      maxNumberOfAnnotations: z.int().optional(),
      maxNumberOfMessageEvents: z.int().optional(),
      maxTagLength: uint32.optional(),
      logging: z
        .strictObject({
          labels: stringMap.optional(),
        })
        .optional(),
    })
    .optional(),
  opencensus: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      context: z
        .array(z.enum(['UNSPECIFIED', 'W3C_TRACE_CONTEXT', 'GRPC_BIN', 'CLOUD_TRACE_CONTEXT', 'B3']))
        .optional(),
      maxTagLength: uint32.optional(),
    })
    .optional(),
  skywalking: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      accessToken: z.string().optional(),
    })
    .optional(),
  opentelemetry: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      maxTagLength: uint32.optional(),
      http: httpService.optional(),
      grpc: z
        .strictObject({
          timeout: duration.optional(),
          initialMetadata: httpHeaders.optional(),
        })
        .optional(),
      resourceDetectors: z
        .strictObject({
          environment: z.strictObject({}).optional(),
          dynatrace: z.strictObject({}).optional(),
        })
        .optional(),
      serviceAttributeEnrichment: z.enum(['ISTIO_CANONICAL', 'OTEL_SEMANTIC_CONVENTIONS']).optional(),
      dynatraceSampler: z
        .strictObject({
          tenant: z.string().optional(),
          clusterId: int32().optional(),
          rootSpansPerMinute: uint32.optional(),
          httpService: z
            .strictObject({
              service: z.string().optional(),
              port: uint32.optional(),
              http: httpService.optional(),
            })
            .optional(),
        })
        .optional(),
    })
    .optional(),
  prometheus: z.strictObject({}).optional(),
  envoyFileAccessLog: z
    .strictObject({
      path: z.string().optional(),
      logFormat: logFormat.optional(),
      omitEmptyValues: z.boolean().optional(),
    })
    .optional(),
  envoyHttpAls: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      logName: z.string().optional(),
      filterStateObjectsToLog: z.array(z.string()).optional(),
      additionalRequestHeadersToLog: z.array(z.string()).optional(),
      additionalResponseHeadersToLog: z.array(z.string()).optional(),
      additionalResponseTrailersToLog: z.array(z.string()).optional(),
    })
    .optional(),
  envoyTcpAls: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      logName: z.string().optional(),
      filterStateObjectsToLog: z.array(z.string()).optional(),
    })
    .optional(),
  envoyOtelAls: z
    .strictObject({
      service: z.string().optional(),
      port: uint32.optional(),
      logName: z.string().optional(),
      logFormat: logFormat.optional(),
    })
    .optional(),
  sds: z
    .strictObject({
      name: z.string().optional(),
      service: z.string().optional(),
      port: uint32.optional(),
    })
    .optional(),
});
