import { describe, expect, test } from 'vitest';
import type { OutboundTcpListener } from '../../../../src/model/listener.js';
import { compile, networking, nodeOf, service } from './mesh.js';

const HOST = 'cache.default.svc.cluster.local';
const CLUSTER = `outbound|6379||${HOST}`;

function listenerOf(text: string, name = `${HOST}:6379`, node = nodeOf()): OutboundTcpListener {
  const listener = compile(text, [], node).listeners.get(name);
  if (listener?.kind !== 'outbound-tcp') throw new Error(`no TCP listener ${name}`);
  return listener;
}

/** What the chains of a listener match and where they lead. */
const chainsOf = (listener: OutboundTcpListener) =>
  listener.filterChains.map(({ match, tcp }) => ({
    ...(match.destinationRanges.length > 0 && {
      ranges: match.destinationRanges.map(({ address, bits }) => `${address}/${bits}`),
    }),
    ...(match.serverNames.length > 0 && { names: match.serverNames }),
    to:
      tcp.cluster.kind === 'cluster'
        ? tcp.cluster.name
        : tcp.cluster.clusters.map(({ name, weight }) => [name, weight]),
  }));

const cache = service('cache', 6379, 'default', 'redis');
const routed = (rules: string, protocol = 'redis') =>
  service('cache', 6379, 'default', protocol) +
  service('other', 6379, 'default', protocol) +
  networking('VirtualService', 'cache', `hosts: [cache]\n${rules}`);
const to = (host: string) => `route: [{ destination: { host: ${host} } }]`;
const OTHER = 'outbound|6379||other.default.svc.cluster.local';

describe('a port that speaks no HTTP', () => {
  test('leads to its service', () => {
    const listener = listenerOf(cache);
    expect(chainsOf(listener)).toEqual([{ to: CLUSTER }]);
    expect(listener.filterChains[0]?.tcp).toEqual({
      cluster: { kind: 'cluster', name: CLUSTER },
      idleTimeoutMs: 3_600_000,
      maxConnectAttempts: 1,
    });
    expect(listener.inspection).toBeUndefined();
  });

  test('has no HTTP listener, and none of any kind for clients of gRPC', () => {
    const set = compile(cache);
    expect([...set.listeners.values()].map(({ kind }) => kind)).toEqual(['outbound-tcp']);
    expect(set.routes.size).toBe(0);
    expect(compile(cache, [], nodeOf({ GENERATOR: 'grpc' })).listeners.size).toBe(0);
  });

  test('offers meshed servers the name of Istio for TCP', () => {
    const [match] = compile(cache).clusters.get(CLUSTER)?.transportSocketMatches ?? [];
    expect(match?.tls?.alpn).toContain('istio');
    expect(match?.tls?.alpn).not.toContain('http/1.1');
  });

  test('is known by the address of its service', () => {
    const withAddress = cache.replace('selector:', 'clusterIP: 10.96.0.7\n  selector:');
    expect(listenerOf(withAddress).address).toEqual({ address: '10.96.0.7', port: 6379 });
    const headless = cache.replace('selector:', 'clusterIP: None\n  selector:');
    expect(listenerOf(headless).address).toBeUndefined();
  });

  test('has a listener for each further address and network of its ServiceEntry', () => {
    const entry = networking(
      'ServiceEntry',
      'db',
      `hosts: [db.test]\naddresses: [10.0.0.1, "fd00::1", 10.0.0.1/32, 10.1.0.0/16, "fd01::/16"]\nresolution: DNS\nports: [{ number: 3306, name: tcp, protocol: TCP }]`,
    )
      .replace('10.1.0.0/16, "fd01::/16"', '')
      .replace('DNS', 'STATIC');
    const networks = entry.replace('10.0.0.1/32,', '10.1.0.0/16, "fd01::/16"');
    const own = (set: ReturnType<typeof compile>) =>
      new Map(
        [...set.listeners.values()].map((one) => [
          one.name,
          one.kind === 'outbound-tcp' && one.address?.address,
        ]),
      );
    expect(own(compile(networks))).toEqual(
      new Map([
        ['db.test:3306', '10.0.0.1'],
        ['[fd00::1]:3306', 'fd00::1'],
        ['10.1.0.0/16:3306', undefined],
        ['[fd01::/16]:3306', undefined],
      ]),
    );
    expect(own(compile(networks, [], nodeOf({ GENERATOR: 'envoy', INTERCEPTION_MODE: 'NONE' })))).toEqual(
      new Map(),
    );
  });
});

describe('tcp routes', () => {
  test('the first rule without conditions takes everything', () => {
    expect(chainsOf(listenerOf(routed(`tcp: [{ ${to('other')} }, { ${to('cache')} }]`)))).toEqual([
      { to: OTHER },
    ]);
  });

  test('weights become weighted clusters, without those of weight 0', () => {
    const rule = `tcp: [{ route: [{ destination: { host: cache }, weight: 80 }, { destination: { host: other }, weight: 20 }, { destination: { host: cache }, weight: 0 }] }]`;
    expect(chainsOf(listenerOf(routed(rule)))).toEqual([
      {
        to: [
          [CLUSTER, 80],
          [OTHER, 20],
        ],
      },
    ]);
  });

  test('subnets become chains of their own before the service itself', () => {
    const rule = `tcp: [{ match: [{ destinationSubnets: [10.0.0.0/8, "2001:db8::1"] }], ${to('other')} }]`;
    expect(chainsOf(listenerOf(routed(rule)))).toEqual([
      { ranges: ['10.0.0.0/8'], to: OTHER },
      { ranges: ['2001:db8::1/128'], to: OTHER },
      { to: CLUSTER },
    ]);
  });

  test.each([
    ['port: 1', CLUSTER],
    ['port: 6379', OTHER],
    ['sourceNamespace: elsewhere', CLUSTER],
    ['sourceNamespace: default', OTHER],
    ['sourceLabels: { app: web }', OTHER],
    ['sourceLabels: { app: batch }', CLUSTER],
    ['gateways: [edge]', CLUSTER],
    ['gateways: [edge, mesh]', OTHER],
  ])('a match by %s holds for some clients only', (match, cluster) => {
    const text = routed(`tcp: [{ match: [{ ${match} }], ${to('other')} }]`);
    const node = nodeOf({ LABELS: { app: 'web' } });
    expect(chainsOf(listenerOf(text, `${HOST}:6379`, node))).toEqual([{ to: cluster }]);
  });

  test('of a port of unknown protocol they hold beside its HTTP', () => {
    const text = routed(`tcp: [{ ${to('other')} }]`, 'any');
    expect(chainsOf(listenerOf(text, `tcp://${HOST}:6379`))).toEqual([{ to: OTHER }]);
    expect(compile(text).listeners.get(`${HOST}:6379`)?.kind).toBe('outbound');
  });

  test('of an HTTP port they mean nothing', () => {
    const set = compile(routed(`tcp: [{ ${to('other')} }]`, 'http'));
    expect([...set.listeners.values()].every(({ kind }) => kind === 'outbound')).toBe(true);
  });
});

describe('tls routes', () => {
  const rules = (list: string) =>
    routed(`tls:\n${list}`.replace('hosts: [cache]', ''), 'tls').replace(
      'hosts: [cache]',
      'hosts: [cache, "*.example.com", a.org]',
    );

  test('hold for ports of TLS, by SNI, and nothing else is let through', () => {
    const text = rules(
      `- { match: [{ sniHosts: ["*.example.com"] }], ${to('other')} }\n- { match: [{ sniHosts: [a.org, "*.example.com"] }], ${to('cache')} }`,
    );
    const listener = listenerOf(text);
    expect(chainsOf(listener)).toEqual([
      { names: ['*.example.com'], to: OTHER },
      // What the first rule takes is not named twice: Envoy refuses that.
      { names: ['a.org'], to: CLUSTER },
    ]);
    expect(listener.inspection).toEqual({ timeoutMs: 15_000, continuesOnTimeout: false });
  });

  test('that hold for other clients only leave the service as it is', () => {
    const text = rules(`- { match: [{ sniHosts: [a.org], sourceNamespace: elsewhere }], ${to('other')} }`);
    expect(chainsOf(listenerOf(text))).toEqual([{ to: CLUSTER }]);
  });
});

describe('the policy of the first destination', () => {
  const policy = (spec: string) =>
    listenerOf(cache + networking('DestinationRule', 'cache', `host: cache\ntrafficPolicy: ${spec}`))
      .filterChains[0]?.tcp;

  test('sets idle time and life of connections', () => {
    expect(
      policy('{ connectionPool: { tcp: { idleTimeout: 30s, maxConnectionDuration: 1h } } }'),
    ).toMatchObject({
      idleTimeoutMs: 30_000,
      maxDurationMs: 3_600_000,
    });
    expect(policy('{ connectionPool: { tcp: { idleTimeout: 0s } } }')).toMatchObject({ idleTimeoutMs: 0 });
  });

  test('places connections by the address of the client', () => {
    expect(policy('{ loadBalancer: { consistentHash: { useSourceIp: true } } }')?.hash).toEqual({
      kind: 'source-ip',
    });
    expect(policy('{ loadBalancer: { consistentHash: { httpHeaderName: x } } }')?.hash).toBeUndefined();
  });
});

describe('a tunnel', () => {
  const tunnel = (port: number) => `tunnel: { targetHost: db.internal, targetPort: ${port} }`;
  const rule = `host: other\ntrafficPolicy: { ${tunnel(1)} }\nsubsets:\n- { name: own, labels: { a: b }, trafficPolicy: { ${tunnel(2)} } }\n- { name: none, labels: { a: c } }`;
  const tunnelOf = (destinations: string, more = rule) =>
    listenerOf(routed(`tcp: [{ route: [${destinations}] }]`) + networking('DestinationRule', 'other', more))
      .filterChains[0]?.tcp.tunnel;
  const destination = (more = '', weight = '') => `{ destination: { host: other${more} }${weight} }`;

  test.each([
    ['of the host', destination(), 'db.internal:1'],
    ['of the subset', destination(', subset: own'), 'db.internal:2'],
    ['a subset does not inherit', destination(', subset: none'), undefined],
    [
      'of several destinations is that of the first host, whatever its subset',
      `${destination(', subset: none', ', weight: 50')}, { destination: { host: cache }, weight: 50 }`,
      'db.internal:1',
    ],
  ])('%s', (_, destinations, target) => {
    expect(tunnelOf(destinations)?.target).toBe(target);
  });

  test('is a CONNECT unless it is to be a POST, and IPv6 stands in brackets', () => {
    const by = (protocol: string) =>
      tunnelOf(
        destination(),
        `host: other\ntrafficPolicy: { tunnel: { ${protocol} targetHost: "fd00::1", targetPort: 443 } }`,
      );
    expect(by('')).toEqual({ target: '[fd00::1]:443', method: 'CONNECT', path: '/' });
    expect(by('protocol: POST,')?.method).toBe('POST');
  });
});
