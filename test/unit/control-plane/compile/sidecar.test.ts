import { describe, expect, test } from 'vitest';
import { compile, forwarding, networking, nodeOf, routesOf, service } from './mesh.js';

const SERVICES = [
  service('reviews', 80, 'default'),
  service('ratings', 80, 'default'),
  service('db', 9000, 'data', 'http'),
  service('audit', 80, 'data'),
].join('');

const hostsOf = (text: string, node = nodeOf()) =>
  [...compile(text, [], node).listeners.keys()].map((name) => name.replace('.svc.cluster.local', '')).sort();

const sidecar = (spec: string, namespace = 'default', name = 'one') =>
  networking('Sidecar', name, spec, namespace);

describe('what a client sees', () => {
  test('is everything without a Sidecar, and with one that speaks of no calls', () => {
    const all = ['audit.data:80', 'db.data:9000', 'ratings.default:80', 'reviews.default:80'];
    expect(hostsOf(SERVICES)).toEqual(all);
    expect(hostsOf(SERVICES + sidecar('ingress: [{port: {number: 80, protocol: HTTP, name: a}}]'))).toEqual(
      all,
    );
  });

  test.each([
    ['["./*"]', ['ratings.default:80', 'reviews.default:80']],
    ['["data/*"]', ['audit.data:80', 'db.data:9000']],
    ['["*/db.data.svc.cluster.local"]', ['db.data:9000']],
    [
      '["*/*.svc.cluster.local"]',
      ['audit.data:80', 'db.data:9000', 'ratings.default:80', 'reviews.default:80'],
    ],
    ['["*/*", "~/db.data.svc.cluster.local"]', ['audit.data:80', 'ratings.default:80', 'reviews.default:80']],
    [
      '["*/*", "data/audit.data.svc.cluster.local"]',
      ['audit.data:80', 'ratings.default:80', 'reviews.default:80'],
    ],
    ['["~/*"]', []],
  ])('is what %s names', (hosts, expected) => {
    expect(hostsOf(SERVICES + sidecar(`egress: [{hosts: ${hosts}}]`))).toEqual(expected);
  });

  test('a listener of a port shows that port of what it names; the one for all ports comes after', () => {
    const text =
      SERVICES +
      sidecar('egress: [{port: {number: 80, protocol: HTTP, name: h}, hosts: ["./*"]}, {hosts: ["data/*"]}]');
    expect(hostsOf(text)).toEqual(['db.data:9000', 'ratings.default:80', 'reviews.default:80']);
  });

  test('clusters that imported rules lead to are there, without being hosts to call', () => {
    const text =
      SERVICES +
      networking(
        'VirtualService',
        'a',
        'hosts: [reviews]\nhttp: [{route: [{destination: {host: audit.data.svc.cluster.local}}]}]',
      ) +
      sidecar('egress: [{hosts: ["./reviews.default.svc.cluster.local"]}]');
    const set = compile(text);
    expect([...set.listeners.keys()]).toEqual(['reviews.default.svc.cluster.local:80']);
    expect([...set.clusters.keys()].sort()).toEqual([
      'outbound|80||audit.data.svc.cluster.local',
      'outbound|80||reviews.default.svc.cluster.local',
    ]);
  });

  test('rules of namespaces that are not imported do not hold', () => {
    const text =
      SERVICES +
      networking(
        'VirtualService',
        'a',
        'hosts: [reviews.default.svc.cluster.local]\nhttp: [{route: [{destination: {host: audit.data.svc.cluster.local}}]}]',
        'data',
      );
    const clusterOf = (all: string) => {
      const { cluster } = forwarding(routesOf(compile(all), 'reviews.default.svc.cluster.local', 80)[0]);
      return cluster.kind === 'cluster' ? cluster.name : '';
    };
    expect(clusterOf(text)).toBe('outbound|80||audit.data.svc.cluster.local');
    expect(clusterOf(text + sidecar('egress: [{hosts: ["./*"]}]'))).toBe(
      'outbound|80||reviews.default.svc.cluster.local',
    );
  });
});

describe('which Sidecar holds', () => {
  const all = [
    SERVICES,
    sidecar('egress: [{hosts: ["~/*"]}]', 'istio-system', 'root'),
    sidecar('egress: [{hosts: ["./ratings.default.svc.cluster.local"]}]', 'default', 'plain'),
    sidecar(
      'workloadSelector: {labels: {app: web}}\negress: [{hosts: ["./reviews.default.svc.cluster.local"]}]',
      'default',
      'web',
    ),
  ].join('');

  test('one that selects the client, else that of its namespace, else that of the root namespace', () => {
    expect(hostsOf(all, nodeOf({ LABELS: { app: 'web' } }))).toEqual(['reviews.default:80']);
    expect(hostsOf(all)).toEqual(['ratings.default:80']);
    expect(hostsOf(all, nodeOf({ NAMESPACE: 'other' }))).toEqual([]);
  });

  test('a client that serves something is known by its name', () => {
    const workload = { service: 'web', address: '10.0.0.1', port: 80 };
    const node = nodeOf({
      INMESH_WORKLOADS: [{ ...workload, portName: '', protocol: '', tlsMode: 'istio' }] as never,
    });
    expect(hostsOf(all, node)).toEqual(['reviews.default:80']);
  });
});

describe('hosts that the mesh does not know', () => {
  const unknown = (spec: string) => {
    const routes = compile(SERVICES + sidecar(spec)).routes;
    return [...routes.values()].find(({ virtualHosts }) => virtualHosts[0]?.domains.includes('*'))
      ?.virtualHosts[0];
  };

  test('are refused where a Sidecar says so, also by saying nothing of it', () => {
    expect(unknown('outboundTrafficPolicy: {mode: REGISTRY_ONLY}')?.name).toBe('block_all');
    expect(unknown('outboundTrafficPolicy: {}')?.name).toBe('block_all');
    expect(unknown('outboundTrafficPolicy: {mode: ALLOW_ANY}')).toBeUndefined();
  });

  test('go by a proxy where it names one', () => {
    const host = unknown(
      'outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: audit.data.svc.cluster.local, port: {number: 80}}}',
    );
    expect(forwarding(host?.routes[0]).cluster).toEqual({
      kind: 'cluster',
      name: 'outbound|80||audit.data.svc.cluster.local',
    });
  });
});

describe('services and rules of one host in several namespaces', () => {
  const entry = (name: string, namespace: string, more = '') =>
    networking(
      'ServiceEntry',
      name,
      `hosts: [api.example.com]\nports: [{number: ${name.length}, name: http, protocol: HTTP}]\nresolution: DNS${more}`,
      namespace,
    );

  test("a namespace's own counts before what all see", () => {
    const text = entry('a', 'other') + entry('bb', 'default', '\nexportTo: ["."]');
    expect(hostsOf(text)).toEqual(['api.example.com:2']);
    expect(hostsOf(text, nodeOf({ NAMESPACE: 'third' }))).toEqual(['api.example.com:1']);
  });

  test('a DestinationRule for some workloads holds for them alone, and in its namespace', () => {
    const rule = (name: string, size: number, more: string) =>
      networking(
        'DestinationRule',
        name,
        `host: reviews.default.svc.cluster.local\ntrafficPolicy: {connectionPool: {http: {http2MaxRequests: ${size}}}}${more}`,
      );
    const text = SERVICES + rule('a', 1, '') + rule('b', 2, '\nworkloadSelector: {matchLabels: {app: web}}');
    const limitFor = (node: ReturnType<typeof nodeOf>) =>
      compile(text, [], node).clusters.get('outbound|80||reviews.default.svc.cluster.local')?.circuitBreakers
        .default.maxRequests;
    expect(limitFor(nodeOf())).toBe(1);
    expect(limitFor(nodeOf({ LABELS: { app: 'web' } }))).toBe(2);
    expect(limitFor(nodeOf({ LABELS: { app: 'web' }, NAMESPACE: 'other' }))).toBe(1);
  });
});

describe('delegates', () => {
  const root = (rules: string) => networking('VirtualService', 'root', `hosts: [reviews]\nhttp:\n${rules}`);
  const delegate = (rules: string, more = '') =>
    networking('VirtualService', 'part', `${more}http:\n${rules}`, 'data');
  const routes = (text: string) =>
    routesOf(compile(SERVICES + text), 'reviews.default.svc.cluster.local', 80);

  test('their rules stand where the root says, with the matches of both, and hosts of their own namespace', () => {
    const found = routes(
      root(`- match: [{uri: {prefix: /a}, headers: {x: {exact: "1"}}}]
  name: outer
  timeout: 3s
  delegate: {name: part, namespace: data}
- route: [{destination: {host: ratings}}]`) +
        delegate(`- match: [{uri: {prefix: /a/b}}]
  name: inner
  route: [{destination: {host: audit}}]
- match: [{uri: {prefix: /c}}]
  route: [{destination: {host: audit}}]
- timeout: 1s
  route: [{destination: {host: audit}}]`),
    );
    expect(
      found.map((one) => {
        const { cluster, timeoutMs } = forwarding(one);
        return [
          one.name,
          one.match.path,
          one.match.headers.length,
          cluster.kind === 'cluster' && cluster.name,
          timeoutMs,
        ];
      }),
    ).toEqual([
      [
        'outer-inner',
        { kind: 'prefix', value: '/a/b', caseSensitive: true },
        1,
        'outbound|80||audit.data.svc.cluster.local',
        3000,
      ],
      [
        'outer',
        { kind: 'prefix', value: '/a', caseSensitive: true },
        1,
        'outbound|80||audit.data.svc.cluster.local',
        1000,
      ],
      [
        '',
        { kind: 'prefix', value: '/', caseSensitive: true },
        0,
        'outbound|80||ratings.default.svc.cluster.local',
        0,
      ],
    ]);
  });

  test('one that is not there or not shown leaves its rule out alone', () => {
    const text = root('- delegate: {name: part, namespace: data}\n- route: [{destination: {host: ratings}}]');
    expect(routes(text)).toHaveLength(1);
    expect(
      routes(text + delegate('- route: [{destination: {host: audit}}]', 'exportTo: ["."]\n')),
    ).toHaveLength(1);
    expect(forwarding(routes(text + delegate('- route: [{destination: {host: audit}}]'))[0]).cluster).toEqual(
      {
        kind: 'cluster',
        name: 'outbound|80||audit.data.svc.cluster.local',
      },
    );
  });
});
