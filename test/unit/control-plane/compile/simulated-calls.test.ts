import { describe, expect, test } from 'vitest';
import { formatViolations } from '../../../../src/control-plane/schema/format.js';
import { type CompileTarget, compileFor } from '../../../../src/control-plane.js';
import { type SimulatedCall, type SimulatedResult, simulateCall } from '../../../vectors/simulate-call.js';

// Calls to gateways and to ports of workloads, followed through what is compiled. Names are Istio's.

interface Case {
  readonly name: string;
  readonly documents: readonly string[];
  readonly calls: readonly (readonly [SimulatedCall, SimulatedResult])[];
}

const document = (apiVersion: string, kind: string, metadata: object, spec: object) =>
  JSON.stringify({ apiVersion, kind, metadata, spec });
const networking = (kind: string, metadata: object, spec: object) =>
  document('networking.istio.io/v1', kind, metadata, spec);

interface Server {
  readonly port: number;
  readonly protocol?: string;
  readonly hosts: readonly string[];
  readonly tls?: object;
}

/** One that selects the gateway by its labels, or is for services by their hosts. */
function gateway(
  name: string,
  servers: readonly Server[],
  { namespace = 'edge', services = '' } = {},
): string {
  const annotations = services === '' ? {} : { 'internal.istio.io/gateway-service': services };
  return networking(
    'Gateway',
    { name, namespace, annotations },
    {
      ...(services === '' && { selector: { role: 'edge' } }),
      servers: servers.map(({ port, protocol = 'HTTP', hosts, tls }) => ({
        port: { number: port, name: `${protocol.toLowerCase()}-${port}`, protocol },
        hosts,
        ...(tls !== undefined && { tls }),
      })),
    },
  );
}

function front(host: string, port: number, targetPort: number, namespace = 'edge'): string {
  return networking(
    'ServiceEntry',
    { name: host.replaceAll('.', '-'), namespace },
    {
      hosts: [host],
      ports: [{ number: port, targetPort, name: 'http', protocol: 'HTTP' }],
      resolution: 'STATIC',
      location: 'MESH_INTERNAL',
      endpoints: [{ address: '192.0.2.7' }],
    },
  );
}

function routes(
  name: string,
  hosts: readonly string[],
  gateways: readonly string[],
  http: readonly object[],
  age = 0,
) {
  const metadata = { name, namespace: 'shop', creationTimestamp: `20${10 + age}-01-01T00:00:00Z` };
  return networking('VirtualService', metadata, { hosts, gateways, http });
}

const to = (host: string, port?: number, prefix?: string) => ({
  ...(prefix !== undefined && { match: [{ uri: { prefix } }] }),
  route: [{ destination: { host, ...(port !== undefined && { port: { number: port } }) } }],
});

const cluster = (name: string, port: number) => `outbound|${port}||${name}.shop.svc.cluster.local`;
const front1 = 'front.edge.svc.cluster.local';

const gatewayCases: readonly Case[] = [
  {
    name: 'paths and hosts that no route has',
    documents: [
      gateway('web', [{ port: 80, hosts: ['a.example'] }]),
      routes('r', ['*'], ['edge/web'], [{ ...to('cart', 9080), match: [{ uri: { exact: '/cart' } }] }]),
    ],
    calls: [
      [
        { port: 80, hostHeader: 'a.example' },
        { error: 'no route matched', virtualHostMatched: 'a.example:80' },
      ],
      [
        { port: 80, hostHeader: 'b.example' },
        { error: 'no virtual host matched', routeConfigMatched: 'http.80' },
      ],
      [
        { port: 80, hostHeader: 'a.example', path: '/cart' },
        {
          listenerMatched: '0.0.0.0_80',
          virtualHostMatched: 'a.example:80',
          clusterMatched: cluster('cart', 9080),
        },
      ],
      [{ port: 81, hostHeader: 'a.example' }, { error: 'no listener matched' }],
    ],
  },
  {
    name: 'hosts below the wildcard of a server',
    documents: [
      gateway('web', [{ port: 80, hosts: ['*.example'] }]),
      routes('a', ['a.example'], ['edge/web'], [to('a', 80, '/')]),
      routes('b', ['b.example'], ['edge/web'], [to('b', 80, '/')]),
    ],
    calls: [
      [{ port: 80, hostHeader: 'a.example' }, { clusterMatched: cluster('a', 80) }],
      [{ port: 80, hostHeader: 'b.example' }, { clusterMatched: cluster('b', 80) }],
      [{ port: 80, hostHeader: 'c.example' }, { error: 'no virtual host matched' }],
    ],
  },
  ...[true, false].map((hasRoutes) => ({
    name: `a redirect to HTTPS ${hasRoutes ? 'in place of routes' : 'without routes'}`,
    documents: [
      gateway('web', [{ port: 80, hosts: ['a.example'], tls: { httpsRedirect: true } }]),
      ...(hasRoutes ? [routes('a', ['a.example'], ['edge/web'], [to('a', 80, '/')])] : []),
    ],
    calls: [
      [
        { port: 80, hostHeader: 'a.example' },
        {
          error: 'tls required, sending 301',
          virtualHostMatched: 'a.example:80',
          routeConfigMatched: 'http.80',
        },
      ] as const,
    ],
  })),
  {
    name: 'a redirect to HTTPS where it is HTTPS already',
    documents: [
      gateway('web', [
        {
          port: 443,
          protocol: 'HTTPS',
          hosts: ['a.example'],
          tls: { httpsRedirect: true, mode: 'SIMPLE', credentialName: 'cert' },
        },
      ]),
      routes('a', ['a.example'], ['edge/web'], [to('a')]),
    ],
    calls: [
      [
        { port: 443, hostHeader: 'a.example', tls: 'TLS' },
        {
          listenerMatched: '0.0.0.0_443',
          routeConfigMatched: 'https.443.https-443.web.edge',
          virtualHostMatched: 'a.example:443',
          clusterMatched: cluster('a', 443),
        },
      ],
    ],
  },
  {
    name: 'of two gateways with a port of TCP the first by name and namespace',
    documents: [
      gateway('gw', [{ port: 80, protocol: 'TCP', hosts: ['*'] }]),
      gateway('gw', [{ port: 80, protocol: 'TCP', hosts: ['*'] }], { namespace: 'aaa' }),
      networking(
        'VirtualService',
        { name: 'tcp', namespace: 'shop' },
        {
          hosts: ['*'],
          gateways: ['edge/gw'],
          tcp: [{ route: [{ destination: { host: 'db', port: { number: 1 } } }] }],
        },
      ),
    ],
    calls: [[{ port: 80, protocol: 'TCP' }, { error: 'no listener matched' }]],
  },
  {
    name: 'the same server names in two rules for TLS',
    documents: [
      gateway('gw', [{ port: 443, protocol: 'HTTPS', hosts: ['*.example'], tls: { mode: 'PASSTHROUGH' } }]),
      ...['one', 'two'].map((name) =>
        networking(
          'VirtualService',
          { name, namespace: 'shop' },
          {
            hosts: ['a.example'],
            gateways: ['edge/gw'],
            tls: [
              {
                match: [{ port: 443, sniHosts: ['a.example'] }],
                route: [{ destination: { host: 'a', port: { number: 443 } } }],
              },
            ],
          },
        ),
      ),
    ],
    calls: [
      [
        { port: 443, protocol: 'HTTP', tls: 'TLS', hostHeader: 'a.example' },
        { listenerMatched: '0.0.0.0_443', clusterMatched: cluster('a', 443) },
      ],
    ],
  },
  {
    name: 'several rules for one host are joined, the oldest first',
    documents: [
      gateway('gw', [{ port: 80, hosts: ['a.example', 'b.example'] }]),
      routes('both', ['a.example', 'b.example'], ['edge/gw'], [to('both', undefined, '/1')], 1),
      routes('a', ['a.example'], ['edge/gw'], [to('a', 80, '/a')], 2),
      routes('b', ['b.example'], ['edge/gw'], [to('b', 80, '/b')], 3),
    ],
    calls: [
      [{ port: 80, hostHeader: 'a.example', path: '/1' }, { clusterMatched: cluster('both', 80) }],
      [{ port: 80, hostHeader: 'a.example', path: '/a' }, { clusterMatched: cluster('a', 80) }],
      [{ port: 80, hostHeader: 'b.example', path: '/b' }, { clusterMatched: cluster('b', 80) }],
      [{ port: 80, hostHeader: 'b.example', path: '/a' }, { error: 'no route matched' }],
    ],
  },
  {
    name: 'two Gateways that meet on the target port of one service',
    documents: [
      gateway('g80', [{ port: 80, hosts: ['a.example'] }], { services: front1 }),
      gateway('g8080', [{ port: 8080, hosts: ['a.example'] }], { services: front1 }),
      front(front1, 80, 8080),
      routes('a', ['a.example'], ['edge/g80', 'edge/g8080'], [to('a', 80, '/')]),
    ],
    calls: [
      [
        { port: 8080, hostHeader: 'a.example' },
        {
          listenerMatched: '0.0.0.0_8080',
          routeConfigMatched: 'http.8080',
          virtualHostMatched: 'a.example:80',
          clusterMatched: cluster('a', 80),
        },
      ],
    ],
  },
  {
    name: 'one port of two services with ports of their own',
    documents: [
      gateway('g1', [{ port: 80, hosts: ['a.example'] }], { services: front1 }),
      gateway('g2', [{ port: 80, hosts: ['a.example'] }], { services: 'back.edge.svc.cluster.local' }),
      front(front1, 80, 8080),
      front('back.edge.svc.cluster.local', 80, 8081),
      routes('a', ['a.example'], ['edge/g1', 'edge/g2'], [to('a', 80, '/')]),
      routes('b', ['a.example'], ['edge/g1', 'edge/g2'], [to('b', 8081, '/')], 1),
    ],
    calls: [8080, 8081].map((port) => [
      { port, hostHeader: 'a.example' },
      {
        listenerMatched: `0.0.0.0_${port}`,
        routeConfigMatched: `http.${port}`,
        virtualHostMatched: 'a.example:80',
        clusterMatched: cluster('a', 80),
      },
    ]),
  },
  {
    name: 'a service of another namespace leads nowhere',
    documents: [
      gateway('g', [{ port: 80, hosts: ['a.example'] }], { services: 'front.away.svc.cluster.local' }),
      front('front.away.svc.cluster.local', 80, 80, 'away'),
    ],
    calls: [[{ port: 80, hostHeader: 'a.example' }, { error: 'no listener matched' }]],
  },
  ...[8081, 8080].map((second) => ({
    name: `several services with the ports 8080 and ${second}`,
    documents: [
      gateway(
        'g',
        [
          { port: 80, hosts: ['80.example'] },
          { port: 81, hosts: ['81.example'] },
          { port: 82, hosts: ['82.example'] },
        ],
        { services: `${front1},ingress.test` },
      ),
      front(front1, 80, 8080),
      front('ingress.test', 81, second),
      routes('a', ['*.example'], ['edge/g'], [to('a', 80, '/')]),
    ],
    calls: [
      [
        { port: 8080, hostHeader: '80.example' },
        { virtualHostMatched: '80.example:80', clusterMatched: cluster('a', 80) },
      ],
      [
        { port: second, hostHeader: '81.example' },
        {
          listenerMatched: `0.0.0.0_${second}`,
          routeConfigMatched: `http.${second}`,
          virtualHostMatched: '81.example:81',
          clusterMatched: cluster('a', 80),
        },
      ],
      [{ port: 82, hostHeader: '81.example' }, { error: 'no listener matched' }],
    ] as Case['calls'],
  })),
  {
    name: 'a port that no service has is listened on as it is, where labels select',
    documents: [
      gateway('g', [
        { port: 80, hosts: ['80.example'] },
        { port: 82, hosts: ['82.example'] },
      ]),
      front(front1, 80, 8080),
      routes('a', ['*.example'], ['edge/g'], [to('a', 80, '/')]),
    ],
    calls: [
      [
        { port: 8080, hostHeader: '80.example' },
        { virtualHostMatched: '80.example:80', routeConfigMatched: 'http.8080' },
      ],
      [
        { port: 82, hostHeader: '82.example' },
        { listenerMatched: '0.0.0.0_82', virtualHostMatched: '82.example:82' },
      ],
    ],
  },
];

const peers = (mode: string, portLevelMtls?: Readonly<Record<number, { readonly mode: string }>>) =>
  document(
    'security.istio.io/v1',
    'PeerAuthentication',
    { name: 'own' },
    { selector: { matchLabels: { app: 'cart' } }, mtls: { mode }, ...(portLevelMtls && { portLevelMtls }) },
  );

const entry = (...ports: readonly (readonly [number, string])[]) =>
  networking(
    'ServiceEntry',
    { name: 'cart' },
    {
      hosts: ['cart.test'],
      endpoints: [{ address: '192.0.2.7', labels: { app: 'cart' } }],
      location: 'MESH_INTERNAL',
      resolution: 'STATIC',
      ports: ports.map(([number, protocol]) => ({ number, protocol, name: `p-${number}` })),
    },
  );

const sidecar = (...ports: readonly number[]) =>
  networking(
    'Sidecar',
    { name: 'own' },
    {
      workloadSelector: { labels: { app: 'cart' } },
      egress: [{ hosts: ['*/*'] }],
      ingress: ports.map((number) => ({
        port: { number, name: `p-${number}`, protocol: 'TCP' },
        defaultEndpoint: `127.0.0.1:${number}`,
      })),
    },
  );

const mtls = (port: number): SimulatedCall => ({ port, tls: 'MTLS', alpn: 'istio', callMode: 'inbound' });
const plain = (port: number): SimulatedCall => ({ port, tls: 'Plaintext', callMode: 'inbound' });
const none = { error: 'no filter chains matched' };
const taken = (port: number) => ({ clusterMatched: `inbound|${port}||` });

const workloadCases: readonly Case[] = [
  ...[[], [sidecar(8080, 9090)]].map((more) => ({
    name: `STRICT but for one port, ${more.length === 0 ? 'ports of the service' : 'ports of the Sidecar'}`,
    documents: [peers('STRICT', { 9090: { mode: 'DISABLE' } }), entry([8080, 'TCP'], [9090, 'TCP']), ...more],
    calls: [
      [plain(8080), none],
      [mtls(8080), taken(8080)],
      [plain(9090), taken(9090)],
      // Nobody looks for TLS there, so that it goes on as it is.
      [mtls(9090), taken(9090)],
    ] as Case['calls'],
  })),
  {
    name: 'ports of the Sidecar that the service does not have',
    documents: [peers('STRICT', { 9090: { mode: 'DISABLE' } }), sidecar(8080, 9090), entry([5050, 'TCP'])],
    calls: [
      [plain(8080), none],
      [mtls(8080), taken(8080)],
      [plain(9090), taken(9090)],
      [plain(5050), { error: 'no listener matched' }],
    ],
  },
  {
    name: 'DISABLE but for a port that is STRICT, which no service has',
    documents: [peers('DISABLE', { 9000: { mode: 'STRICT' } }), entry([8000, 'HTTP'])],
    calls: [
      [plain(8000), {}],
      [mtls(8000), { error: 'protocol error' }],
      [plain(9000), none],
      [mtls(9000), taken(9000)],
    ],
  },
  {
    name: 'STRICT for HTTP',
    documents: [peers('STRICT'), entry([8000, 'HTTP'])],
    calls: [
      [plain(8000), none],
      [mtls(8000), { virtualHostMatched: 'inbound|8000||' }],
      [{ ...plain(8000), tls: 'TLS' }, { error: 'invalid mTLS' }],
    ],
  },
  {
    name: 'PERMISSIVE for HTTP',
    documents: [peers('PERMISSIVE'), entry([8000, 'HTTP'])],
    calls: [
      [plain(8000), { virtualHostMatched: 'inbound|8000||' }],
      [mtls(8000), { virtualHostMatched: 'inbound|8000||' }],
    ],
  },
  {
    name: 'PERMISSIVE for a port among those that are not TLS',
    documents: [peers('DISABLE', { 9000: { mode: 'PERMISSIVE' } }), entry([8000, 'HTTP'], [9000, 'TCP'])],
    calls: [
      [plain(9000), taken(9000)],
      [mtls(9000), taken(9000)],
    ],
  },
];

function check({ documents, calls }: Case, target: CompileTarget): void {
  const file = { file: 'mesh.yaml', content: documents.join('\n---\n') };
  const result = compileFor({ files: [file] }, target);
  if (!result.accepted) throw new Error(formatViolations(result.violations));
  for (const [call, expected] of calls) {
    const found = simulateCall(result.resources, call);
    expect({ error: undefined, ...found }, JSON.stringify(call)).toMatchObject({
      error: undefined,
      ...expected,
    });
  }
}

describe('a gateway', () => {
  test.each(gatewayCases)('$name', (one) => {
    check(one, { profile: 'envoy', namespace: 'edge', labels: { role: 'edge' }, type: 'router' });
  });
});

describe('a workload', () => {
  test.each(workloadCases)('$name', (one) => {
    check(one, { profile: 'sdk', labels: { app: 'cart' } });
  });
});
