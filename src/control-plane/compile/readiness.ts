import { istioId } from '../../identity/spiffe-id.js';
import { type Cluster, DEFAULT_THRESHOLDS } from '../../model/cluster.js';
import { NO_LOCALITY } from '../../model/endpoint.js';
import type { HealthCheck, HealthChecker } from '../../model/health-check.js';
import { NO_METADATA } from '../../model/metadata.js';
import type { Node } from '../../model/node.js';
import type { UpstreamTls } from '../../model/tls.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../model/upstream-protocol.js';
import type { WorkloadGroupSpec } from '../kinds/types.js';
import type { MtlsMode } from './peer-authentication.js';

type Probe = NonNullable<WorkloadGroupSpec['probe']>;

const LOCALHOST = '127.0.0.1';

/** Whose probe it is. */
export interface ProbedNode {
  readonly metadata: Node['metadata'];
  readonly trustDomain: string;
  /** How a port that the node serves itself is spoken to; undefined = it does not serve it. */
  readonly modeOf: (port: number) => MtlsMode | undefined;
}

/**
 * How a workload asks itself for its health (Istio ReadinessProbe): the cluster of this one host. Ports that it serves in the
 * mesh are asked with its own certificate. Undefined where nothing can be asked.
 */
export function readinessOf(probe: Probe, node: ProbedNode): Cluster | undefined {
  const asked = askedBy(probe);
  if (asked === undefined) return undefined;
  const { host = LOCALHOST, port, checker } = asked;
  const mode = node.modeOf(port);
  const tls = asked.isTls ? INSECURE : mode !== undefined && mode !== 'DISABLE' ? ownTls(node) : undefined;
  const address = host === '' || host === 'localhost' ? LOCALHOST : host;
  return {
    name: 'readiness',
    discovery: {
      kind: 'static',
      assignment: {
        clusterName: 'readiness',
        localities: [
          {
            locality: NO_LOCALITY,
            priority: 0,
            weight: undefined,
            metadata: NO_METADATA,
            endpoints: [
              {
                address: { address, port },
                hostname: '',
                health: 'unknown',
                weight: 1,
                transportSocketMatch: {},
                metadata: NO_METADATA,
              },
            ],
          },
        ],
        overprovisioningFactor: 140,
        weightedPriorityHealth: false,
      },
    },
    lbPolicy: { kind: 'round-robin' },
    connectTimeoutMs: 1000 * (probe.timeoutSeconds || 1),
    circuitBreakers: { default: DEFAULT_THRESHOLDS, high: DEFAULT_THRESHOLDS },
    outlierDetection: undefined,
    tls,
    transportSocketMatches: [],
    panicThresholdPercent: 50,
    idleTimeoutMs: 3_600_000,
    maxRequestsPerConnection: 0,
    metadata: NO_METADATA,
    ...(checker.kind === 'grpc' && { protocol: HTTP2 }),
    healthCheck: checkOf(probe, checker),
  };
}

const HTTP2 = {
  kind: 'http2' as const,
  http2: DEFAULT_HTTP2_OPTIONS,
};

/** Istio: whoever answers is asked; it is the process itself. */
const INSECURE: UpstreamTls = {
  mode: 'simple',
  sni: undefined,
  subjectAltNames: [],
  alpn: [],
  roots: 'none',
};

function ownTls({ metadata, trustDomain }: ProbedNode): UpstreamTls {
  const id = istioId(trustDomain, metadata.NAMESPACE || 'default', metadata.SERVICE_ACCOUNT || 'default');
  return {
    mode: 'mesh',
    sni: 'readiness',
    subjectAltNames: [{ kind: 'exact', value: id.toString(), ignoreCase: false }],
    alpn: ['http/1.1'],
  };
}

interface Asked {
  readonly host?: string | undefined;
  readonly port: number;
  readonly isTls: boolean;
  readonly checker: HealthChecker;
}

function askedBy({ httpGet, tcpSocket, grpc }: Probe): Asked | undefined {
  if (httpGet !== undefined) {
    const headers = (httpGet.httpHeaders ?? []).map(({ name = '', value = '' }) => [name, value] as const);
    const host = headers.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? 'localhost';
    const checker: HealthChecker = {
      kind: 'http',
      host,
      path: httpGet.path || '/',
      method: 'GET',
      send: undefined,
      receive: [],
      responseBufferBytes: 1024,
      headers: {
        remove: [],
        add: headers
          .filter(([name]) => name.toLowerCase() !== 'host')
          .map(([name, value]) => ({
            name: name.toLowerCase(),
            value: value.replaceAll('%', '%%'),
            action: 'append-if-exists-or-add' as const,
            keepEmpty: false,
          })),
      },
      expectedStatuses: [{ start: 200, end: 400 }],
      retriableStatuses: [],
      serviceName: undefined,
    };
    return { host: httpGet.host, port: httpGet.port, isTls: httpGet.scheme === 'HTTPS', checker };
  }
  if (tcpSocket !== undefined) {
    const checker = { kind: 'tcp' as const, send: undefined, receive: [] };
    return { host: tcpSocket.host, port: tcpSocket.port, isTls: false, checker };
  }
  if (grpc?.port === undefined) return undefined;
  const checker = {
    kind: 'grpc' as const,
    serviceName: grpc.service ?? '',
    authority: 'localhost',
    metadata: [],
  };
  return { port: grpc.port, isTls: false, checker };
}

/** Istio: every 10 s, within 1 s; one success makes it ready, three failures in a row unready. */
function checkOf(probe: Probe, checker: HealthChecker): HealthCheck {
  const intervalMs = 1000 * (probe.periodSeconds || 10);
  return {
    timeoutMs: 1000 * (probe.timeoutSeconds || 1),
    intervalMs,
    initialJitterMs: 0,
    intervalJitterMs: 0,
    intervalJitterPercent: 0,
    unhealthyThreshold: probe.failureThreshold || 3,
    healthyThreshold: probe.successThreshold || 1,
    noTrafficIntervalMs: intervalMs,
    noTrafficHealthyIntervalMs: intervalMs,
    unhealthyIntervalMs: intervalMs,
    unhealthyEdgeIntervalMs: intervalMs,
    healthyEdgeIntervalMs: intervalMs,
    reuseConnection: false,
    alwaysLogFailures: false,
    alwaysLogSuccess: false,
    alpn: [],
    transportSocketMatch: undefined,
    checker,
  };
}
