import { z } from 'zod';
import { clientTls, tcpKeepalive } from './destination-rule-schema.js';
import { duration, int32, mapOf, stringMap, uint32 } from './fields.js';
import { proxyImage } from './proxy-config-schema.js';
import { readinessProbe } from './workload-group-schema.js';

const remoteService = z.strictObject({
  address: z.string().optional(),
  tlsSettings: clientTls.optional(),
  tcpKeepalive: tcpKeepalive.optional(),
});

const forwardClientCert = z.enum([
  'UNDEFINED',
  'SANITIZE',
  'FORWARD_ONLY',
  'APPEND_FORWARD',
  'SANITIZE_SET',
  'ALWAYS_FORWARD_ONLY',
]);

const switchedOff = z.strictObject({ disabled: z.boolean().optional() });
const switchedOn = z.strictObject({ enabled: z.boolean().optional() });
const keyProvider = z.strictObject({ pollDelay: duration.optional(), fallback: z.boolean().optional() });

/** Istio `meshconfig.ProxyConfig`: every field; it is about sidecars, and the annotation `proxy.istio.io/config` has it, too. */
export const meshProxySchema = z.strictObject({
  configPath: z.string().optional(),
  binaryPath: z.string().optional(),
  serviceCluster: z.string().optional(),
  tracingServiceName: z
    .enum(['APP_LABEL_AND_NAMESPACE', 'CANONICAL_NAME_ONLY', 'CANONICAL_NAME_AND_NAMESPACE'])
    .optional(),
  drainDuration: duration.optional(),
  discoveryAddress: z.string().optional(),
  discoveryRefreshDelay: duration.optional(),
  zipkinAddress: z.string().optional(),
  statsdUdpAddress: z.string().optional(),
  envoyMetricsServiceAddress: z.string().optional(),
  proxyAdminPort: int32().optional(),
  availabilityZone: z.string().optional(),
  controlPlaneAuthPolicy: z.enum(['NONE', 'MUTUAL_TLS', 'INHERIT']).optional(),
  customConfigFile: z.string().optional(),
  statNameLength: int32().optional(),
  concurrency: int32().optional(),
  proxyBootstrapTemplatePath: z.string().optional(),
  interceptionMode: z.enum(['REDIRECT', 'TPROXY', 'NONE']).optional(),
  tracing: z
    .strictObject({
      zipkin: z
        .strictObject({
          address: z.string().optional(),
        })
        .optional(),
      lightstep: z
        .strictObject({
          address: z.string().optional(),
          accessToken: z.string().optional(),
        })
        .optional(),
      datadog: z
        .strictObject({
          address: z.string().optional(),
        })
        .optional(),
      stackdriver: z
        .strictObject({
          debug: z.boolean().optional(),
          maxNumberOfAttributes: z.int().optional(),
          maxNumberOfAnnotations: z.int().optional(),
          maxNumberOfMessageEvents: z.int().optional(),
        })
        .optional(),
      openCensusAgent: z
        .strictObject({
          address: z.string().optional(),
          context: z
            .array(z.enum(['UNSPECIFIED', 'W3C_TRACE_CONTEXT', 'GRPC_BIN', 'CLOUD_TRACE_CONTEXT', 'B3']))
            .optional(),
        })
        .optional(),
      customTags: mapOf(
        z.strictObject({
          literal: z
            .strictObject({
              value: z.string().optional(),
            })
            .optional(),
          environment: z
            .strictObject({
              name: z.string().optional(),
              defaultValue: z.string().optional(),
            })
            .optional(),
          header: z
            .strictObject({
              name: z.string().optional(),
              defaultValue: z.string().optional(),
            })
            .optional(),
        }),
      ).optional(),
      maxPathTagLength: uint32.optional(),
      sampling: z.number().optional(),
      tlsSettings: clientTls.optional(),
      enableIstioTags: z.boolean().optional(),
    })
    .optional(),
  sds: z
    .strictObject({
      enabled: z.boolean().optional(),
      k8sSaJwtPath: z.string().optional(),
    })
    .optional(),
  envoyAccessLogService: remoteService.optional(),
  envoyMetricsService: remoteService.optional(),
  proxyMetadata: stringMap.optional(),
  runtimeValues: stringMap.optional(),
  statusPort: int32().optional(),
  extraStatTags: z.array(z.string()).optional(),
  gatewayTopology: z
    .strictObject({
      numTrustedProxies: uint32.optional(),
      forwardClientCertDetails: forwardClientCert.optional(),
      proxyProtocol: z.strictObject({}).optional(),
    })
    .optional(),
  terminationDrainDuration: duration.optional(),
  meshId: z.string().optional(),
  readinessProbe: readinessProbe.optional(),
  proxyStatsMatcher: z
    .strictObject({
      inclusionPrefixes: z.array(z.string()).optional(),
      inclusionSuffixes: z.array(z.string()).optional(),
      inclusionRegexps: z.array(z.string()).optional(),
    })
    .optional(),
  holdApplicationUntilProxyStarts: z.boolean().optional(),
  caCertificatesPem: z.array(z.string()).optional(),
  image: proxyImage.optional(),
  privateKeyProvider: z
    .strictObject({
      cryptomb: keyProvider.optional(),
      qat: keyProvider.optional(),
    })
    .optional(),
  proxyHeaders: z
    .strictObject({
      forwardedClientCert: forwardClientCert.optional(),
      setCurrentClientCertDetails: z
        .strictObject({
          subject: z.boolean().optional(),
          cert: z.boolean().optional(),
          chain: z.boolean().optional(),
          dns: z.boolean().optional(),
          uri: z.boolean().optional(),
        })
        .optional(),
      requestId: switchedOff.optional(),
      server: z
        .strictObject({
          disabled: z.boolean().optional(),
          value: z.string().optional(),
        })
        .optional(),
      attemptCount: switchedOff.optional(),
      envoyDebugHeaders: switchedOff.optional(),
      metadataExchangeHeaders: z
        .strictObject({
          mode: z.enum(['UNDEFINED', 'IN_MESH']).optional(),
        })
        .optional(),
      preserveHttp1HeaderCase: z.boolean().optional(),
      xForwardedHost: switchedOn.optional(),
      xForwardedPort: switchedOn.optional(),
    })
    .optional(),
  fileFlushInterval: duration.optional(),
  fileFlushMinSizeKb: uint32.optional(),
  statsCompression: z.boolean().optional(),
  connectionSettings: z
    .strictObject({
      profile: z.enum(['SIDECAR', 'EDGE']).optional(),
      listenerPerConnectionBufferLimitBytes: int32().optional(),
      clusterPerConnectionBufferLimitBytes: int32().optional(),
      httpIdleTimeout: duration.optional(),
      httpMaxConnectionDuration: duration.optional(),
      httpDrainTimeout: duration.optional(),
      httpRequestTimeout: duration.optional(),
      httpRequestHeadersTimeout: duration.optional(),
      httpStreamIdleTimeout: duration.optional(),
      httpMaxStreamDuration: duration.optional(),
      httpMaxConcurrentStreams: int32().optional(),
      http2InitialStreamWindowSize: int32().optional(),
      http2InitialConnectionWindowSize: int32().optional(),
      httpHeadersWithUnderscoresAction: z
        .enum([
          'HEADERS_WITH_UNDERSCORES_UNSPECIFIED',
          'HEADERS_WITH_UNDERSCORES_ALLOW',
          'HEADERS_WITH_UNDERSCORES_REJECT_REQUEST',
          'HEADERS_WITH_UNDERSCORES_DROP_HEADER',
        ])
        .optional(),
      httpMergeSlashes: z.boolean().optional(),
      httpPathWithEscapedSlashesAction: z
        .enum([
          'PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED',
          'KEEP_UNCHANGED',
          'REJECT_REQUEST',
          'UNESCAPE_AND_REDIRECT',
          'UNESCAPE_AND_FORWARD',
        ])
        .optional(),
      listenerConnectionLimit: int32().optional(),
      globalDownstreamConnectionLimit: int32().optional(),
    })
    .optional(),
});
