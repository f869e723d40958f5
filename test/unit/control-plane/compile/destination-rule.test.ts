import { describe, expect, test } from 'vitest';
import type { WorkloadInput } from '../../../../src/control-plane/registry/workload.js';
import { compile, networking, nodeOf, service } from './mesh.js';

const REVIEWS = 'reviews.default.svc.cluster.local';
const rule = (spec: string, namespace = 'default', name = 'reviews') =>
  networking('DestinationRule', name, spec, namespace);
const cluster = (
  text: string,
  subset = '',
  port = 9080,
  namespace = 'default',
  workloads: WorkloadInput[] = [],
) =>
  compile(service('reviews') + text, workloads, nodeOf({ NAMESPACE: namespace })).clusters.get(
    `outbound|${port}|${subset}|${REVIEWS}`,
  );

test('Istio’s defaults hold without a rule', () => {
  expect(cluster('')).toMatchObject({
    discovery: { kind: 'eds', serviceName: `outbound|9080||${REVIEWS}` },
    lbPolicy: { kind: 'least-request', choiceCount: 2 },
    connectTimeoutMs: 10_000,
    outlierDetection: undefined,
    circuitBreakers: {
      default: { maxConnections: 4_294_967_295, maxRequests: 4_294_967_295, maxRetries: 4_294_967_295 },
    },
  });
});

describe('which rule holds', () => {
  const lb = (kind: string) => `trafficPolicy: { loadBalancer: { simple: ${kind} } }`;
  const chosen = (text: string, namespace = 'default') => cluster(text, '', 9080, namespace)?.lbPolicy.kind;

  test('the client’s namespace goes before the service’s, and that before the root', () => {
    const root = rule(`host: ${REVIEWS}\n${lb('RANDOM')}`, 'istio-system');
    const own = rule(`host: ${REVIEWS}\n${lb('ROUND_ROBIN')}`, 'default');
    expect(chosen(root)).toBe('random');
    expect(chosen(root + own)).toBe('round-robin');
    const client = rule(`host: ${REVIEWS}\n${lb('RANDOM')}`, 'web');
    expect(chosen(own + client, 'web')).toBe('random');
    expect(chosen(own + client, 'other')).toBe('round-robin');
  });

  test('a rule that is not exported does not hold for others', () => {
    const text = rule(`host: reviews\nexportTo: ["."]\n${lb('RANDOM')}`);
    expect(chosen(text)).toBe('random');
    expect(chosen(text, 'web')).toBe('least-request');
  });

  test('the most specific host goes before an older wildcard', () => {
    const wild = rule(`host: "*.default.svc.cluster.local"\n${lb('RANDOM')}`, 'default', 'wild');
    expect(chosen(wild + rule(`host: reviews\n${lb('ROUND_ROBIN')}`))).toBe('round-robin');
  });

  test('rules for the same host are merged: new subsets are added, the first policy wins', () => {
    const text =
      rule(
        `host: reviews\n${lb('RANDOM')}\nsubsets: [{ name: v1, labels: { version: v1 } }]`,
        'default',
        'a',
      ) +
      rule(
        `host: reviews\n${lb('ROUND_ROBIN')}\nsubsets: [{ name: v2, labels: { version: v2 } }]`,
        'default',
        'b',
      );
    expect(chosen(text)).toBe('random');
    expect(cluster(text, 'v1')?.lbPolicy.kind).toBe('random');
    expect(cluster(text, 'v2')?.lbPolicy.kind).toBe('random');
  });
});

describe('merging of one rule', () => {
  test('a subset overrides field by field', () => {
    const text = rule(`host: reviews
trafficPolicy:
  loadBalancer: { simple: RANDOM }
  connectionPool: { tcp: { maxConnections: 7 } }
subsets:
- name: v1
  labels: { version: v1 }
  trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }`);
    expect(cluster(text, 'v1')).toMatchObject({
      lbPolicy: { kind: 'round-robin' },
      circuitBreakers: { default: { maxConnections: 7 } },
    });
  });

  test('settings for a port replace, they do not inherit', () => {
    const text = rule(`host: reviews
trafficPolicy:
  loadBalancer: { simple: RANDOM }
  connectionPool: { tcp: { maxConnections: 7 } }
  portLevelSettings:
  - port: { number: 9080 }
    loadBalancer: { simple: ROUND_ROBIN }`);
    expect(cluster(text)).toMatchObject({
      lbPolicy: { kind: 'round-robin' },
      circuitBreakers: { default: { maxConnections: 4_294_967_295 } },
    });
  });
});

test('outlier detection has Istio’s defaults, and turns panic off', () => {
  expect(cluster(rule('host: reviews\ntrafficPolicy: { outlierDetection: {} }'))).toMatchObject({
    panicThresholdPercent: 0,
    outlierDetection: {
      intervalMs: 10_000,
      baseEjectionTimeMs: 30_000,
      maxEjectionPercent: 10,
      consecutive5xx: { threshold: 5, enforcingPercent: 100 },
      consecutiveGatewayFailure: { enforcingPercent: 0 },
    },
  });
});

test('outlier detection counts the statuses that it is told, 5xx without any', () => {
  const statuses = (codes: string) =>
    cluster(
      rule(
        `host: reviews\ntrafficPolicy: { outlierDetection: { outlierDetectionHttpErrorCodes: ${codes} } }`,
      ),
    )?.outlierStatuses;
  expect(statuses('[429, 503, 429]')).toEqual([429, 503]);
  expect(statuses('[]')).toBeUndefined();
});

describe('TLS', () => {
  const reviews = (serviceAccount: string): WorkloadInput => ({
    service: 'reviews',
    address: '127.0.0.1',
    port: 9080,
    serviceAccount,
    tlsMode: 'istio',
  });
  const mode = (tls: string) => rule(`host: reviews\ntrafficPolicy: { tls: ${tls} }`);
  const exact = (value: string) => ({ kind: 'exact', value, ignoreCase: false });

  test('without a rule each endpoint that accepts mesh mTLS gets it, and must be who serves the service', () => {
    const found = cluster('', '', 9080, 'default', [reviews('one'), { ...reviews('two'), port: 9081 }]);
    expect(found?.tls).toBeUndefined();
    expect(found?.transportSocketMatches).toMatchObject([
      {
        match: { tlsMode: 'istio' },
        tls: {
          mode: 'mesh',
          sni: `outbound_.9080_._.${REVIEWS}`,
          subjectAltNames: [
            exact('spiffe://cluster.local/ns/default/sa/one'),
            exact('spiffe://cluster.local/ns/default/sa/two'),
          ],
        },
      },
      { match: {}, tls: undefined },
    ]);
  });

  test('while nobody serves it, not every identity may', () => {
    const names = cluster('')?.transportSocketMatches[0]?.tls?.subjectAltNames;
    expect(names).toEqual([exact('spiffe://cluster.local/ns/default/sa/default')]);
  });

  test('ISTIO_MUTUAL is for every endpoint', () => {
    expect(cluster(mode('{ mode: ISTIO_MUTUAL }'))).toMatchObject({
      tls: { mode: 'mesh' },
      transportSocketMatches: [],
    });
  });

  test('SIMPLE names the host to the server', () => {
    expect(cluster(mode('{ mode: SIMPLE }'))).toMatchObject({ tls: { mode: 'simple', sni: REVIEWS } });
  });

  test('DISABLE is plaintext for every endpoint', () => {
    expect(cluster(mode('{ mode: DISABLE }'))).toMatchObject({ tls: undefined, transportSocketMatches: [] });
  });
});

describe('load balancing', () => {
  const balanced = (settings: string) => rule(`host: reviews\ntrafficPolicy: { loadBalancer: ${settings} }`);
  const hashed = (text: string, host = 'reviews') => {
    const set = compile(service('reviews') + service('ratings') + text);
    const table = set.routes.get(`outbound|9080||${host}.default.svc.cluster.local`);
    const [route] = table?.virtualHosts[0]?.routes ?? [];
    return route?.action.kind === 'forward' ? route.action.hashPolicies : 'no route';
  };

  test('a hash makes a ring with Istio’s default size, and a hash policy of the route', () => {
    const text = balanced('{ consistentHash: { httpHeaderName: X-User } }');
    expect(cluster(text)?.lbPolicy).toEqual({
      kind: 'ring-hash',
      hashFunction: 'xx-hash',
      minimumRingSize: 1024,
      maximumRingSize: 8_388_608,
      useHostname: false,
      balanceFactorPercent: 0,
      localityWeighted: true,
    });
    expect(hashed(text)).toEqual([{ source: { kind: 'header', name: 'x-user' }, terminal: false }]);
    expect(hashed('')).toBeUndefined();
  });

  test.each([
    ['{ useSourceIp: true, ringHash: { minimumRingSize: 7 } }', { kind: 'ring-hash', minimumRingSize: 7 }],
    ['{ useSourceIp: true, minimumRingSize: 9 }', { kind: 'ring-hash', minimumRingSize: 9 }],
    ['{ useSourceIp: true, maglev: {} }', { kind: 'maglev', tableSize: 65_537 }],
    ['{ useSourceIp: true, maglev: { tableSize: 1009 } }', { kind: 'maglev', tableSize: 1009 }],
  ])('%s', (hash, expected) => {
    expect(cluster(balanced(`{ consistentHash: ${hash} }`))?.lbPolicy).toMatchObject(expected);
  });

  test.each([
    [
      '{ httpCookie: { name: user, path: /a, ttl: 90s, attributes: [{ name: SameSite, value: Lax }] } }',
      {
        kind: 'cookie',
        name: 'user',
        path: '/a',
        ttlSeconds: 90,
        attributes: [{ name: 'SameSite', value: 'Lax' }],
      },
    ],
    [
      '{ httpCookie: { name: user } }',
      { kind: 'cookie', name: 'user', path: '', ttlSeconds: undefined, attributes: [] },
    ],
    ['{ useSourceIp: true }', { kind: 'source-ip' }],
    ['{ httpQueryParameterName: id }', { kind: 'query-parameter', name: 'id' }],
  ])('%s', (hash, source) => {
    expect(hashed(balanced(`{ consistentHash: ${hash} }`))).toEqual([{ source, terminal: false }]);
  });

  test('a route hashes what the policies of its destinations and their subsets hash', () => {
    const text =
      rule(
        `host: reviews
subsets:
- name: v1
  labels: { version: v1 }
  trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: a } } }
- { name: v2, labels: { version: v2 } }`,
      ) +
      networking(
        'VirtualService',
        'ratings',
        `hosts: [ratings]
http:
- route:
  - { destination: { host: reviews, subset: v1 }, weight: 50 }
  - { destination: { host: reviews, subset: v2 }, weight: 50 }`,
      );
    expect(hashed(text, 'ratings')).toEqual([{ source: { kind: 'header', name: 'a' }, terminal: false }]);
    expect(hashed(text)).toBeUndefined();
  });

  test('warm-up makes new instances start slowly', () => {
    const text = balanced(
      '{ simple: ROUND_ROBIN, warmup: { duration: 30s, minimumPercent: 20, aggression: 2 } }',
    );
    expect(cluster(text)?.lbPolicy).toMatchObject({
      kind: 'round-robin',
      slowStart: { windowMs: 30_000, minWeightPercent: 20, aggression: 2 },
    });
    expect(cluster(balanced('{ warmupDurationSecs: 10s }'))?.lbPolicy).toMatchObject({
      kind: 'least-request',
      slowStart: { windowMs: 10_000, minWeightPercent: 10, aggression: 1 },
    });
  });
});

test('connections may have a life, a keepalive, and retries a budget over an interval', () => {
  const policy = `trafficPolicy:
  connectionPool: { tcp: { maxConnectionDuration: 90s, tcpKeepalive: { time: 30s } } }
  retryBudget: { percent: 10, budgetInterval: 5s }`;
  expect(cluster(rule(`host: reviews\n${policy}`))).toMatchObject({
    maxConnectionDurationMs: 90_000,
    tcpKeepaliveMs: 30_000,
    circuitBreakers: {
      default: { retryBudget: { budgetPercent: 10, minRetryConcurrency: 3, intervalMs: 5000 } },
    },
  });
});

test('the header of the PROXY protocol goes before whatever endpoints speak, of subsets as of the whole', () => {
  const text = rule(
    'host: reviews\ntrafficPolicy: { proxyProtocol: { version: V2 } }\nsubsets: [{ name: v1, labels: { version: v1 }, trafficPolicy: { proxyProtocol: {} } }]',
  );
  const { proxyProtocol, transportSocketMatches } = cluster(text) ?? {};
  expect(proxyProtocol).toBe('v2');
  expect(transportSocketMatches?.map((one) => one.proxyProtocol)).toEqual(['v2', 'v2']);
  expect(cluster(text, 'v1')?.proxyProtocol).toBe('v1');
});
