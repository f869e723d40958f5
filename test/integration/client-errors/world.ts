import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type Server } from 'node:net';
import { MeshDispatcher } from '../../../src/bindings/undici/dispatcher.js';
import { BLOCK_HOST, unknownHosts } from '../../../src/control-plane/compile/outbound-policy.js';
import { loadFailureRateBreakers } from '../../../src/filters/failure-rate-breaker.js';
import { createMeshTls } from '../../../src/identity/tls-options.js';
import type { MeshCore } from '../../../src/mesh/core.js';
import { type Cluster, DEFAULT_THRESHOLDS } from '../../../src/model/cluster.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import { ALWAYS } from '../../../src/model/percent.js';
import type { RetryPolicy } from '../../../src/model/retry.js';
import type { Route } from '../../../src/model/route.js';
import type { ResolvedCluster, ResolvedOutbound } from '../../../src/model/snapshot.js';
import { DEFAULT_HTTP2_OPTIONS } from '../../../src/model/upstream-protocol.js';
import { systemClock } from '../../../src/runtime/clock.js';
import { createTestCa } from '../../../src/testing/test-ca.js';
import { closedPort, listen, portOf } from '../http-agent/support.js';
import { World as MeshWorld, service } from '../mesh/features-world.js';
import { joinQuietly } from '../mesh/support.js';
import { cluster, createStaticMesh, endpoint, forward, host, snapshotOf } from '../support/static-mesh.js';
import { startFaultyServer } from './faulty-server.js';

/** Where a request goes to get into a situation, and what is special about it. */
export interface Scene {
  readonly core: MeshCore;
  readonly url: string;
  readonly isGrpc?: boolean;
  /** A body of 200,000 bytes. */
  readonly largeBody?: boolean;
  /** A body that fails in its middle. */
  readonly brokenBody?: boolean;
  readonly abort?: 'before' | 'during';
  /** The same without the mesh, where there is such a thing. */
  readonly direct?: string;
}

export interface Stage {
  readonly scenes: ReadonlyMap<string, Scene>;
  /** Permits of circuit breakers that are held now. */
  activeRequests(): number;
  close(): Promise<void>;
}

const NO_RETRY: RetryPolicy = {
  retryOn: [],
  numRetries: 0,
  perTryTimeoutMs: undefined,
  retriableStatusCodes: [],
  baseIntervalMs: 1,
  maxIntervalMs: 1,
  avoidPreviousHosts: false,
  hostSelectionAttempts: 1,
};
const NO_REQUESTS = { ...DEFAULT_THRESHOLDS, maxRequests: 0 };
const MESH_TLS = { mode: 'mesh', sni: undefined, alpn: [] } as const;
const SIMPLE_TLS = { mode: 'simple', sni: undefined, alpn: [], subjectAltNames: [] } as const;

/** A host of the mesh with a cluster of its own. */
interface Setup {
  readonly id: string;
  /** Default: that of the faulty server, `never`. */
  readonly path?: string;
  readonly route?: Parameters<typeof forward>[1];
  readonly routes?: readonly Route[];
  readonly filters?: readonly FilterConfig[];
  readonly ports?: readonly number[];
  readonly cluster?: Partial<Cluster> | 'none';
  readonly scene?: Omit<Scene, 'core' | 'url'>;
}

/** Starts everything that can go wrong. */
export async function startStage(): Promise<Stage> {
  const closing: (() => unknown)[] = [];
  const faulty = await startFaultyServer();
  closing.push(() => faulty.close());
  const ca = await createTestCa();
  const { port } = faulty;
  const closed = await closedPort();
  const servers = await startServers(ca, closing);
  const at = (path: string) => ({ path, scene: { direct: `http://127.0.0.1:${port}/${path}` } });
  const setups: readonly Setup[] = [
    { id: 'no-route', routes: [] },
    { id: 'no-cluster', cluster: 'none' },
    { id: 'no-healthy-upstream', ports: [] },
    { id: 'connect-refused', ports: [closed], scene: { direct: `http://127.0.0.1:${closed}/` } },
    { id: 'connect-timeout', ports: [servers.silent], cluster: { tls: SIMPLE_TLS, connectTimeoutMs: 100 } },
    { id: 'closed-before-head', ...at('close') },
    { id: 'reset-before-head', ...at('reset') },
    { id: 'closed-in-body', ...at('begin-close') },
    { id: 'reset-in-body', ...at('begin-reset') },
    { id: 'garbage', ...at('garbage') },
    { id: 'garbage-in-body', ...at('begin-garbage') },
    {
      id: 'untrusted',
      ports: [servers.https],
      cluster: { tls: SIMPLE_TLS },
      scene: { direct: `https://127.0.0.1:${servers.https}/` },
    },
    {
      id: 'no-tls',
      path: 'garbage',
      cluster: { tls: SIMPLE_TLS },
      scene: { direct: `https://127.0.0.1:${port}/garbage` },
    },
    {
      id: 'wrong-identity',
      ports: [servers.mesh],
      cluster: {
        tls: {
          ...MESH_TLS,
          subjectAltNames: [
            { kind: 'exact', value: 'spiffe://cluster.local/ns/default/sa/other', ignoreCase: false },
          ],
        },
      },
    },
    { id: 'h2-refused', path: 'refuse', ports: [servers.http2], cluster: http2 },
    { id: 'h2-reset', path: 'reset', ports: [servers.http2], cluster: http2 },
    { id: 'h2-reset-in-body', path: 'begin-reset', ports: [servers.http2], cluster: http2 },
    { id: 'timeout', path: 'never', route: { timeoutMs: 60 } },
    { id: 'timeout-in-body', path: 'begin', route: { timeoutMs: 250 } },
    { id: 'idle-timeout', path: 'begin', route: { idleTimeoutMs: 250 } },
    {
      id: 'per-try-timeout',
      path: 'never',
      route: { retryPolicy: { ...NO_RETRY, retryOn: ['5xx'], numRetries: 1, perTryTimeoutMs: 30 } },
    },
    {
      id: 'retries-exhausted',
      path: 'busy',
      route: { retryPolicy: { ...NO_RETRY, retryOn: ['5xx'], numRetries: 1 } },
    },
    {
      id: 'retry-overflow',
      path: 'busy',
      route: { retryPolicy: { ...NO_RETRY, retryOn: ['5xx'], numRetries: 1 } },
      cluster: {
        circuitBreakers: { default: { ...DEFAULT_THRESHOLDS, maxRetries: 0 }, high: DEFAULT_THRESHOLDS },
      },
    },
    { id: 'overflow', cluster: { circuitBreakers: { default: NO_REQUESTS, high: NO_REQUESTS } } },
    { id: 'breaker-open', path: 'busy' },
    { id: 'fault', filters: [fault({ kind: 'http', code: 418 })] },
    { id: 'fault-grpc', filters: [fault({ kind: 'grpc', code: 8 })], scene: { isGrpc: true } },
    { id: 'no-route-grpc', routes: [], scene: { isGrpc: true } },
    {
      id: 'too-large',
      filters: [{ kind: 'buffer', maxRequestBytes: 100_000 }],
      scene: { largeBody: true },
    },
    { id: 'rate-limited', filters: [RATE_LIMIT] },
    { id: 'rbac-denied', filters: [DENY_ALL] },
    {
      id: 'direct-response',
      routes: [{ ...forward(''), action: { kind: 'direct-response', status: 200, body: 'here' } }],
    },
    {
      id: 'redirect',
      routes: [
        {
          ...forward(''),
          action: {
            kind: 'redirect',
            status: 302,
            scheme: undefined,
            https: false,
            host: 'other',
            port: 0,
            path: undefined,
            stripQuery: false,
          },
        },
      ],
    },
    {
      id: 'aborted-before-head',
      path: 'never',
      scene: { abort: 'before', direct: `http://127.0.0.1:${port}/never` },
    },
    {
      id: 'aborted-in-body',
      path: 'begin',
      scene: { abort: 'during', direct: `http://127.0.0.1:${port}/begin` },
    },
    {
      id: 'request-body-failed',
      path: 'never',
      scene: { brokenBody: true, direct: `http://127.0.0.1:${port}/never` },
    },
  ];
  const breakers = await loadFailureRateBreakers(systemClock);
  closing.push(() => breakers.close());
  const mesh = createStaticMesh(
    snapshotOf(
      [...setups.map(hostOf), BLOCKED],
      setups.flatMap((one) => clusterOf(one, port)),
    ),
    {},
    ca.source('client'),
    {
      failureRateBreaker: (name) =>
        name === 'breaker-open'
          ? breakers.filter(name, { minimumRequests: 1, errorThresholdPercentage: 1 })
          : undefined,
    },
  );
  closing.push(() => mesh.close());
  const scenes = new Map<string, Scene>(
    setups.map(({ id, path = '', scene }) => [
      id,
      { core: mesh.core, url: `http://${id}/${path}`, ...scene },
    ]),
  );
  scenes.set('blocked', { core: mesh.core, url: 'http://somewhere.example/' });
  scenes.set('not-configured', { core: await notConfigured(closed, closing), url: 'http://service.mesh/' });
  scenes.set('closed', { core: await closedMesh(closing), url: 'http://service/' });
  // Opens the breaker.
  await fetch('http://breaker-open/busy', {
    dispatcher: new MeshDispatcher(mesh),
  } as unknown as RequestInit).then((response) => response.text());
  return {
    scenes,
    activeRequests: () =>
      [...mesh.clusters.values()].reduce((sum, one) => sum + one.breakers.default.requests.active, 0),
    async close() {
      for (const close of closing.reverse()) await close();
    },
  };
}

const http2: Partial<Cluster> = { protocol: { kind: 'http2', http2: DEFAULT_HTTP2_OPTIONS } };

const BLOCKED: ResolvedOutbound = unknownHosts(BLOCK_HOST);

function fault(status: { kind: 'http' | 'grpc'; code: number }): FilterConfig {
  return {
    kind: 'fault',
    delay: undefined,
    abort: { status, percentage: ALWAYS },
    upstreamCluster: '',
    headers: [],
    maxActiveFaults: undefined,
  };
}

const RATE_LIMIT: FilterConfig = {
  kind: 'local-rate-limit',
  statPrefix: 'x',
  status: 429,
  bucket: { maxTokens: 0, tokensPerFill: 1, fillIntervalMs: 60_000 },
  enabled: ALWAYS,
  enforced: ALWAYS,
  requestHeadersWhenNotEnforced: [],
  responseHeaders: [],
  descriptors: [],
  maxDynamicDescriptors: 20,
  stage: 0,
  rateLimits: undefined,
  virtualHostRateLimits: 'override',
  perConnection: false,
  rateLimitHeaders: true,
  alwaysConsumeDefault: true,
  resourceExhausted: false,
};

const DENY_ALL: FilterConfig = {
  kind: 'rbac',
  rules: {
    action: 'deny',
    policies: [{ name: 'nobody', permissions: [{ kind: 'any' }], principals: [{ kind: 'any' }] }],
  },
  shadowRules: undefined,
  rulesStatPrefix: '',
  shadowRulesStatPrefix: '',
  trackPerRuleStats: false,
};

function hostOf({ id, route, routes, filters = [] }: Setup): ResolvedOutbound {
  const plain = { timeoutMs: 0, retryPolicy: NO_RETRY };
  const made = host(`${id}:80`, routes ?? [forward(id, { ...plain, ...route })]);
  const http = {
    ...made.listener.http,
    filters: [
      ...filters.map((config) => ({ name: config.kind, config })),
      { name: 'router', config: { kind: 'router' as const } },
    ],
  };
  return { ...made, listener: { ...made.listener, http } };
}

function clusterOf({ id, ports, cluster: change = {} }: Setup, port: number): ResolvedCluster[] {
  if (change === 'none') return [];
  return [
    cluster(
      id,
      (ports ?? [port]).map((one) => endpoint(one)),
      change,
    ),
  ];
}

async function startServers(ca: Awaited<ReturnType<typeof createTestCa>>, closing: (() => unknown)[]) {
  const stranger = ca.certificate('stranger', {});
  const https = createHttpsServer(
    { key: stranger.privateKey.export({ type: 'pkcs8', format: 'pem' }), cert: stranger.pem },
    (_, response) => response.end(),
  );
  const tls = createMeshTls(ca.source('reviews'), { clock: systemClock });
  const meshed = createHttpsServer(tls.serverOptions({ alpn: [] }), (_, response) => response.end());
  const h2 = createHttp2Server();
  h2.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    if (headers[':path'] === '/begin-reset') {
      stream.respond({ ':status': 200 });
      stream.write('hello', () => setTimeout(() => stream.destroy(new Error('broken')), 20));
    } else stream.close(headers[':path'] === '/refuse' ? 7 : 2);
  });
  const sessions = new Set<{ destroy(): void }>();
  h2.on('session', (session) => sessions.add(session));
  const silent = createServer((socket) => socket.on('error', () => {}));
  const all: Server[] = [https, meshed, h2, silent];
  for (const one of all) await listen(one);
  closing.push(() => {
    tls.close();
    https.closeAllConnections();
    meshed.closeAllConnections();
    for (const one of sessions) one.destroy();
    for (const one of all) one.close();
  });
  return { https: portOf(https), mesh: portOf(meshed), http2: portOf(h2), silent: portOf(silent) };
}

async function notConfigured(port: number, closing: (() => unknown)[]): Promise<MeshCore> {
  const mesh = await joinQuietly({
    service: 'client',
    controlPlane: `127.0.0.1:${port}`,
    startupTimeoutMs: 0,
    configurationTimeoutMs: 100,
  });
  closing.push(() => mesh.close());
  return mesh.core;
}

async function closedMesh(closing: (() => unknown)[]): Promise<MeshCore> {
  const world = await MeshWorld.start(service('service'));
  closing.push(() => world.close());
  const mesh = await world.join();
  await mesh.ready();
  await mesh.close();
  return mesh.core;
}
