import { afterEach, describe, expect, test } from 'vitest';
import type { Mesh } from '../../../src/index.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { answerOf, istio, recordExchanges, service, World } from './features-world.js';

let world: World;

afterEach(() => world.close());

/** A VirtualService for `echo` with the given rules, and what is not matched goes to the service itself. */
const rules = (yaml: string) =>
  istio(
    'VirtualService',
    'echo',
    `hosts: [echo]\nhttp:\n${yaml.trim().replace(/^/gm, '  ')}\n  - route: [{ destination: { host: echo } }]`,
  );

/** One rule: requests that match are answered with the name. */
const when = (name: string, match: string) =>
  `- match: [${match}]\n  directResponse: { status: 200, body: { string: ${name} } }\n`;

async function echoBehind(yaml: string, options: Parameters<World['join']>[0] = {}): Promise<Mesh> {
  world = await World.start(yaml);
  await world.serve({ service: 'echo' }, (_request, response) => response.end('echo'));
  return world.join(options);
}

describe('faults', () => {
  test('an abort for 30 % of the requests hits about 30 %', async () => {
    const { observer, exchanges } = recordExchanges();
    const client = await echoBehind(
      rules(`- fault: { abort: { httpStatus: 418, percentage: { value: 30 } } }
  route: [{ destination: { host: echo } }]`),
      { random: seededRandom(7), observers: [observer] },
    );
    for (let i = 0; i < 500; i++) await answerOf(client.fetch('http://echo/'));
    const aborted = exchanges.filter(({ status }) => status === 418);
    // Five standard deviations around 150.
    expect(Math.abs(aborted.length - 150)).toBeLessThan(5 * Math.sqrt(500 * 0.3 * 0.7));
    expect(new Set(aborted.map(({ flags, attempts }) => `${flags} ${attempts}`))).toEqual(new Set(['FI 0']));
    expect(exchanges.filter(({ status }) => status === 200)).toHaveLength(500 - aborted.length);
  });

  test('an abort for everybody never reaches the service', async () => {
    const client = await echoBehind(
      rules(`- fault: { abort: { httpStatus: 503, percentage: { value: 100 } } }
  retries: { attempts: 3, retryOn: 5xx }
  route: [{ destination: { host: echo } }]`),
    );
    const response = await client.fetch('http://echo/');
    expect([response.status, await response.text()]).toEqual([503, 'fault filter abort']);
    expect(response.headers.get('x-inmesh-reason')).toBe('INMESH_FAULT_INJECTED');
  });

  test('an abort with a gRPC status is HTTP 200 with that status', async () => {
    const client = await echoBehind(
      rules(`- fault: { abort: { grpcStatus: UNAVAILABLE, percentage: { value: 100 } } }
  route: [{ destination: { host: echo } }]`),
    );
    const response = await client.fetch('http://echo/', {
      method: 'POST',
      headers: { 'content-type': 'application/grpc' },
    });
    expect([
      response.status,
      response.headers.get('grpc-status'),
      response.headers.get('grpc-message'),
    ]).toEqual([200, '14', 'fault filter abort']);
  });

  test('a delay happens before the request is sent, and to the chosen requests only', async () => {
    const { observer, exchanges } = recordExchanges();
    const client = await echoBehind(
      rules(`- match: [{ headers: { end-user: { exact: jason } } }]
  fault: { delay: { fixedDelay: 150ms, percentage: { value: 100 } } }
  route: [{ destination: { host: echo } }]`),
      { observers: [observer] },
    );
    const timed = async (headers: Record<string, string>) => {
      const start = performance.now();
      await answerOf(client.fetch('http://echo/', { headers }));
      return performance.now() - start;
    };
    expect(await timed({ 'end-user': 'jason' })).toBeGreaterThanOrEqual(149);
    await timed({ 'end-user': 'other' });
    expect(exchanges.map(({ flags }) => flags)).toEqual(['DI', '']);
  });
});

describe('matches', () => {
  test('a direct response has status, body and reason', async () => {
    const client = await echoBehind(
      rules(
        '- match: [{ uri: { exact: /teapot } }]\n  directResponse: { status: 418, body: { string: short } }',
      ),
    );
    const response = await client.fetch('http://echo/teapot');
    expect([response.status, await response.text(), response.headers.get('x-inmesh-reason')]).toEqual([
      418,
      'short',
      'INMESH_DIRECT_RESPONSE',
    ]);
    expect(await answerOf(client.fetch('http://echo/teapot/2'))).toEqual([200, 'echo']);
  });

  const YAML = rules(
    [
      when('uri-exact', '{ uri: { exact: /exact } }'),
      when('uri-regex', '{ uri: { regex: "/items/[0-9]+" } }'),
      when('uri-any-case', '{ uri: { prefix: /any }, ignoreUriCase: true }'),
      when('method', '{ method: { exact: DELETE } }'),
      when('query', '{ queryParams: { version: { exact: "2" } } }'),
      when('query-regex', '{ queryParams: { id: { regex: "[0-9]{3}" } } }'),
      when('header-exact', '{ headers: { x-user: { exact: ann } } }'),
      when('header-prefix', '{ headers: { x-user: { prefix: b } } }'),
      when('header-present', '{ headers: { x-any: {} } }'),
      when('all-of', '{ uri: { prefix: /all }, headers: { x-a: { exact: "1" }, x-b: { exact: "2" } } }'),
      when('one-of', '{ uri: { exact: /this } }, { uri: { exact: /that } }'),
      when('without', '{ uri: { prefix: /guarded }, withoutHeaders: { x-token: {} } }'),
      when('without-value', '{ uri: { prefix: /beta }, withoutHeaders: { x-stage: { exact: prod } } }'),
      when('authority', '{ authority: { prefix: "echo.default.svc" } }'),
    ].join(''),
  );

  test('each kind of match chooses its route', async () => {
    const client = await echoBehind(YAML);
    const ask = async (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      (await answerOf(client.fetch(`http://echo${path}`, { method, headers })))[1];
    const expected: [string, string][] = [
      ['uri-exact', await ask('/exact?query=is-no-part-of-it')],
      ['echo', await ask('/exact/')],
      ['uri-regex', await ask('/items/42')],
      ['echo', await ask('/items/42/more')],
      ['uri-any-case', await ask('/ANYthing')],
      ['method', await ask('/', {}, 'DELETE')],
      ['query', await ask('/?a=1&version=2')],
      ['echo', await ask('/?version=21')],
      ['query-regex', await ask('/?id=123')],
      ['echo', await ask('/?id=1234')],
      ['header-exact', await ask('/', { 'X-User': 'ann' })],
      ['header-prefix', await ask('/', { 'x-user': 'bob' })],
      ['echo', await ask('/', { 'x-user': 'Ann' })],
      ['header-present', await ask('/', { 'x-any': '1' })],
      ['all-of', await ask('/all', { 'x-a': '1', 'x-b': '2' })],
      ['echo', await ask('/all', { 'x-a': '1' })],
      ['one-of', await ask('/this')],
      ['one-of', await ask('/that')],
      ['without', await ask('/guarded')],
      ['echo', await ask('/guarded', { 'x-token': 'secret' })],
      ['without-value', await ask('/beta')],
      ['without-value', await ask('/beta', { 'x-stage': 'dev' })],
      ['echo', await ask('/beta', { 'x-stage': 'prod' })],
      ['authority', (await answerOf(client.fetch('http://echo.default.svc/')))[1]],
    ];
    expect(expected.map(([, got]) => got)).toEqual(expected.map(([wanted]) => wanted));
  });

  test('nothing that matches: 404 without a word', async () => {
    const { observer, exchanges } = recordExchanges();
    const client = await echoBehind(
      istio(
        'VirtualService',
        'echo',
        `hosts: [echo]\nhttp:\n  ${when('only', '{ uri: { exact: /only } }').trim().replace(/\n/g, '\n  ')}`,
      ),
      { observers: [observer] },
    );
    const response = await client.fetch('http://echo/other');
    expect([response.status, await response.text(), response.headers.get('x-inmesh-reason')]).toEqual([
      404,
      '',
      'INMESH_NO_ROUTE',
    ]);
    expect(exchanges).toEqual([{ status: 404, flags: 'NR', attempts: 0 }]);
  });

  test('sourceLabels and sourceNamespace choose by who asks', async () => {
    world = await World.start(
      service('echo') +
        rules(
          when('label', '{ sourceLabels: { app: web, tier: front } }') +
            when('namespace', '{ sourceNamespace: batch }'),
        ),
    );
    await world.serve({ service: 'echo' }, (_request, response) => response.end('echo'));
    const ask = async (options: Parameters<World['join']>[0]) => {
      const mesh = await world.join(options);
      return (await answerOf(mesh.fetch('http://echo.default/')))[1];
    };
    expect(await ask({ service: 'web', labels: { tier: 'front' } })).toBe('label');
    expect(await ask({ service: 'web', labels: { tier: 'back' } })).toBe('echo');
    expect(await ask({ service: 'web' })).toBe('echo');
    expect(await ask({ service: 'job', namespace: 'batch' })).toBe('namespace');
  });

  test('port chooses by the port that was called', async () => {
    world = await World.start(
      `apiVersion: v1
kind: Service
metadata: { name: echo }
spec:
  selector: { app: echo }
  ports: [{ name: http, port: 80 }, { name: http-admin, port: 8080 }]
${rules(when('admin', '{ port: 8080 }'))}`,
    );
    await world.serve({ service: 'echo' }, (_request, response) => response.end('echo'));
    const client = await world.join();
    expect(await answerOf(client.fetch('http://echo:8080/'))).toEqual([200, 'admin']);
    expect(await answerOf(client.fetch('http://echo/'))).toEqual([200, 'echo']);
    expect(await answerOf(client.fetch('http://echo:80/'))).toEqual([200, 'echo']);
  });

  test('a weight of 90 to 10 splits about so, and a subset is chosen by its labels', async () => {
    world = await World.start(
      istio(
        'DestinationRule',
        'echo',
        'host: echo\nsubsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]',
      ) +
        istio(
          'VirtualService',
          'echo',
          `hosts: [echo]
http:
  - route:
      - { destination: { host: echo, subset: v1 }, weight: 90 }
      - { destination: { host: echo, subset: v2 }, weight: 10 }`,
        ),
    );
    for (const version of ['v1', 'v2']) {
      await world.serve({ service: 'echo', version }, (_request, response) => response.end(version));
    }
    const client = await world.join({ random: seededRandom(11) });
    let second = 0;
    for (let i = 0; i < 400; i++) if ((await answerOf(client.fetch('http://echo/')))[1] === 'v2') second++;
    expect(Math.abs(second - 40)).toBeLessThan(5 * Math.sqrt(400 * 0.1 * 0.9));
  });
});

describe('namespaces', () => {
  test('a short name means the caller’s own namespace; another one is named', async () => {
    world = await World.start(service('reviews', 80, 'default') + service('reviews', 80, 'other'));
    for (const namespace of ['default', 'other']) {
      await world.serve({ service: 'reviews', namespace }, (_request, response) => response.end(namespace));
    }
    const here = await world.join();
    const there = await world.join({ namespace: 'other' });
    const ask = async (mesh: Mesh, host: string) => (await answerOf(mesh.fetch(`http://${host}/`)))[1];
    expect(await ask(here, 'reviews')).toBe('default');
    expect(await ask(here, 'reviews.other')).toBe('other');
    expect(await ask(here, 'reviews.other.svc')).toBe('other');
    expect(await ask(here, 'reviews.other.svc.cluster.local')).toBe('other');
    expect(await ask(there, 'reviews')).toBe('other');
    expect(await ask(there, 'reviews.default')).toBe('default');
  });

  test('a service of another namespace has no short name here', async () => {
    world = await World.start(service('reviews', 80, 'other'));
    await world.serve({ service: 'reviews', namespace: 'other' }, (_request, response) =>
      response.end('other'),
    );
    const client = await world.join();
    expect(await answerOf(client.fetch('http://reviews.other/'))).toEqual([200, 'other']);
    expect(client.core.lookup('http://reviews')).toBeUndefined();
  });

  test('exportTo hides a service and the routes of others', async () => {
    world = await World.start(
      service('secret', 80, 'other').replace(
        'namespace: other }',
        'namespace: other, annotations: { networking.istio.io/exportTo: "." } }',
      ) +
        service('open', 80, 'other') +
        istio(
          'VirtualService',
          'open',
          `hosts: [open]
exportTo: ["."]
http: [{ directResponse: { status: 200, body: { string: private } } }]`,
          'other',
        ),
    );
    for (const name of ['secret', 'open']) {
      await world.serve({ service: name, namespace: 'other' }, (_request, response) => response.end(name));
    }
    const here = await world.join();
    const there = await world.join({ namespace: 'other' });
    expect(here.core.lookup('http://secret.other')).toBeUndefined();
    expect(await answerOf(there.fetch('http://secret/'))).toEqual([200, 'secret']);
    expect(await answerOf(here.fetch('http://open.other/'))).toEqual([200, 'open']);
    expect(await answerOf(there.fetch('http://open/'))).toEqual([200, 'private']);
  });
});

test('routes of the Gateway API hold for clients in the mesh, by their order, their filters and their shares', async () => {
  const route = (rules: string, name = 'echo') => `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name} }
spec:
  parentRefs: [{ group: "", kind: Service, name: echo }]
  rules:
${rules.trim().replace(/^/gm, '    ')}
`;
  world = await World.start(
    route(`
- backendRefs: [{ name: echo, port: 80 }]
- matches: [{ path: { value: /v2 } }]
  filters:
    - { type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }
    - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-by, value: route }] } }
  backendRefs: [{ name: second, port: 80 }]
- matches: [{ path: { type: Exact, value: /lost } }]
  backendRefs: [{ name: nowhere, port: 80 }]
- matches: [{ path: { value: /go } }]
  filters: [{ type: RequestRedirect, requestRedirect: { hostname: example.org, statusCode: 301 } }]`),
  );
  for (const name of ['echo', 'second']) {
    await world.serve({ service: name }, (request, response) =>
      response.end(`${name} ${request.url} ${request.headers['x-by'] ?? ''}`),
    );
  }
  const client = await world.join();
  expect(await answerOf(client.fetch('http://echo/v2/a?b'))).toEqual([200, 'second /a?b route']);
  expect(await answerOf(client.fetch('http://echo/v2a'))).toEqual([200, 'echo /v2a ']);
  expect((await client.fetch('http://echo/lost')).status).toBe(500);
  const redirected = await client.fetch('http://echo/go/on', { redirect: 'manual' });
  expect([redirected.status, redirected.headers.get('location')]).toEqual([301, 'http://example.org/go/on']);
});
