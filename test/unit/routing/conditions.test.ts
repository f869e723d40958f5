import { describe, expect, test } from 'vitest';
import type { RouteMatch } from '../../../src/model/route-match.js';
import type { ValueMatcher } from '../../../src/model/value-matcher.js';
import { compileConditions } from '../../../src/routing/conditions.js';
import { compileRoutes, withoutPort } from '../../../src/routing/router.js';
import { compileMetadata, compileValue } from '../../../src/routing/value-match.js';
import type { PeerCertificate } from '../../../src/service/connection.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request } from '../../../src/service/service.js';
import { makeRequest } from '../filters/support.js';
import { prefix, route, table, virtualHost } from './fixtures.js';

const exact = (value: string) => ({ kind: 'exact' as const, value, ignoreCase: false });

function holds(match: Partial<RouteMatch>, request: Request): boolean {
  return compileConditions(route('', prefix('/'), match).match)(request, 0);
}

const certificate: PeerCertificate = {
  uriSans: [],
  dnsSans: [],
  subject: '',
  issuer: '',
  serial: '',
  sha256: '',
  notBeforeMs: 0,
  notAfterMs: 0,
  pem: '',
};

function over(tls: 'none' | 'bare' | 'unverified' | 'verified'): Request {
  const request = makeRequest();
  const none = { serverName: undefined, version: 'TLSv1.3', cipher: '', sessionId: undefined };
  request.context.connection = {
    id: 1,
    directRemote: undefined,
    remote: undefined,
    local: undefined,
    tls:
      tls === 'none'
        ? undefined
        : {
            ...none,
            alpn: undefined,
            localUriSan: undefined,
            peer: tls === 'bare' ? undefined : certificate,
            peerVerified: tls === 'verified',
          },
  };
  return request;
}

describe('conditions of a route', () => {
  test('cookies: the first of the name counts; missing is not matched before that is inverted', () => {
    const cookies = (invert: boolean) => ({ cookies: [{ name: 'user', matcher: exact('jason'), invert }] });
    const request = makeRequest({ header: { cookie: 'a=b; user="jason"; user=other' } });
    expect([holds(cookies(false), request), holds(cookies(true), request)]).toEqual([true, false]);
    expect([holds(cookies(false), makeRequest()), holds(cookies(true), makeRequest())]).toEqual([
      false,
      true,
    ]);
  });

  test.each([
    ['none', false, false],
    ['bare', false, false],
    ['unverified', true, false],
    ['verified', true, true],
  ] as const)('over TLS %s: presented %s, validated %s', (kind, presented, validated) => {
    const request = over(kind);
    expect(holds({ tls: { presented: true, validated: undefined } }, request)).toBe(presented);
    expect(holds({ tls: { presented: false, validated: undefined } }, request)).toBe(!presented);
    expect(holds({ tls: { presented: undefined, validated: true } }, request)).toBe(validated);
    expect(holds({ tls: { presented: undefined, validated: false } }, request)).toBe(!validated);
    expect(holds({ tls: { presented: undefined, validated: undefined } }, request)).toBe(true);
  });

  test('dynamic metadata: what is not there matches nothing before that is inverted', () => {
    const value: ValueMatcher = { kind: 'string', matcher: exact('gold') };
    const matcher = { namespace: 'a', path: ['user', 'tier'], value, invert: false };
    const request = makeRequest();
    expect(holds({ dynamicMetadata: [matcher] }, request)).toBe(false);
    expect(holds({ dynamicMetadata: [{ ...matcher, invert: true }] }, request)).toBe(true);
    request.context.dynamicMetadata = new Map([['a', { user: { tier: 'gold' } }]]);
    expect(holds({ dynamicMetadata: [matcher] }, request)).toBe(true);
  });

  test('filter state: texts, and addresses by ranges', () => {
    const request = makeRequest();
    const byText = { key: 'who', match: { kind: 'string' as const, matcher: exact('jason') } };
    const ranges = [
      { address: '10.0.0.0', bits: 8 },
      { address: 'fd00::', bits: 8 },
    ];
    const byRange = { key: 'at', match: { kind: 'address' as const, ranges } };
    expect(holds({ filterState: [byText] }, request)).toBe(false);
    expect(holds({ filterState: [byRange] }, request)).toBe(false);
    const state = new Map<string, unknown>([['who', 'jason']]);
    request.context.filterState = state;
    expect(holds({ filterState: [byText] }, request)).toBe(true);
    for (const [address, expected] of [
      ['10.1.2.3', true],
      ['11.1.2.3', false],
      ['fd12::1', true],
      [{ address: '10.9.9.9', port: 1 }, true],
      ['no address', false],
      [10, false],
    ] as const) {
      state.set('at', address);
      expect(holds({ filterState: [byRange] }, request), String(address)).toBe(expected);
    }
  });

  test('gRPC needs the content type and a path', () => {
    const header = { 'content-type': 'application/grpc+proto' };
    expect(holds({ grpcOnly: true }, makeRequest({ header }))).toBe(true);
    expect(holds({ grpcOnly: true }, makeRequest({ header, path: '', method: 'CONNECT' }))).toBe(false);
  });
});

describe('a value of metadata', () => {
  test.each<[ValueMatcher, unknown, boolean]>([
    [{ kind: 'null' }, null, true],
    [{ kind: 'null' }, undefined, false],
    [{ kind: 'bool', value: false }, false, true],
    [{ kind: 'bool', value: false }, 0, false],
    [{ kind: 'number', value: 1 }, 1, true],
    [{ kind: 'number', value: 1 }, '1', false],
    [{ kind: 'range', start: 1, end: 2 }, 1, true],
    [{ kind: 'range', start: 1, end: 2 }, 2, false],
    [{ kind: 'present', value: true }, {}, true],
    [{ kind: 'present', value: true }, undefined, false],
    [{ kind: 'present', value: false }, undefined, false],
    [{ kind: 'one-of', matcher: { kind: 'number', value: 2 } }, [1, 2], true],
    [{ kind: 'one-of', matcher: { kind: 'number', value: 2 } }, 2, false],
    [{ kind: 'or', matchers: [{ kind: 'null' }, { kind: 'bool', value: true }] }, true, true],
    [{ kind: 'or', matchers: [{ kind: 'null' }, { kind: 'bool', value: true }] }, false, false],
  ])('%o on %o: %s', (matcher, value, expected) => {
    expect(compileValue(matcher)(value)).toBe(expected);
  });

  test('is found by own keys only', () => {
    const matcher = {
      namespace: 'a',
      path: ['constructor'],
      value: { kind: 'present', value: true },
      invert: false,
    };
    expect(compileMetadata(matcher as Parameters<typeof compileMetadata>[0])(new Map([['a', {}]]))).toBe(
      false,
    );
  });
});

describe('the virtual host', () => {
  const hosts = [
    virtualHost('a', ['a.b'], [route('a', prefix('/'))]),
    virtualHost('c', ['*'], [route('c', prefix('/'))]),
  ];

  test('may be named by a header; without the header there is none', () => {
    const router = compileRoutes({ ...table(...hosts), virtualHostHeader: 'x-host' });
    const named = (value?: string) =>
      makeRequest({ authority: 'z', headers: HeaderMap.from([['x-host', value]]) });
    expect(router.select(named('A.B'), 0)?.route.name).toBe('a');
    expect(router.select(named('x'), 0)?.route.name).toBe('c');
    expect(router.virtualHost(named())).toBeUndefined();
    expect(router.virtualHost(named(''))).toBeUndefined();
  });

  test('a table for every host looks at none', () => {
    const router = compileRoutes({ ...table(virtualHost('all', ['*'], [])), virtualHostHeader: 'x-host' });
    expect(router.virtualHost(makeRequest())?.name).toBe('all');
  });

  test.each([
    ['a.b:80', 'a.b'],
    ['a.b', 'a.b'],
    ['[::1]:80', '[::1]'],
    ['[::1]', '[::1]'],
    ['a:b', 'a:b'],
  ])('%s without its port is %s', (host, expected) => expect(withoutPort(host)).toBe(expected));

  test('may be found without the port, when the table says so', () => {
    const request = makeRequest({ authority: 'a.b:80' });
    expect(compileRoutes(table(...hosts)).select(request, 0)?.route.name).toBe('c');
    expect(compileRoutes({ ...table(...hosts), ignorePortInHost: true }).select(request, 0)?.route.name).toBe(
      'a',
    );
  });

  test('parameters of a path don’t count when the table says so, but for templates', () => {
    const routes = [
      route('template', { kind: 'template', template: '/t/{x}' }),
      route('path', { kind: 'path', value: '/a/b', caseSensitive: true }),
    ];
    const config = table(virtualHost('v', ['*'], routes));
    const request = makeRequest({ path: '/a;v=1/b;w?q' });
    expect(compileRoutes(config).select(request, 0)).toBeUndefined();
    const router = compileRoutes({ ...config, ignorePathParameters: true });
    expect(router.select(request, 0)?.route.name).toBe('path');
    expect(router.select(makeRequest({ path: '/t/a;b' }), 0)?.route.name).toBe('template');
  });
});

describe('CONNECT', () => {
  const router = compileRoutes(
    table(
      virtualHost(
        'v',
        ['*'],
        [route('regex', { kind: 'regex', pattern: '.*' }), route('connect', { kind: 'connect' })],
      ),
    ),
  );

  test('without a path has routes for CONNECT only', () => {
    expect(router.select(makeRequest({ method: 'CONNECT', path: '' }), 0)?.route.name).toBe('connect');
  });

  test('routes for it match nothing else', () => {
    const only = compileRoutes(table(virtualHost('v', ['*'], [route('connect', { kind: 'connect' })])));
    expect(only.select(makeRequest({ path: '/a' }), 0)).toBeUndefined();
    expect(only.select(makeRequest({ method: 'CONNECT', path: '/a' }), 0)?.route.name).toBe('connect');
  });
});
