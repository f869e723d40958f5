import { describe, expect, test } from 'vitest';
import { NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { AppendAction, HeaderAddition, HeaderRules } from '../../../src/model/header-mutation.js';
import { NO_MUTATIONS } from '../../../src/model/header-mutation.js';
import type { RedirectAction } from '../../../src/model/redirect.js';
import type { Route, RouteAction, RouteConfiguration, VirtualHost } from '../../../src/model/route.js';
import type { Request } from '../../../src/service/service.js';
import { cluster, endpoint, forward, snapshotOf } from '../../integration/support/static-mesh.js';
import { createDataPath } from './support.js';

const add = (
  name: string,
  value: string,
  action: AppendAction = 'append-if-exists-or-add',
  keepEmpty = false,
): HeaderAddition => ({ name, value, action, keepEmpty });

const rules = (part: Partial<HeaderRules>): HeaderRules => ({
  request: NO_MUTATIONS,
  response: NO_MUTATIONS,
  ...part,
});

/** Sends one request through a table; gives the answer and the request that reached the endpoint. */
async function exchange(
  route: Route,
  more: {
    host?: Partial<VirtualHost>;
    table?: Partial<RouteConfiguration>;
    hostname?: string;
    isTrusted?: (resource: string) => boolean;
  } = {},
  change: Parameters<ReturnType<typeof createDataPath>['send']>[1] = {},
) {
  const virtualHost: VirtualHost = {
    name: 'v',
    domains: ['*'],
    routes: [route],
    retryPolicy: undefined,
    filterOverrides: NO_OVERRIDES,
    includeRequestAttemptCount: false,
    ...more.host,
  };
  const table: RouteConfiguration = { name: 'r', virtualHosts: [virtualHost], ...more.table };
  const snapshot = snapshotOf(
    [
      {
        listener: {
          kind: 'outbound',
          name: 'reviews:80',
          http: {
            routes: { kind: 'inline', config: table },
            filters: [{ name: 'router', config: { kind: 'router' } }],
          },
        },
        routes: table,
      },
    ],
    [cluster('v1', [{ ...endpoint(1), hostname: more.hostname ?? '' }])],
  );
  const path = createDataPath(snapshot, { isTrusted: more.isTrusted });
  let seen: Request | undefined;
  path.network.serve('127.0.0.1:1', (request) => {
    seen = request;
    return { status: 200, body: 'ok', headers: { 'x-from': 'upstream' } };
  });
  const response = await path.send('http://reviews', change);
  return { response, seen };
}

const withAction = (part: Partial<RouteAction>, match: Partial<Route['match']> = {}): Route => {
  const route = forward('v1', part);
  return { ...route, match: { ...route.match, ...match } };
};

describe('header mutations of a route', () => {
  const one = (value: string) => rules({ request: { remove: [], add: [add('x-a', value, OVERWRITE)] } });
  const OVERWRITE = 'overwrite-if-exists-or-add' as const;

  test('the table wins over the virtual host, that one over the route, unless the most specific is to win', async () => {
    const route = { ...forward('v1'), headers: one('route') };
    const more = { host: { headers: one('host') }, table: { headers: one('table') } };
    expect((await exchange(route, more)).seen?.headers.get('x-a')).toBe('table');
    const reversed = { ...more, table: { ...more.table, mostSpecificHeaderMutationsWins: true } };
    expect((await exchange(route, reversed)).seen?.headers.get('x-a')).toBe('route');
  });

  test('removals come first, then values are read, then overwrites, then additions', async () => {
    const headers = rules({
      request: {
        remove: ['x-old'],
        add: [
          add('x-list', 'b'),
          add('x-list', 'a', OVERWRITE),
          add('x-copy', '%REQ(x-list)%|%REQ(x-old)%'),
          add('x-absent', 'no', 'overwrite-if-exists'),
          add('x-list', 'no', 'add-if-absent'),
          add('x-empty', '%REQ(x-none)%'),
          add('x-kept', '%REQ(x-none)%', 'append-if-exists-or-add', true),
        ],
      },
    });
    const { seen } = await exchange(
      { ...forward('v1'), headers },
      {},
      {
        header: { 'x-old': 'gone', 'x-list': 'first' },
      },
    );
    expect(seen?.headers.getAll('x-list')).toEqual(['a', 'b']);
    expect(seen?.headers.get('x-copy')).toBe('first|');
    expect(seen?.headers.get('x-kept')).toBe('');
    expect(['x-old', 'x-absent', 'x-empty'].filter((name) => seen?.headers.has(name))).toEqual([]);
  });

  test('a response is changed on the way back, local answers of the router too', async () => {
    const headers = rules({
      response: { remove: ['x-from'], add: [add('x-code', '%RESPONSE_CODE% %RESPONSE_FLAGS%')] },
    });
    const { response } = await exchange({ ...forward('v1'), headers });
    expect([response.headers.get('x-code'), response.headers.has('x-from')]).toEqual(['200 ', false]);
    const gone = await exchange({ ...forward('nowhere'), headers });
    expect(gone.response.headers.get('x-code')).toBe('503 NC');
  });

  test('the attempt count goes back to the caller when the virtual host asks for it', async () => {
    const host = { includeAttemptCountInResponse: true };
    const { response } = await exchange(forward('v1'), { host });
    expect(response.headers.get('x-envoy-attempt-count')).toBe('1');
  });

  test('a direct response has its route’s response headers (RFC: content type appended, not replaced)', async () => {
    const route: Route = {
      ...forward('v1'),
      action: { kind: 'direct-response', status: 200, body: '{}' },
      headers: rules({ response: { remove: [], add: [add('content-type', 'application/json', OVERWRITE)] } }),
    };
    const { response, seen } = await exchange(route);
    expect(seen).toBeUndefined();
    expect(response.headers.getAll('content-type')).toEqual(['application/json']);
  });
});

describe('rewrites', () => {
  const prefixMatch = (value: string): Partial<Route['match']> => ({
    path: { kind: 'prefix', value, caseSensitive: true },
  });

  test('a prefix is replaced, the query stays, no slash is repaired', async () => {
    const route = withAction({ pathRewrite: { kind: 'prefix', value: '/' } }, prefixMatch('/a'));
    const { seen } = await exchange(route, {}, { path: '/a/b?c=d' });
    expect(seen?.path).toBe('//b?c=d');
    expect(seen?.headers.get('x-envoy-original-path')).toBe('/a/b?c=d');
  });

  test('a regular expression replaces every match in the path, not in the query', async () => {
    const rewrite = { pattern: '/(\\w)(\\w*)', substitution: '/\\2\\1\\\\' };
    const route = withAction({ pathRewrite: { kind: 'regex', rewrite } });
    expect((await exchange(route, {}, { path: '/abc/de?/fg' })).seen?.path).toBe('/bca\\/ed\\?/fg');
  });

  test('the host: literal, from a header, from the path; the old one is remembered', async () => {
    const literal = await exchange(
      withAction({ hostRewrite: { kind: 'literal', value: 'new' }, appendForwardedHost: true }),
      {},
      { authority: 'old', header: { 'x-forwarded-host': 'first' } },
    );
    expect(literal.seen?.authority).toBe('new');
    expect(literal.seen?.headers.get('x-forwarded-host')).toBe('first,old');
    expect(literal.seen?.headers.get('x-envoy-original-host')).toBe('old');
    const byHeader = withAction({ hostRewrite: { kind: 'header', name: 'x-h' } });
    expect((await exchange(byHeader, {}, { header: { 'x-h': 'named' } })).seen?.authority).toBe('named');
    expect((await exchange(byHeader)).seen?.authority).toBe('reviews');
    const rewrite = { pattern: '^/([^/]+)/.*$', substitution: '\\1' };
    const byPath = withAction({ hostRewrite: { kind: 'path-regex', rewrite } });
    expect((await exchange(byPath, {}, { path: '/shop/x?y' })).seen?.authority).toBe('shop');
  });

  test('auto_host_rewrite takes the name of the endpoint that was chosen', async () => {
    const route = withAction({ hostRewrite: { kind: 'auto' }, appendForwardedHost: true });
    const { seen } = await exchange(route, { hostname: 'pod-1.reviews' });
    expect(seen?.authority).toBe('pod-1.reviews');
    expect(seen?.headers.get('x-forwarded-host')).toBe('reviews');
    expect((await exchange(route)).seen?.authority).toBe('reviews');
  });

  test('gRPC calls are renamed by servers only that are trusted (A81), requests in any case', async () => {
    const route = withAction({ hostRewrite: { kind: 'auto' } });
    const call = { header: { 'content-type': 'application/grpc' } };
    const asked: string[] = [];
    const from = (trusts: boolean) => ({
      hostname: 'pod-1.reviews',
      isTrusted: (resource: string) => {
        asked.push(resource);
        return trusts;
      },
    });
    expect((await exchange(route, from(false), call)).seen?.authority).toBe('reviews');
    // The table came in its listener.
    expect(asked).toEqual(['reviews:80']);
    expect((await exchange(route, from(true), call)).seen?.authority).toBe('pod-1.reviews');
    expect((await exchange(route, from(false))).seen?.authority).toBe('pod-1.reviews');
    expect((await exchange(route, { hostname: 'pod-1.reviews' }, call)).seen?.authority).toBe(
      'pod-1.reviews',
    );
  });
});

describe('redirects', () => {
  const redirect = (part: Partial<RedirectAction>, change: Partial<Request> = {}, match = {}) => {
    const action: RedirectAction = {
      kind: 'redirect',
      status: 301,
      scheme: undefined,
      https: false,
      host: '',
      port: 0,
      path: undefined,
      stripQuery: false,
      ...part,
    };
    const base = forward('v1');
    return exchange({ ...base, action, match: { ...base.match, ...match } }, {}, change).then(
      ({ response }) => `${response.status} ${response.headers.get('location')}`,
    );
  };

  test.each([
    [
      'to https, the port of http goes',
      { https: true },
      { authority: 'a.b:80', path: '/x?y' },
      '301 https://a.b/x?y',
    ],
    ['another port stays', { https: true }, { authority: 'a.b:8080', path: '/' }, '301 https://a.b:8080/'],
    ['to a host and a port', { host: 'new', port: 81, status: 307 }, { path: '/x' }, '307 http://new:81/x'],
    [
      'a new port replaces the old',
      { port: 81 },
      { authority: '[::1]:9', path: '/' },
      '301 http://[::1]:81/',
    ],
    [
      'a path keeps the query',
      { path: { kind: 'path', value: '/p' } },
      { authority: 'h', path: '/?q' },
      '301 http://h/p?q',
    ],
    [
      'a path’s own query is never stripped',
      { path: { kind: 'path', value: '/p?own' }, stripQuery: true },
      { authority: 'h', path: '/?q' },
      '301 http://h/p?own',
    ],
    ['without query', { stripQuery: true, status: 308 }, { authority: 'h', path: '/a?q' }, '308 http://h/a'],
  ] as const)('%s', async (_what, action, change, expected) => {
    expect(await redirect(action as Partial<RedirectAction>, change)).toBe(expected);
  });

  test('require_tls sends plaintext to https; internal requests may stay', async () => {
    const host = { requireTls: 'external-only' as const };
    const plain = await exchange(forward('v1'), { host }, { authority: 'h', path: '/a' });
    expect(plain.response.headers.get('location')).toBe('https://h/a');
    const internal = await exchange(forward('v1'), { host }, { header: { 'x-envoy-internal': 'true' } });
    expect(internal.response.status).toBe(200);
  });
});
