import { describe, expect, test } from 'vitest';
import { compile, forwarding, networking, nodeOf, routesOf, service } from './mesh.js';

const REVIEWS = 'reviews.default.svc.cluster.local';
const to = (host: string, subset = '') =>
  `- destination: { host: ${host}${subset && `, subset: ${subset}`} }`;
const routed = (http: string) =>
  service('reviews') + networking('VirtualService', 'reviews', `hosts: [reviews]\n${http}`);
const firstRoute = (http: string) => routesOf(compile(routed(http)), REVIEWS, 9080)[0];

test('a service without a VirtualService is routed to as a whole, with the mesh default of retries and no timeout', () => {
  const [route] = routesOf(compile(service('reviews')), REVIEWS, 9080);
  const action = forwarding(route);
  expect(action.cluster).toEqual({ kind: 'cluster', name: `outbound|9080||${REVIEWS}` });
  expect(action.timeoutMs).toBe(0);
  expect(action.retryPolicy).toMatchObject({
    numRetries: 2,
    retryOn: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'retriable-status-codes'],
    retriableStatusCodes: [],
    hostSelectionAttempts: 5,
    avoidPreviousHosts: true,
    baseIntervalMs: 25,
    maxIntervalMs: 250,
  });
});

describe('domains', () => {
  const domains = (namespace: string) =>
    compile(service('reviews'), [], nodeOf({ NAMESPACE: namespace })).routes.get(`outbound|9080||${REVIEWS}`)
      ?.virtualHosts[0]?.domains;

  test('the bare name is known in the own namespace only', () => {
    expect(domains('default')).toContain('reviews');
    expect(domains('default')).toContain('reviews:9080');
    expect(domains('other')).not.toContain('reviews');
  });

  test('longer names are known everywhere, with and without port', () => {
    const names = [REVIEWS, 'reviews.default.svc', 'reviews.default'];
    for (const name of names)
      expect(domains('other')).toEqual(expect.arrayContaining([name, `${name}:9080`]));
  });
});

describe('which VirtualService holds for a host', () => {
  const rule = (name: string, host: string, target: string, more = '') =>
    networking(
      'VirtualService',
      name,
      `hosts: ["${host}"]\n${more}\nhttp: [{ route: [{ destination: { host: ${target} } }] }]`,
    );
  const targetOf = (text: string, namespace = 'default') => {
    const set = compile(text, [], nodeOf({ NAMESPACE: namespace }));
    return forwarding(routesOf(set, REVIEWS, 9080)[0]).cluster;
  };
  const cluster = (name: string) => ({
    kind: 'cluster',
    name: `outbound|9080||${name}.default.svc.cluster.local`,
  });
  const base = service('reviews') + service('a') + service('b');

  test('the oldest of one host wins whole', () => {
    expect(targetOf(base + rule('first', 'reviews', 'a') + rule('second', REVIEWS, 'b'))).toEqual(
      cluster('a'),
    );
  });

  test('an exact host goes before an older wildcard', () => {
    const text = base + rule('wild', '*.default.svc.cluster.local', 'a') + rule('exact', 'reviews', 'b');
    expect(targetOf(text)).toEqual(cluster('b'));
  });

  test('a longer wildcard goes before a shorter one', () => {
    const text =
      base + rule('short', '*.cluster.local', 'a') + rule('long', '*.default.svc.cluster.local', 'b');
    expect(targetOf(text)).toEqual(cluster('b'));
  });

  test('one for gateways only does not hold in the mesh', () => {
    const text = base + rule('edge', 'reviews', 'a', 'gateways: [edge]');
    expect(targetOf(text)).toEqual(cluster('reviews'));
  });

  test('one that lists the mesh besides a gateway holds', () => {
    expect(targetOf(base + rule('both', 'reviews', 'a', 'gateways: [edge, mesh]'))).toEqual(cluster('a'));
  });

  test('one that is not exported holds in its own namespace only', () => {
    const text = base + rule('private', 'reviews', 'a', 'exportTo: ["."]');
    expect(targetOf(text)).toEqual(cluster('a'));
    expect(targetOf(text, 'other')).toEqual(cluster('reviews'));
  });

  test('a host that no service has gets a listener on port 80', () => {
    const set = compile(service('reviews') + rule('alias', 'shop.example.com', 'reviews'));
    expect(set.listeners.has('shop.example.com:80')).toBe(true);
    expect(forwarding(routesOf(set, 'shop.example.com', 80)[0]).cluster).toEqual(cluster('reviews'));
  });
});

describe('matches', () => {
  const matchOf = (match: string) =>
    firstRoute(`http:\n- match: [${match}]\n  route:\n  ${to('reviews')}`)?.match;

  test.each([
    ['{ uri: { exact: /a } }', { kind: 'path', value: '/a', caseSensitive: true }],
    ['{ uri: { prefix: /a }, ignoreUriCase: true }', { kind: 'prefix', value: '/a', caseSensitive: false }],
    ['{ uri: { regex: "/a.*" } }', { kind: 'regex', pattern: '/a.*' }],
    ['{ headers: { a: { exact: b } } }', { kind: 'prefix', value: '/', caseSensitive: true }],
  ])('%s decides about the path', (match, path) => {
    expect(matchOf(match)?.path).toEqual(path);
  });

  test('an empty header match asks for presence', () => {
    expect(matchOf('{ headers: { End-User: {} } }')?.headers).toEqual([
      {
        name: 'end-user',
        match: { kind: 'present', present: true },
        invert: false,
        treatMissingAsEmpty: false,
      },
    ]);
  });

  test('withoutHeaders also holds when the header is missing', () => {
    expect(matchOf('{ withoutHeaders: { user: { exact: jason } } }')?.headers).toEqual([
      {
        name: 'user',
        match: { kind: 'string', matcher: { kind: 'exact', value: 'jason', ignoreCase: false } },
        invert: true,
        treatMissingAsEmpty: true,
      },
    ]);
  });

  test('method and authority are pseudo-headers', () => {
    const names = matchOf('{ method: { exact: GET }, authority: { prefix: shop } }')?.headers.map(
      ({ name }) => name,
    );
    expect(names).toEqual([':method', ':authority']);
  });

  test('alternatives become routes of their own, named after rule and alternative', () => {
    const http = `http:\n- name: a\n  match: [{ name: x, uri: { exact: /x } }, { uri: { exact: /y } }]\n  route:\n  ${to('reviews')}`;
    const names = routesOf(compile(routed(http)), REVIEWS, 9080).map(({ name }) => name);
    expect(names).toEqual(['a.x', 'a']);
  });

  test('what comes after a rule that matches everything is left out', () => {
    const http = `http:\n- route:\n  ${to('reviews')}\n- route:\n  ${to('ratings')}`;
    expect(routesOf(compile(routed(http)), REVIEWS, 9080)).toHaveLength(1);
  });

  test.each([
    ['{ port: 9999 }'],
    ['{ sourceNamespace: other }'],
    ['{ sourceLabels: { app: other } }'],
    ['{ gateways: [edge] }'],
  ])('%s leaves the rule out for a client it does not mean', (match) => {
    const http = `http:\n- match: [${match}]\n  route:\n  ${to('ratings')}\n- route:\n  ${to('reviews')}`;
    const routes = routesOf(compile(routed(http), [], nodeOf({ LABELS: { app: 'web' } })), REVIEWS, 9080);
    expect(routes).toHaveLength(1);
    expect(forwarding(routes[0]).cluster).toMatchObject({ name: `outbound|9080||${REVIEWS}` });
  });

  test('sourceLabels take the rule in for a client that has them', () => {
    const http = `http:\n- match: [{ sourceLabels: { app: web } }]\n  route:\n  ${to('ratings')}`;
    expect(
      routesOf(compile(routed(http), [], nodeOf({ LABELS: { app: 'web' } })), REVIEWS, 9080),
    ).toHaveLength(1);
  });
});

describe('destinations', () => {
  const clusterOf = (http: string) => forwarding(firstRoute(http)).cluster;
  const subsets = networking(
    'DestinationRule',
    'reviews',
    'host: reviews\nsubsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]',
  );
  const weighted = (first: number, second: number) =>
    `http:\n- route:\n  - { destination: { host: reviews, subset: v1 }, weight: ${first} }\n  - { destination: { host: reviews, subset: v2 }, weight: ${second} }`;

  test('weights are kept as they are', () => {
    const set = compile(routed(weighted(9, 1)) + subsets);
    expect(forwarding(routesOf(set, REVIEWS, 9080)[0]).cluster).toMatchObject({
      kind: 'weighted',
      totalWeight: 10,
      clusters: [
        { name: `outbound|9080|v1|${REVIEWS}`, weight: 9 },
        { name: `outbound|9080|v2|${REVIEWS}`, weight: 1 },
      ],
    });
  });

  test('a weight of 0 gets no traffic', () => {
    const set = compile(routed(weighted(100, 0)) + subsets);
    expect(forwarding(routesOf(set, REVIEWS, 9080)[0]).cluster).toMatchObject({
      kind: 'weighted',
      clusters: [{ name: `outbound|9080|v1|${REVIEWS}` }],
    });
  });

  test('the only port of another service is used when none is named', () => {
    const http = `http:\n- route:\n  ${to('ratings')}`;
    const set = compile(routed(http) + service('ratings', 7000));
    expect(forwarding(routesOf(set, REVIEWS, 9080)[0]).cluster).toEqual({
      kind: 'cluster',
      name: 'outbound|7000||ratings.default.svc.cluster.local',
    });
  });

  test('a destination that nobody declares is referred to all the same, so that its routes answer 503', () => {
    expect(clusterOf(`http:\n- route:\n  ${to('ghost.example.com')}`)).toEqual({
      kind: 'cluster',
      name: 'outbound|9080||ghost.example.com',
    });
  });

  test('a direct response answers without a cluster', () => {
    const route = firstRoute('http:\n- directResponse: { status: 418, body: { string: short } }');
    expect(route?.action).toEqual({ kind: 'direct-response', status: 418, body: 'short' });
  });
});

describe('timeouts and retries', () => {
  const actionOf = (more: string) => forwarding(firstRoute(`http:\n- ${more}\n  route:\n  ${to('reviews')}`));

  test('the timeout is milliseconds', () => {
    expect(actionOf('timeout: 0.5s').timeoutMs).toBe(500);
  });

  test('attempts of 0 turn retries off', () => {
    expect(actionOf('retries: { attempts: 0 }').retryPolicy?.retryOn).toEqual([]);
  });

  test('numbers among the conditions become status codes', () => {
    const { retryPolicy } = actionOf(
      'retries: { attempts: 3, retryOn: "503,connect-failure", perTryTimeout: 2s }',
    );
    expect(retryPolicy).toMatchObject({
      numRetries: 3,
      perTryTimeoutMs: 2000,
      retryOn: ['connect-failure', 'retriable-status-codes'],
      retriableStatusCodes: [503],
    });
  });

  test('gRPC clients read the timeout from max_stream_duration', () => {
    const node = nodeOf({ GENERATOR: 'grpc' });
    const http = `http:\n- timeout: 3s\n  route:\n  ${to('reviews')}`;
    const action = forwarding(routesOf(compile(routed(http), [], node), REVIEWS, 9080)[0]);
    expect(action.maxStreamDurationMs).toBe(3000);
  });
});

describe('faults', () => {
  const faultOf = (fault: string) =>
    firstRoute(`http:\n- fault: ${fault}\n  route:\n  ${to('reviews')}`)?.filterOverrides.get(
      'envoy.filters.http.fault',
    );

  test('a delay with its percentage', () => {
    expect(faultOf('{ delay: { fixedDelay: 7s, percentage: { value: 0.5 } } }')).toMatchObject({
      delay: { fixedMs: 7000, percentage: { numerator: 5000, denominator: 1_000_000 } },
    });
  });

  test('without a percentage it happens to nobody', () => {
    expect(faultOf('{ abort: { httpStatus: 500 } }')).toMatchObject({
      abort: { status: { kind: 'http', code: 500 }, percentage: { numerator: 0 } },
    });
  });

  test('a gRPC status is a number', () => {
    expect(faultOf('{ abort: { grpcStatus: UNAVAILABLE, percentage: { value: 100 } } }')).toMatchObject({
      abort: { status: { kind: 'grpc', code: 14 } },
    });
  });
});
