import { z } from 'zod';
import {
  clientTls,
  connectionPool,
  localityLbSetting,
  outlierDetection,
  tcpKeepalive,
  zoneAwareLbSetting,
} from './destination-rule-schema.js';
import { extensionProvider } from './extension-provider-schema.js';
import { duration, int32, stringMap } from './fields.js';
import { meshProxySchema } from './mesh-proxy-schema.js';
import { httpRetry } from './virtual-service-schema.js';

/** Kubernetes LabelSelector. */
const labelSelector = z.strictObject({
  matchLabels: stringMap.optional(),
  matchExpressions: z
    .array(
      z.strictObject({
        key: z.string().optional(),
        operator: z.string().optional(),
        values: z.array(z.string()).optional(),
      }),
    )
    .optional(),
});

const tlsConfig = z.strictObject({
  minProtocolVersion: z.enum(['TLS_AUTO', 'TLSV1_2', 'TLSV1_3']).optional(),
  ecdhCurves: z.array(z.string()).optional(),
  cipherSuites: z.array(z.string()).optional(),
});

const visibility = z.enum(['VISIBILITY_UNSPECIFIED', 'NONE', 'NAMESPACE', 'PUBLIC']);

/** Istio MeshConfig: every field; durations are milliseconds. */
export const meshConfigSchema = z.strictObject({
  proxyListenPort: int32().optional(),
  proxyInboundListenPort: int32().optional(),
  proxyHttpPort: int32().optional(),
  connectTimeout: duration.optional(),
  hboneIdleTimeout: duration.optional(),
  protocolDetectionTimeout: duration.optional(),
  tcpKeepalive: tcpKeepalive.optional(),
  ingressClass: z.string().optional(),
  ingressService: z.string().optional(),
  ingressControllerMode: z.enum(['UNSPECIFIED', 'OFF', 'DEFAULT', 'STRICT']).optional(),
  ingressSelector: z.string().optional(),
  enableTracing: z.boolean().optional(),
  accessLogFile: z.string().optional(),
  accessLogFormat: z.string().optional(),
  accessLogEncoding: z.enum(['TEXT', 'JSON']).optional(),
  enableEnvoyAccessLogService: z.boolean().optional(),
  disableEnvoyListenerLog: z.boolean().optional(),
  defaultConfig: meshProxySchema.optional(),
  outboundTrafficPolicy: z
    .strictObject({
      mode: z.enum(['REGISTRY_ONLY', 'ALLOW_ANY', 'ALLOW_ANY_DYNAMIC_DNS']).optional(),
      tls: clientTls.optional(),
    })
    .optional(),
  inboundTrafficPolicy: z
    .strictObject({
      mode: z.enum(['PASSTHROUGH', 'LOCALHOST']).optional(),
    })
    .optional(),
  configSources: z
    .array(
      z.strictObject({
        address: z.string().optional(),
        tlsSettings: clientTls.optional(),
        subscribedResources: z.array(z.enum(['SERVICE_REGISTRY'])).optional(),
      }),
    )
    .optional(),
  enableAutoMtls: z.boolean().optional(),
  trustDomain: z.string().optional(),
  trustDomainAliases: z.array(z.string()).optional(),
  caCertificates: z
    .array(
      z.strictObject({
        pem: z.string().optional(),
        spiffeBundleUrl: z.string().optional(),
        certSigners: z.array(z.string()).optional(),
        trustDomains: z.array(z.string()).optional(),
      }),
    )
    .optional(),
  defaultServiceExportTo: z.array(z.string()).optional(),
  defaultVirtualServiceExportTo: z.array(z.string()).optional(),
  defaultDestinationRuleExportTo: z.array(z.string()).optional(),
  rootNamespace: z.string().optional(),
  localityLbSetting: localityLbSetting.optional(),
  zoneAwareLbSetting: zoneAwareLbSetting.optional(),
  dnsRefreshRate: duration.optional(),
  h2UpgradePolicy: z.enum(['DO_NOT_UPGRADE', 'UPGRADE']).optional(),
  inboundClusterStatName: z.string().optional(),
  outboundClusterStatName: z.string().optional(),
  certificates: z
    .array(
      z.strictObject({
        secretName: z.string().optional(),
        dnsNames: z.array(z.string()).optional(),
      }),
    )
    .optional(),
  serviceSettings: z
    .array(
      z.strictObject({
        settings: z
          .strictObject({
            clusterLocal: z.boolean().optional(),
          })
          .optional(),
        hosts: z.array(z.string()).optional(),
      }),
    )
    .optional(),
  serviceScopeConfigs: z
    .array(
      z.strictObject({
        namespaceSelector: labelSelector.optional(),
        servicesSelector: labelSelector.optional(),
        scope: z.enum(['LOCAL', 'GLOBAL']).optional(),
      }),
    )
    .optional(),
  enablePrometheusMerge: z.boolean().optional(),
  verifyCertificateAtClient: z.boolean().optional(),
  ca: z
    .strictObject({
      address: z.string().optional(),
      tlsSettings: clientTls.optional(),
      requestTimeout: duration.optional(),
      istiodSide: z.boolean().optional(),
    })
    .optional(),
  extensionProviders: z.array(extensionProvider).optional(),
  defaultProviders: z
    .strictObject({
      tracing: z.array(z.string()).optional(),
      metrics: z.array(z.string()).optional(),
      accessLogging: z.array(z.string()).optional(),
    })
    .optional(),
  discoverySelectors: z.array(labelSelector).optional(),
  pathNormalization: z
    .strictObject({
      normalization: z
        .enum(['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'])
        .optional(),
    })
    .optional(),
  defaultHttpRetryPolicy: httpRetry.optional(),
  meshMTLS: tlsConfig.optional(),
  tlsDefaults: tlsConfig.optional(),
  defaultTrafficPolicy: z
    .strictObject({
      connectionPool: connectionPool.optional(),
      outlierDetection: outlierDetection.optional(),
    })
    .optional(),
  serviceEntryVisibility: z
    .strictObject({
      defaultVisibility: visibility.optional(),
      applyToSidecars: z.boolean().optional(),
      policies: z
        .array(
          z.strictObject({
            visibility: visibility.optional(),
            matchingRules: z
              .array(
                z.strictObject({
                  namespaceSelector: labelSelector.optional(),
                }),
              )
              .optional(),
          }),
        )
        .optional(),
    })
    .optional(),
});
