import { describe, expect, test } from 'vitest';
import { explainIn } from '../../../../src/control-plane/explain/explain-in.js';
import type { RequestExplanation } from '../../../../src/control-plane/explain/explanation.js';
import { type GatewayApiStatus, statusOf } from '../../../../src/control-plane/gateway-api/status.js';
import { DEFAULT_MESH_CONFIG } from '../../../../src/control-plane/mesh/mesh-config.js';
import { snapshotOf } from '../../../../src/control-plane/registry/snapshot.js';
import { formatViolation } from '../../../../src/control-plane/schema/format.js';
import { createConfigStore } from '../../../../src/control-plane/store/config-store.js';
import type { Route } from '../../../../src/model/route.js';
import { systemClock } from '../../../../src/runtime/clock.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { compile, nodeOf, routesOf, service, viewOf } from '../compile/mesh.js';

const HOST = 'reviews.default.svc.cluster.local';

function api(kind: string, name: string, spec: string, namespace = 'default'): string {
  return `---
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec:
${spec.replace(/^/gm, '  ')}
`;
}

const SERVICES = ['reviews', 'reviews-v1', 'reviews-v2', 'audit'].map((name) => service(name)).join('');
const TO_REVIEWS = 'parentRefs: [{ group: "", kind: Service, name: reviews }]';

/** Routes of clients of `reviews` for the rules of one HTTPRoute. */
function meshRoutes(rules: string, more = ''): readonly Route[] {
  const text = `${SERVICES}${api('HTTPRoute', 'reviews', `${TO_REVIEWS}\nrules:\n${rules}`)}${more}`;
  return routesOf(compile(text), HOST, 9080);
}

function statusIn(text: string, kind: string, name: string): GatewayApiStatus['status'] {
  const found = statusOf(viewOf(text)).find((one) => one.kind === kind && one.name === name);
  if (found === undefined) throw new Error(`no status of ${kind} ${name}`);
  return found.status;
}

function conditionsIn(text: string, kind: string, name: string): readonly string[] {
  const { conditions, parents = [], ancestors = [] } = statusIn(text, kind, name);
  return [conditions ?? [], ...[...parents, ...ancestors].map((one) => one.conditions)]
    .flat()
    .map((one) => `${one.type}=${one.status}/${one.reason}`);
}

function complaintsAbout(text: string): readonly string[] {
  const store = createConfigStore({ clock: systemClock, logger: silentLogger });
  return store
    .propose('test', { files: [{ file: 'a.yaml', content: text }] })
    .violations.map(formatViolation);
}

function atGateway(text: string, url: string, method = 'GET'): Promise<RequestExplanation> {
  const state = { view: viewOf(text), registry: snapshotOf([]), config: DEFAULT_MESH_CONFIG };
  return explainIn(state, { method, url, gateway: 'default/edge' });
}

const answerOf = async (text: string, url: string) => {
  const { response, cluster, outcome } = await atGateway(text, url);
  return outcome === 'refused' ? 404 : (response?.status ?? cluster?.split('|')[3]?.split('.')[0]);
};

const backend = (name: string, more = '') => `{ name: ${name}, port: 9080${more} }`;

describe('routes of clients in the mesh', () => {
  test('a prefix means whole segments, and "/" is every path', () => {
    const [first, second] = meshRoutes(`
- matches: [{ path: { value: /v2/ } }]
  backendRefs: [${backend('reviews-v2')}]
- backendRefs: [${backend('reviews-v1')}]`);
    expect(first?.match.path).toEqual({ kind: 'path-separated-prefix', value: '/v2', caseSensitive: true });
    expect(second?.match.path).toEqual({ kind: 'prefix', value: '/', caseSensitive: true });
  });

  test('a backend that is not there takes its share as 500, each backend by a fraction', () => {
    const routes = meshRoutes(`
- backendRefs: [${backend('reviews-v1', ', weight: 1')}, ${backend('missing', ', weight: 3')}]`);
    expect(routes.map(({ match }) => match.runtimeFraction)).toEqual([
      { numerator: 250_000, denominator: 1_000_000 },
      undefined,
    ]);
    expect(routes.map(({ action }) => action.kind)).toEqual(['forward', 'direct-response']);
    expect(routes[1]?.action).toMatchObject({ status: 500 });
  });

  test('without a backend that has weight the answer is 500', () => {
    const [route] = meshRoutes(`- backendRefs: [${backend('reviews-v1', ', weight: 0')}]`);
    expect(route?.action).toEqual({ kind: 'direct-response', status: 500, body: '' });
  });

  test('a backend with a rewrite of its own has a route of its own', () => {
    const routes = meshRoutes(`
- matches: [{ path: { value: /old } }]
  backendRefs:
    - { name: reviews-v1, port: 9080, filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }] }
    - ${backend('reviews-v2')}`);
    expect(routes.map(({ action }) => action.kind === 'forward' && action.pathRewrite)).toEqual([
      { kind: 'regex', rewrite: { pattern: '^/old/*(.*)$', substitution: '/\\1' } },
      undefined,
    ]);
  });

  test('time limits and retries are those of the rule', () => {
    const [route] = meshRoutes(`
- backendRefs: [${backend('reviews-v1')}]
  timeouts: { request: 10s, backendRequest: 2s }
  retry: { codes: [500, 503], attempts: 3, backoff: 100ms }`);
    expect(route?.action).toMatchObject({
      timeoutMs: 10_000,
      retryPolicy: {
        numRetries: 3,
        perTryTimeoutMs: 2000,
        retriableStatusCodes: [500, 503],
        baseIntervalMs: 100,
      },
    });
  });

  test('mirrors take their fraction, sessions and CORS stand with the route', () => {
    const set = compile(
      `${SERVICES}${api(
        'HTTPRoute',
        'reviews',
        `${TO_REVIEWS}
rules:
- backendRefs: [${backend('reviews-v1')}]
  sessionPersistence: { sessionName: s, absoluteTimeout: 1h, cookieConfig: { lifetimeType: Permanent } }
  filters:
    - { type: RequestMirror, requestMirror: { backendRef: ${backend('audit')}, fraction: { numerator: 1, denominator: 8 } } }
    - { type: CORS, cors: { allowOrigins: ["https://*.example.com"], allowMethods: [GET] } }`,
      )}`,
    );
    const [route] = routesOf(set, HOST, 9080);
    expect(route?.action).toMatchObject({
      mirrors: [{ fraction: { numerator: 125_000, denominator: 1_000_000 } }],
    });
    expect(route?.filterOverrides.get('envoy.filters.http.stateful_session')).toEqual({
      kind: 'stateful-session-route',
      session: {
        state: {
          kind: 'cookie',
          name: 's',
          ttlSeconds: 3600,
          path: '/',
          attributes: [{ name: 'HttpOnly', value: '' }],
        },
        strict: false,
      },
    });
    expect(route?.filterOverrides.get('envoy.filters.http.cors')).toMatchObject({ maxAge: '5' });
    const listener = set.listeners.get(`${HOST}:9080`);
    expect(listener?.kind === 'outbound' && listener.http.filters.map(({ name }) => name)).toEqual([
      'envoy.filters.http.fault',
      'envoy.filters.http.cors',
      'envoy.filters.http.stateful_session',
      'envoy.filters.http.router',
    ]);
  });

  test('calls of gRPC are chosen by service and method, and nothing there is UNAVAILABLE to them', () => {
    const text = `${SERVICES}${api(
      'GRPCRoute',
      'reviews',
      `${TO_REVIEWS}
rules:
- matches: [{ method: { service: shop.Cart } }]
  backendRefs: [${backend('missing')}]
- matches: [{ method: { service: shop.Cart, method: Add } }]
  backendRefs: [${backend('reviews-v2')}]
- matches: [{ method: { method: Ping } }]
  backendRefs: [${backend('reviews-v1')}]`,
    )}`;
    const routes = routesOf(compile(text), HOST, 9080);
    expect(routes.map(({ match }) => match.path)).toEqual([
      { kind: 'path', value: '/shop.Cart/Add', caseSensitive: true },
      { kind: 'path-separated-prefix', value: '/shop.Cart', caseSensitive: true },
      { kind: 'regex', pattern: '/[^/]+/Ping' },
    ]);
    expect(routes[1]?.action).toMatchObject({ kind: 'direct-response', status: 503 });
    const forGrpc = routesOf(compile(text, [], nodeOf({ GENERATOR: 'grpc' })), HOST, 9080);
    expect(forGrpc[1]?.match.path).toEqual({ kind: 'prefix', value: '/shop.Cart/', caseSensitive: true });
  });

  test("a route for one port leaves the others, and a consumer's route is for its own namespace only", () => {
    const ports = `---
apiVersion: v1
kind: Service
metadata: { name: echo }
spec: { selector: { app: echo }, ports: [{ name: http, port: 80 }, { name: http-alt, port: 8080 }] }
`;
    const text = `${SERVICES}${ports}${api(
      'HTTPRoute',
      'producer',
      `parentRefs: [{ group: "", kind: Service, name: echo, port: 80 }]\nrules: [{ backendRefs: [${backend('reviews-v1')}] }]`,
    )}${api(
      'HTTPRoute',
      'consumer',
      `parentRefs: [{ group: "", kind: Service, name: echo, namespace: default }]\nrules: [{ filters: [{ type: RequestRedirect, requestRedirect: { hostname: elsewhere } }] }]`,
      'client',
    )}`;
    const echo = 'echo.default.svc.cluster.local';
    const clusterAt = (port: number, namespace: string) => {
      const [route] = routesOf(compile(text, [], nodeOf({ NAMESPACE: namespace })), echo, port);
      return route?.action.kind === 'forward' && route.action.cluster.kind === 'cluster'
        ? route.action.cluster.name
        : route?.action.kind;
    };
    expect(clusterAt(80, 'default')).toBe('outbound|9080||reviews-v1.default.svc.cluster.local');
    expect(clusterAt(8080, 'default')).toBe(`outbound|8080||${echo}`);
    expect(clusterAt(80, 'client')).toBe('redirect');
  });

  test('a BackendTLSPolicy makes connections TLS; with roots that are not there none is made', () => {
    const policy = (name: string, validation: string) =>
      api(
        'BackendTLSPolicy',
        name,
        `targetRefs: [{ group: "", kind: Service, name: ${name} }]\nvalidation: ${validation}`,
      );
    const { clusters } = compile(
      `${SERVICES}${policy('reviews', '{ hostname: r.example.com, wellKnownCACertificates: System }')}${policy(
        'audit',
        '{ hostname: a.example.com, caCertificateRefs: [{ group: "", kind: ConfigMap, name: none }] }',
      )}`,
    );
    expect(clusters.get(`outbound|9080||${HOST}`)).toMatchObject({
      tls: {
        mode: 'simple',
        sni: 'r.example.com',
        subjectAltNames: [{ kind: 'exact', value: 'r.example.com' }],
      },
      transportSocketMatches: [],
    });
    expect(clusters.get('outbound|9080||audit.default.svc.cluster.local')?.discovery).toMatchObject({
      kind: 'static',
      assignment: { localities: [] },
    });
  });
});

const gateway = (listeners: string, more = '') =>
  api('Gateway', 'edge', `gatewayClassName: inmesh\n${more}listeners:\n${listeners}`);
const attached = (name: string, spec: string, to: string) =>
  api('HTTPRoute', name, `parentRefs: [{ name: edge }]\n${spec}rules: [{ backendRefs: [${backend(to)}] }]`);

describe('gateways', () => {
  const listeners = `
- { name: any, port: 80, protocol: HTTP }
- { name: wild, port: 80, protocol: HTTP, hostname: "*.example.com" }
- { name: exact, port: 80, protocol: HTTP, hostname: a.example.com }`;

  test('a request is for the listener with the most specific hostname only', async () => {
    const text = `${SERVICES}${gateway(listeners)}${api(
      'HTTPRoute',
      'open',
      `parentRefs: [{ name: edge, sectionName: any }]\nhostnames: [b.example.com, other.org]\nrules: [{ backendRefs: [${backend('reviews')}] }]`,
    )}${api(
      'HTTPRoute',
      'wild',
      `parentRefs: [{ name: edge, sectionName: wild }]\nrules: [{ backendRefs: [${backend('audit')}] }]`,
    )}`;
    expect(await answerOf(text, 'http://other.org/')).toBe('reviews');
    expect(await answerOf(text, 'http://b.example.com/')).toBe('audit');
    expect(await answerOf(text, 'http://a.example.com/')).toBe(404);
    expect(statusIn(text, 'Gateway', 'edge').listeners?.map((one) => one.attachedRoutes)).toEqual([1, 1, 0]);
  });

  test('redirects name a port only where it does not go without saying', async () => {
    const rule = (filter: string) =>
      `${SERVICES}${gateway('- { name: alt, port: 8080, protocol: HTTP }')}${api(
        'HTTPRoute',
        'r',
        `parentRefs: [{ name: edge }]\nrules: [{ filters: [{ type: RequestRedirect, requestRedirect: ${filter} }] }]`,
      )}`;
    const location = async (filter: string) =>
      (await atGateway(rule(filter), 'http://shop.org:8080/a?b=1')).response?.location;
    expect(await location('{ scheme: https }')).toBe('https://shop.org:443/a?b=1');
    expect(await location('{ hostname: x.org }')).toBe('http://x.org:8080/a?b=1');
    expect(await location('{ port: 80 }')).toBe('http://shop.org:80/a?b=1');
    expect(await location('{ scheme: https, hostname: x.org }')).toBe('https://x.org/a?b=1');
    expect(await location('{ scheme: https, port: 8443 }')).toBe('https://shop.org:8443/a?b=1');
  });

  test('of two kinds of routes that share a host the older one is accepted', () => {
    const text = `${SERVICES}${gateway('- { name: any, port: 80, protocol: HTTP }')}${attached('web', 'hostnames: [a.org]\n', 'reviews')}${api(
      'GRPCRoute',
      'calls',
      `parentRefs: [{ name: edge }]\nhostnames: [a.org]\nrules: [{ backendRefs: [${backend('reviews')}] }]`,
    )}`;
    expect(conditionsIn(text, 'HTTPRoute', 'web')).toContain('Accepted=True/Accepted');
    expect(conditionsIn(text, 'GRPCRoute', 'calls')[0]).toMatch(/^Accepted=False/);
  });

  test('listeners that contradict each other are conflicted; a ListenerSet gives way', () => {
    const text = `${gateway(
      `
- { name: plain, port: 80, protocol: HTTP }
- { name: bytes, port: 80, protocol: TCP }
- { name: ok, port: 81, protocol: HTTP }`,
      'allowedListeners: { namespaces: { from: Same } }\n',
    )}${api('ListenerSet', 'more', 'parentRef: { name: edge }\nlisteners: [{ name: x, port: 81, protocol: HTTP }, { name: y, port: 82, protocol: HTTP }]')}`;
    const { listeners: found = [], attachedListenerSets } = statusIn(text, 'Gateway', 'edge');
    const conflicted = found.map(
      ({ conditions }) => conditions.find(({ type }) => type === 'Conflicted')?.reason,
    );
    expect(conflicted).toEqual(['ProtocolConflict', 'ProtocolConflict', 'NoConflicts']);
    expect(attachedListenerSets).toBe(1);
    expect(statusIn(text, 'ListenerSet', 'more').listeners?.[0]?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Conflicted', status: 'True', reason: 'HostnameConflict' }),
    );
    expect(conditionsIn(text, 'Gateway', 'edge')).toEqual([
      'Accepted=True/ListenersNotValid',
      'Programmed=True/Programmed',
      'ResolvedRefs=True/ResolvedRefs',
    ]);
  });

  test('a certificate of another namespace needs a grant; without one the listener is not served', async () => {
    const https = gateway(
      '- { name: s, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: cert, namespace: other }] } }',
    );
    const { listeners: [found] = [] } = statusIn(https, 'Gateway', 'edge');
    expect(found?.conditions).toContainEqual(
      expect.objectContaining({ type: 'ResolvedRefs', status: 'False', reason: 'RefNotPermitted' }),
    );
    expect(conditionsIn(https, 'Gateway', 'edge')).toEqual([
      'Accepted=False/ListenersNotValid',
      'Programmed=False/Invalid',
      'ResolvedRefs=False/ListenersNotResolved',
    ]);
    const node = nodeOf({ GENERATOR: 'envoy', LABELS: { 'gateway.networking.k8s.io/gateway-name': 'edge' } });
    expect(
      [...compile(https, [], node).wireListeners.keys()].filter((name) => name.endsWith('_443')),
    ).toEqual([]);
  });

  test('routes say why they are not attached', () => {
    const text = `${SERVICES}${gateway('- { name: web, port: 80, protocol: HTTP, hostname: a.org }')}${attached('host', 'hostnames: [b.org]\n', 'reviews')}${api(
      'HTTPRoute',
      'far',
      `parentRefs: [{ name: edge, namespace: default }]\nrules: [{ backendRefs: [${backend('reviews')}] }]`,
      'far',
    )}${api('TCPRoute', 'kind', `parentRefs: [{ name: edge }]\nrules: [{ backendRefs: [${backend('reviews')}] }]`)}`;
    expect(conditionsIn(text, 'HTTPRoute', 'host')[0]).toBe('Accepted=False/NoMatchingListenerHostname');
    expect(conditionsIn(text, 'HTTPRoute', 'far')).toEqual([
      'Accepted=False/NotAllowedByListeners',
      'ResolvedRefs=False/BackendNotFound',
    ]);
    expect(conditionsIn(text, 'TCPRoute', 'kind')[0]).toBe('Accepted=False/NotAllowedByListeners');
  });

  test('HTTPS and TLS share a port with different hostnames; of HTTPS listeners with hosts in common a client is told', () => {
    const text = gateway(`
- { name: a, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: x }] } }
- { name: b, port: 443, protocol: TLS, tls: { mode: Passthrough } }
- { name: c, port: 444, protocol: HTTPS, hostname: "*.a.org", tls: { certificateRefs: [{ name: x }] } }
- { name: d, port: 444, protocol: HTTPS, hostname: x.a.org, tls: { certificateRefs: [{ name: x }] } }
- { name: e, port: 444, protocol: TLS, hostname: y.a.org, tls: { mode: Passthrough } }`);
    const said = statusIn(text, 'Gateway', 'edge').listeners?.map(({ conditions }) =>
      conditions
        .filter(({ type }) => type === 'Accepted' || type === 'Conflicted' || type === 'OverlappingTLSConfig')
        .map(({ reason }) => reason)
        .join(' '),
    );
    expect(said).toEqual([
      'ProtocolConflict ProtocolConflict',
      'ProtocolConflict ProtocolConflict',
      'Accepted NoConflicts OverlappingHostnames',
      'Accepted NoConflicts OverlappingHostnames',
      'Accepted NoConflicts',
    ]);
  });

  test('a rule answers by itself, or with 500 where its filter is not known', async () => {
    const unknown = '[{ type: ExtensionRef, extensionRef: { group: a.b, kind: C, name: d } }]';
    const text = `${SERVICES}${gateway('- { name: web, port: 80, protocol: HTTP }')}${api(
      'HTTPRoute',
      'web',
      `parentRefs: [{ name: edge }]
rules:
- matches: [{ path: { value: /closed } }]
  filters: [{ type: DirectResponse, directResponse: { statusCode: 403, body: { string: Forbidden } } }]
- matches: [{ path: { value: /unknown } }]
  filters: ${unknown}
  backendRefs: [${backend('reviews')}]
- matches: [{ path: { value: /shared } }]
  backendRefs: [{ name: reviews, port: 9080, filters: ${unknown} }]
- backendRefs: [${backend('reviews')}]`,
    )}`;
    const paths = ['closed', 'unknown', 'shared', 'other'];
    const answers = await Promise.all(paths.map((path) => answerOf(text, `http://a.org/${path}`)));
    expect(answers).toEqual([403, 500, 500, 'reviews']);
    expect(conditionsIn(text, 'HTTPRoute', 'web')).toEqual([
      'Accepted=True/Accepted',
      'ResolvedRefs=True/ResolvedRefs',
      'PartiallyInvalid=True/UnsupportedValue',
    ]);
  });

  test.each([
    ['reviews', 'wellKnownCACertificates: example.com/own', 'Invalid'],
    ['reviews', 'caCertificateRefs: [{ group: "", kind: Secret, name: x }]', 'NoValidCACertificate'],
    ['missing', 'wellKnownCACertificates: System', 'TargetNotFound'],
  ])('a BackendTLSPolicy for %s with %s is not accepted', (name, roots, reason) => {
    const text = `${SERVICES}${api('BackendTLSPolicy', 'p', `targetRefs: [{ group: "", kind: Service, name: ${name} }]\nvalidation: { hostname: a.org, ${roots} }`)}`;
    expect(conditionsIn(text, 'BackendTLSPolicy', 'p')[0]).toBe(`Accepted=False/${reason}`);
  });

  test('another controller has its own Gateways', () => {
    const text = `${gateway('- { name: web, port: 80, protocol: HTTP }')}${api('GatewayClass', 'inmesh', 'controllerName: example.com/other')}`;
    expect(statusOf(viewOf(text))).toEqual([]);
  });
});

describe('what is refused', () => {
  const rule = (text: string) =>
    complaintsAbout(`${SERVICES}${api('HTTPRoute', 'reviews', `${TO_REVIEWS}\nrules:\n${text}`)}`);

  test.each([
    ['- matches: [{ path: { value: /a//b } }]', /a path must not contain "\/\/"/],
    ['- matches: [{ path: { type: Exact, value: a } }]', /a path starts with "\/"/],
    ['- { name: a }\n- { name: a }', /the name "a" is already used/],
    ['- backendRefs: [{ name: reviews }]', /a reference to a Service needs a port/],
    ['- filters: [{ type: CORS }]', /needs cors/],
    [
      '- filters: [{ type: RequestRedirect, requestRedirect: {} }]\n  backendRefs: [{ name: reviews, port: 9080 }]',
      /has no backendRefs/,
    ],
    ['- timeouts: { request: 1s, backendRequest: 2s }', /cannot be longer than request/],
    ['- timeouts: { request: 1.5s }', /must be a duration/],
    [
      '- filters: [{ type: ExtensionRef, extensionRef: { group: a.b, kind: C, name: d } }]',
      /does not carry out extensionRef/,
    ],
    [
      '- matches: [{ headers: [{ name: a, value: b }, { name: A, value: c }] }]',
      /only a counts, which is the same header as A/,
    ],
    ['- matches: [{ path: { type: RegularExpression, value: "(" } }]', /spec.*|missing|parenthes/],
  ])('%s', (text, complaint) => {
    expect(rule(text).join('\n')).toMatch(complaint);
  });

  test('two kinds are called Gateway, and the version tells which is meant', () => {
    const [complaint] = complaintsAbout(gateway('- { name: web, port: 80, protocol: HTTPS, tls: {} }'));
    expect(complaint).toMatch(/certificateRefs must be given where TLS ends/);
  });
});
