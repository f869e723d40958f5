import { z } from 'zod';
import {
  duration,
  exportTo,
  int32,
  mapOf,
  matchLabelsSelector,
  portSelector,
  positiveDuration,
  stringMap,
  uint32,
  wholeDuration,
} from './fields.js';

const failover = z.array(z.strictObject({ from: z.string().optional(), to: z.string().optional() }));

/** Istio LocalityLoadBalancerSetting. */
export const localityLbSetting = z.strictObject({
  distribute: z
    .array(z.strictObject({ from: z.string().optional(), to: mapOf(uint32).optional() }))
    .optional(),
  failover: failover.optional(),
  failoverPriority: z.array(z.string()).optional(),
  enabled: z.boolean().optional(),
});

/** Istio ZoneAwareLoadBalancerSetting. */
export const zoneAwareLbSetting = z.strictObject({
  enabled: z.boolean().optional(),
  failover: failover.optional(),
  failoverPriority: z.array(z.string()).optional(),
  minClusterSize: z.int().min(1).optional(),
});

const consistentHash = z.strictObject({
  httpHeaderName: z.string().optional(),
  httpCookie: z
    .strictObject({
      name: z.string(),
      path: z.string().optional(),
      ttl: duration.optional(),
      attributes: z.array(z.strictObject({ name: z.string(), value: z.string().optional() })).optional(),
    })
    .optional(),
  useSourceIp: z.boolean().optional(),
  httpQueryParameterName: z.string().optional(),
  ringHash: z.strictObject({ minimumRingSize: z.int().min(0).optional() }).optional(),
  maglev: z.strictObject({ tableSize: z.int().min(0).optional() }).optional(),
  minimumRingSize: z.int().min(0).optional(),
});

const loadBalancer = z.strictObject({
  simple: z
    .enum(['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'])
    .optional(),
  consistentHash: consistentHash.optional(),
  localityLbSetting: localityLbSetting.optional(),
  zoneAwareLbSetting: zoneAwareLbSetting.optional(),
  warmupDurationSecs: positiveDuration.optional(),
  warmup: z
    .strictObject({
      duration: positiveDuration,
      minimumPercent: z.number().min(0).max(100).optional(),
      aggression: z.number().min(0).optional(),
    })
    .optional(),
});

/** Istio TcpKeepalive. */
export const tcpKeepalive = z.strictObject({
  probes: uint32.optional(),
  time: positiveDuration.optional(),
  interval: positiveDuration.optional(),
});

/** Istio ConnectionPoolSettings. */
export const connectionPool = z.strictObject({
  tcp: z
    .strictObject({
      maxConnections: int32(0).optional(),
      connectTimeout: positiveDuration.optional(),
      tcpKeepalive: tcpKeepalive.optional(),
      maxConnectionDuration: positiveDuration.optional(),
      idleTimeout: wholeDuration.optional(),
    })
    .optional(),
  http: z
    .strictObject({
      http1MaxPendingRequests: int32(0).optional(),
      http2MaxRequests: int32(0).optional(),
      maxRequestsPerConnection: int32(0, 2 ** 29).optional(),
      maxRetries: int32(0).optional(),
      idleTimeout: positiveDuration.optional(),
      h2UpgradePolicy: z.enum(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE']).optional(),
      useClientProtocol: z.boolean().optional(),
      maxConcurrentStreams: int32(0).optional(),
      http2KeepAlive: z.strictObject({ interval: positiveDuration, timeout: positiveDuration }).optional(),
    })
    .optional(),
});

/** Istio OutlierDetection. */
export const outlierDetection = z.strictObject({
  consecutiveErrors: int32(0).optional(),
  splitExternalLocalOriginErrors: z.boolean().optional(),
  consecutiveLocalOriginFailures: uint32.optional(),
  consecutiveGatewayErrors: uint32.optional(),
  consecutive5xxErrors: uint32.optional(),
  interval: positiveDuration.optional(),
  baseEjectionTime: positiveDuration.optional(),
  maxEjectionPercent: int32(0, 100).optional(),
  minHealthPercent: int32(0, 100).optional(),
  outlierDetectionHttpErrorCodes: z.array(uint32).optional(),
});

/** Istio ClientTLSSettings. */
export const clientTls = z.strictObject({
  mode: z.enum(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL']).optional(),
  clientCertificate: z.string().optional(),
  privateKey: z.string().optional(),
  caCertificates: z.string().optional(),
  credentialName: z.string().optional(),
  subjectAltNames: z.array(z.string()).optional(),
  sni: z.string().optional(),
  insecureSkipVerify: z.boolean().optional(),
  caCrl: z.string().optional(),
});

const policyParts = {
  loadBalancer: loadBalancer.optional(),
  connectionPool: connectionPool.optional(),
  outlierDetection: outlierDetection.optional(),
  tls: clientTls.optional(),
};

/** Istio TrafficPolicy. */
export const trafficPolicy = z.strictObject({
  ...policyParts,
  portLevelSettings: z
    .array(z.strictObject({ port: portSelector.optional(), ...policyParts }))
    .max(4096)
    .optional(),
  tunnel: z
    .strictObject({ protocol: z.string().optional(), targetHost: z.string(), targetPort: uint32 })
    .optional(),
  proxyProtocol: z.strictObject({ version: z.enum(['V1', 'V2']).optional() }).optional(),
  retryBudget: z
    .strictObject({
      percent: z.number().min(0).max(100).optional(),
      minRetryConcurrency: uint32.optional(),
      budgetInterval: wholeDuration.optional(),
    })
    .optional(),
});

/** Istio DestinationRule: every field; durations are milliseconds. */
export const destinationRuleSchema = z.strictObject({
  host: z.string(),
  trafficPolicy: trafficPolicy.optional(),
  subsets: z
    .array(
      z.strictObject({
        name: z.string(),
        labels: stringMap.optional(),
        trafficPolicy: trafficPolicy.optional(),
      }),
    )
    .optional(),
  exportTo: exportTo.optional(),
  workloadSelector: matchLabelsSelector.optional(),
});
