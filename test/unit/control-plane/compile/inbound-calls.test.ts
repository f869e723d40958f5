import { describe, expect, test } from 'vitest';
import { formatViolations } from '../../../../src/control-plane/schema/format.js';
import { type CompiledJson, compileFor } from '../../../../src/control-plane.js';
import { type SimulatedCall, type SimulatedResult, simulateCall } from '../../../vectors/simulate-call.js';

// Calls to an application with an Envoy before it, followed through what is compiled. Names are Istio's.

const AUTO = 7000;
const HTTP = 8000;
const GRPC = 8500;
const TCP = 9000;
const HTTPS = 9443;
/** No service has it. */
const UNKNOWN = 5050;

const SERVICE = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'cart', namespace: 'default' },
  spec: {
    selector: { app: 'cart' },
    ports: [
      { port: 70, targetPort: AUTO, name: 'any' },
      { port: 80, targetPort: HTTP, name: 'http' },
      { port: 85, targetPort: GRPC, name: 'grpc' },
      { port: 90, targetPort: TCP, name: 'tcp' },
      { port: 443, targetPort: HTTPS, name: 'https' },
    ],
  },
});

type Mode = 'STRICT' | 'PERMISSIVE' | 'DISABLE' | 'UNSET';

function peers(
  mode: Mode,
  {
    namespace = 'default',
    selects = true,
    ports,
  }: {
    readonly namespace?: string;
    readonly selects?: boolean;
    readonly ports?: Readonly<Record<number, Mode>>;
  } = {},
): string {
  const portLevelMtls =
    ports && Object.fromEntries(Object.entries(ports).map(([port, one]) => [port, { mode: one }]));
  return JSON.stringify({
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name: `own-${selects}`, namespace },
    spec: {
      ...(selects && { selector: { matchLabels: { app: 'cart' } } }),
      mtls: { mode },
      ...(portLevelMtls && { portLevelMtls }),
    },
  });
}

function compiled(documents: readonly string[]): CompiledJson {
  const file = { file: 'mesh.yaml', content: documents.join('\n---\n') };
  const target = {
    profile: 'envoy',
    type: 'sidecar',
    labels: { app: 'cart' },
    address: '192.0.2.7',
  } as const;
  const result = compileFor({ files: [file] }, target);
  if (!result.accepted) throw new Error(formatViolations(result.violations));
  return result.resources;
}

function follow(documents: readonly string[], call: SimulatedCall): SimulatedResult {
  return simulateCall(compiled(documents), { ...call, callMode: 'inbound' });
}

/** What a client may do. */
const CLIENTS = {
  /** HTTP in plaintext. */
  http: { protocol: 'HTTP', tls: 'Plaintext' },
  http2: { protocol: 'HTTP2', tls: 'Plaintext' },
  /** Other bytes in plaintext. */
  bytes: { protocol: 'TCP', tls: 'Plaintext' },
  /** A member of the mesh that knows it sends HTTP, and offers the names of our clusters. */
  member: { protocol: 'HTTP', tls: 'MTLS', alpn: 'istio-http/1.1,istio,http/1.1' },
  memberHttp2: { protocol: 'HTTP2', tls: 'MTLS', alpn: 'istio-h2,istio,h2' },
  /** One that sends bytes. */
  memberBytes: { protocol: 'TCP', tls: 'MTLS', alpn: 'istio' },
  /** TLS of the application: no name of the mesh, no certificate of it. */
  ownTls: { protocol: 'TCP', tls: 'TLS', alpn: 'http/1.1', sni: 'cart.example' },
} satisfies Record<string, Omit<SimulatedCall, 'port'>>;

type Client = keyof typeof CLIENTS;

/** To the application as requests, or as bytes; or what is wrong. */
type Outcome = 'requests' | 'bytes' | 'no chain' | 'no mTLS' | 'no HTTP';

function outcomeOf({ error, clusterMatched, virtualHostMatched }: SimulatedResult): Outcome | string {
  if (error === 'no filter chains matched') return 'no chain';
  if (error === 'invalid mTLS') return 'no mTLS';
  if (error === 'protocol error') return 'no HTTP';
  if (error !== undefined) return error;
  if (clusterMatched === undefined) return 'no cluster';
  return virtualHostMatched === undefined ? 'bytes' : 'requests';
}

type Row = Readonly<Record<Client, Outcome>>;

const STRICT_HTTP: Row = {
  http: 'no chain',
  http2: 'no chain',
  bytes: 'no chain',
  member: 'requests',
  memberHttp2: 'requests',
  memberBytes: 'no HTTP',
  ownTls: 'no mTLS',
};
const STRICT_TCP: Row = {
  ...STRICT_HTTP,
  member: 'bytes',
  memberHttp2: 'bytes',
  memberBytes: 'bytes',
};
const STRICT_AUTO: Row = { ...STRICT_HTTP, memberBytes: 'bytes' };
const PERMISSIVE_HTTP: Row = {
  http: 'requests',
  http2: 'requests',
  bytes: 'no HTTP',
  member: 'requests',
  memberHttp2: 'requests',
  memberBytes: 'no HTTP',
  // What says that it is HTTP has no TLS of its own.
  ownTls: 'no chain',
};
const ALL_BYTES: Row = {
  http: 'bytes',
  http2: 'bytes',
  bytes: 'bytes',
  member: 'bytes',
  memberHttp2: 'bytes',
  memberBytes: 'bytes',
  ownTls: 'bytes',
};
const PERMISSIVE_AUTO: Row = {
  http: 'requests',
  http2: 'requests',
  bytes: 'bytes',
  member: 'requests',
  memberHttp2: 'requests',
  memberBytes: 'bytes',
  ownTls: 'bytes',
};
const DISABLE_HTTP: Row = {
  http: 'requests',
  http2: 'requests',
  bytes: 'no HTTP',
  // Nobody looks for TLS there.
  member: 'no HTTP',
  memberHttp2: 'no HTTP',
  memberBytes: 'no HTTP',
  ownTls: 'no HTTP',
};
const DISABLE_AUTO: Row = { ...ALL_BYTES, http: 'requests', http2: 'requests' };

const TABLE = {
  STRICT: { http: STRICT_HTTP, tcp: STRICT_TCP, auto: STRICT_AUTO },
  PERMISSIVE: { http: PERMISSIVE_HTTP, tcp: ALL_BYTES, auto: PERMISSIVE_AUTO },
  DISABLE: { http: DISABLE_HTTP, tcp: ALL_BYTES, auto: DISABLE_AUTO },
} as const;

const PORTS = [
  [AUTO, 'auto'],
  [HTTP, 'http'],
  [GRPC, 'http'],
  [TCP, 'tcp'],
  [HTTPS, 'tcp'],
  [UNKNOWN, 'auto'],
] as const;

function rowOf(documents: readonly string[], port: number): Record<string, string> {
  const resources = compiled(documents);
  return Object.fromEntries(
    Object.entries(CLIENTS).map(([name, call]) => [
      name,
      outcomeOf(simulateCall(resources, { ...call, port, callMode: 'inbound' })),
    ]),
  );
}

/** Ways to say a mode for one port. */
const SAYINGS: Readonly<Record<string, (mode: Mode, port: number) => readonly string[]>> = {
  'of the mesh': (mode) => [peers(mode, { namespace: 'istio-system', selects: false })],
  'of the namespace': (mode) => [
    peers('DISABLE', { namespace: 'istio-system', selects: false }),
    peers(mode, { selects: false }),
  ],
  'of the workload': (mode) => [peers('STRICT', { selects: false }), peers(mode)],
  'of the port, among others that are STRICT': (mode, port) => [peers('STRICT', { ports: { [port]: mode } })],
  'of the port, among others that are DISABLE': (mode, port) => [
    peers('DISABLE', { ports: { [port]: mode } }),
  ],
  'of all ports but one': (mode, port) => [
    peers(mode, { ports: { [port + 1]: mode === 'STRICT' ? 'DISABLE' : 'STRICT' } }),
  ],
};

describe.each(['STRICT', 'PERMISSIVE', 'DISABLE'] as const)('the mode %s', (mode) => {
  describe.each(Object.keys(SAYINGS))('%s', (saying) => {
    test.each(PORTS)('on the port %i (%s)', (port, protocol) => {
      const documents = [SERVICE, ...(SAYINGS[saying]?.(mode, port) ?? [])];
      expect(rowOf(documents, port)).toEqual(TABLE[mode][protocol]);
    });
  });
});

test('nobody says anything: PERMISSIVE', () => {
  expect(rowOf([SERVICE], HTTP)).toEqual(PERMISSIVE_HTTP);
  expect(rowOf([SERVICE], UNKNOWN)).toEqual(PERMISSIVE_AUTO);
});

test('names of listener, chain, table and cluster', () => {
  const call = { ...CLIENTS.member, port: HTTP };
  expect(follow([SERVICE], call)).toEqual({
    listenerMatched: 'virtualInbound',
    filterChainMatched: '0.0.0.0_8000',
    routeConfigMatched: undefined,
    virtualHostMatched: 'inbound|http|80',
    routeMatched: 'default',
    clusterMatched: 'inbound|8000||',
  });
  expect(follow([SERVICE], { ...call, port: UNKNOWN })).toMatchObject({
    filterChainMatched: 'virtualInbound-catchall-http',
    virtualHostMatched: 'inbound|http|0',
    clusterMatched: 'InboundPassthroughCluster',
  });
  expect(follow([SERVICE], { ...CLIENTS.bytes, port: UNKNOWN })).toEqual({
    listenerMatched: 'virtualInbound',
    filterChainMatched: 'virtualInbound',
    clusterMatched: 'InboundPassthroughCluster',
  });
});

test.each(Object.keys(CLIENTS) as Client[])('a call to the listener itself goes nowhere: %s', (client) => {
  for (const documents of [[SERVICE], [SERVICE, peers('STRICT', { ports: { 15006: 'DISABLE' } })]]) {
    expect(follow(documents, { ...CLIENTS[client], port: 15_006 })).toMatchObject({
      filterChainMatched: 'virtualInbound-blackhole',
      clusterMatched: 'BlackHoleCluster',
    });
  }
});

const sidecar = (ingress: readonly object[], more: object = {}) =>
  JSON.stringify({
    apiVersion: 'networking.istio.io/v1',
    kind: 'Sidecar',
    metadata: { name: 'own', namespace: 'default' },
    spec: { workloadSelector: { labels: { app: 'cart' } }, ingress, egress: [{ hosts: ['*/*'] }], ...more },
  });

describe('a Sidecar', () => {
  const ingress = {
    port: { number: 6000, protocol: 'HTTP', name: 'http' },
    defaultEndpoint: '127.0.0.1:6001',
  };

  test('has its ports in the place of those of services', () => {
    const documents = [SERVICE, sidecar([ingress])];
    expect(follow(documents, { ...CLIENTS.http, port: 6000 })).toMatchObject({
      filterChainMatched: '0.0.0.0_6000',
      virtualHostMatched: 'inbound|http|6000',
      clusterMatched: 'inbound|6000||',
    });
    expect(follow(documents, { ...CLIENTS.http, port: HTTP })).toMatchObject({
      clusterMatched: 'InboundPassthroughCluster',
    });
  });

  test('has sockets of its own where nothing is captured for it', () => {
    const documents = [sidecar([{ ...ingress, captureMode: 'NONE', bind: '192.0.2.7' }]), peers('STRICT')];
    expect(follow(documents, { ...CLIENTS.member, port: 6000 })).toMatchObject({
      listenerMatched: '192.0.2.7_6000',
      clusterMatched: 'inbound|6000||',
    });
    expect(outcomeOf(follow(documents, { ...CLIENTS.http, port: 6000 }))).toBe('no chain');
  });

  const tls = { mode: 'SIMPLE', serverCertificate: '/c.pem', privateKey: '/k.pem' };
  const own = (protocol: string, settings: object = tls) =>
    sidecar([{ ...ingress, port: { number: 6000, protocol, name: 'p' }, tls: settings }]);
  const mutual = { ...tls, mode: 'MUTUAL', caCertificates: '/ca.pem' };

  test('ends TLS with its own certificate where the mesh ends none', () => {
    const documents = [own('HTTPS'), peers('DISABLE')];
    const call = { protocol: 'HTTP', tls: 'TLS', alpn: 'http/1.1', port: 6000 };
    expect(outcomeOf(follow(documents, call))).toBe('requests');
    expect(outcomeOf(follow([own('TLS'), peers('DISABLE')], call))).toBe('bytes');
    expect(outcomeOf(follow(documents, { ...CLIENTS.http, port: 6000 }))).toBe('no chain');
    expect(outcomeOf(follow([own('HTTPS', mutual), peers('DISABLE')], call))).toBe('no mTLS');
    expect(outcomeOf(follow([own('HTTPS', mutual), peers('DISABLE')], { ...call, tls: 'MTLS' }))).toBe(
      'requests',
    );
  });

  test('leaves TLS to the mesh elsewhere', () => {
    const call = { ...CLIENTS.member, port: 6000 };
    expect(outcomeOf(follow([own('HTTPS'), peers('STRICT')], call))).toBe('requests');
    expect(outcomeOf(follow([own('HTTPS'), peers('STRICT')], { ...CLIENTS.ownTls, port: 6000 }))).toBe(
      'no mTLS',
    );
  });
});
