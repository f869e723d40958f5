import { describe, expect, test } from 'vitest';
import { compile, forwarding, networking, routesOf, service } from './mesh.js';

const REVIEWS = 'reviews.default.svc.cluster.local';
const ruled = (rule: string) =>
  compile(
    service('reviews') +
      service('copy') +
      networking('VirtualService', 'reviews', `hosts: [reviews]\nhttp:\n- ${rule.replaceAll('\n', '\n  ')}`),
  );
const routeOf = (rule: string) => routesOf(ruled(rule), REVIEWS, 9080)[0];
const TO = 'route: [{ destination: { host: reviews } }]';

describe('a VirtualService’s rewrite', () => {
  test('of the path and of the host', () => {
    expect(forwarding(routeOf(`${TO}\nrewrite: { uri: /new, authority: other }`))).toMatchObject({
      pathRewrite: { kind: 'prefix', value: '/new' },
      hostRewrite: { kind: 'literal', value: 'other' },
    });
  });

  test('by a regular expression', () => {
    const rule = `${TO}\nrewrite: { uriRegexRewrite: { match: "^/a/(.*)", rewrite: "/\\\\1" } }`;
    expect(forwarding(routeOf(rule)).pathRewrite).toEqual({
      kind: 'regex',
      rewrite: { pattern: '^/a/(.*)', substitution: '/\\1' },
    });
  });
});

test('headers: sets replace and come before adds, each by name; the authority becomes the host', () => {
  const route = routeOf(
    `${TO}\nheaders:\n  request:\n    add: { x-b: b }\n    set: { X-C: c, x-a: "%REQ(x-z)%", ":authority": h }\n    remove: [X-R]\n  response:\n    set: { x-d: d }`,
  );
  expect(route?.headers?.request).toEqual({
    remove: ['x-r'],
    add: [
      { name: 'x-c', value: 'c', action: 'overwrite-if-exists-or-add', keepEmpty: false },
      { name: 'x-a', value: '%REQ(x-z)%', action: 'overwrite-if-exists-or-add', keepEmpty: false },
      { name: 'x-b', value: 'b', action: 'append-if-exists-or-add', keepEmpty: false },
    ],
  });
  expect(route?.headers?.response.add.map(({ name }) => name)).toEqual(['x-d']);
  expect(forwarding(route).hostRewrite).toEqual({ kind: 'literal', value: 'h' });
});

test('headers of a destination: the route’s own when it is the only one, else its cluster’s', () => {
  const destination = (weight: number, value: string) =>
    `- { weight: ${weight}, destination: { host: reviews }, headers: { request: { set: { x-d: ${value}, host: ${value} } } } }`;
  const single = routeOf(`route:\n${destination(100, 'one')}`);
  expect(single?.headers?.request.add).toMatchObject([{ name: 'x-d', value: 'one' }]);
  expect(forwarding(single).hostRewrite).toEqual({ kind: 'literal', value: 'one' });
  const split = forwarding(routeOf(`route:\n${destination(60, 'a')}\n${destination(40, 'b')}`)).cluster;
  expect(split).toMatchObject({
    clusters: [
      { weight: 60, hostRewrite: 'a', headers: { request: { add: [{ name: 'x-d', value: 'a' }] } } },
      { weight: 40, hostRewrite: 'b' },
    ],
  });
});

test('a redirect', () => {
  const action = routeOf(
    'redirect: { uri: /new, authority: other, scheme: https, derivePort: FROM_REQUEST_PORT, redirectCode: 308 }',
  )?.action;
  expect(action).toEqual({
    kind: 'redirect',
    status: 308,
    scheme: 'https',
    https: false,
    host: 'other',
    port: 9080,
    path: { kind: 'path', value: '/new' },
    stripQuery: false,
  });
});

test('mirrors with their shares; a share of nothing is none; copies are not traced', () => {
  const target = { kind: 'cluster', name: 'outbound|9080||copy.default.svc.cluster.local' };
  const rest = { target, traceSampled: false, hostSuffix: false };
  const one = `${TO}\nmirror: { host: copy }\nmirrorPercentage: { value: 12.5 }`;
  expect(forwarding(routeOf(one)).mirrors).toEqual([
    { ...rest, fraction: { numerator: 125_000, denominator: 1_000_000 } },
  ]);
  const several = `${TO}\nmirrors:\n- { destination: { host: copy } }\n- { destination: { host: copy }, percentage: { value: 0 } }`;
  expect(forwarding(routeOf(several)).mirrors).toEqual([
    { ...rest, fraction: { numerator: 100, denominator: 100 } },
  ]);
});

test('a CORS policy; its filter stands in the listener only where there is one', () => {
  const set = ruled(
    `${TO}\ncorsPolicy: { allowOrigins: [{ exact: https://a }, { regex: ".*" }], allowMethods: [GET, PUT], maxAge: 24h, allowCredentials: true, unmatchedPreflights: IGNORE }`,
  );
  const policy = routesOf(set, REVIEWS, 9080)[0]?.filterOverrides.get('envoy.filters.http.cors');
  expect(policy).toMatchObject({
    kind: 'cors-policy',
    allowOrigins: [
      { kind: 'exact', value: 'https://a', ignoreCase: false },
      { kind: 'regex', pattern: '.*' },
    ],
    allowMethods: 'GET,PUT',
    maxAge: '86400',
    allowCredentials: true,
    enabled: { numerator: 100, denominator: 100 },
    forwardNotMatchingPreflights: false,
  });
  const filtersOf = (host: string) => {
    const listener = set.listeners.get(`${host}.default.svc.cluster.local:9080`);
    return listener?.kind === 'outbound' ? listener.http.filters.map(({ config }) => config.kind) : [];
  };
  expect(filtersOf('reviews')).toEqual(['fault', 'cors', 'router']);
  expect(filtersOf('copy')).toEqual(['fault', 'router']);
});

test('a share of delays in whole percents, a body in bytes and the name in statistics are carried out', () => {
  const text =
    service('reviews') +
    networking(
      'VirtualService',
      'reviews',
      'hosts: [reviews]\nhttp: [{ match: [{ uri: { prefix: /a }, statPrefix: a }], fault: { delay: { percent: 30, fixedDelay: 1s } }, route: [{ destination: { host: reviews } }] }, { directResponse: { status: 200, body: { bytes: aGk= } } }]',
    );
  const [first, second] = routesOf(compile(text), 'reviews.default.svc.cluster.local', 9080);
  expect(first?.statPrefix).toBe('a');
  expect([...(first?.filterOverrides.values() ?? [])]).toMatchObject([
    { delay: { fixedMs: 1000, percentage: { numerator: 300_000, denominator: 1_000_000 } } },
  ]);
  expect(second?.action).toMatchObject({ kind: 'direct-response', body: 'hi' });
});
