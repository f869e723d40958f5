import { describe, expect, test } from 'vitest';
import { decodeLogFilter, encodeLogFilter } from '../../../../src/codec/access-log-filter.js';
import { rootPath } from '../../../../src/codec/path.js';
import { isLogFilter, logFilterOf } from '../../../../src/control-plane/compile/log-filter.js';
import { seededRandom } from '../../../../src/runtime/random.js';
import { createExchange } from '../../../../src/service/context.js';
import { HeaderMap } from '../../../../src/service/headers.js';
import { compileLogFilter } from '../../../../src/telemetry/access-log-filter.js';

interface Case {
  readonly code?: number;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly tookMs?: number;
  /** There is no request: a connection of TCP. */
  readonly isTcp?: boolean;
}

/** Whether an exchange is logged, by the filter as it comes out of the wire. */
function logs(
  expression: string,
  { code = 200, path = '/a?b=c', headers = {}, tookMs = 5, isTcp = false }: Case,
) {
  const filter = logFilterOf(expression);
  if (filter === undefined) throw new Error(`not read: ${expression}`);
  const sent = decodeLogFilter(encodeLogFilter(filter), rootPath('filter'));
  expect(sent).toEqual(filter);
  const map = HeaderMap.empty();
  for (const [name, value] of Object.entries(headers)) map.append(name, value);
  return compileLogFilter(
    sent,
    seededRandom(1),
  )({
    request: isTcp
      ? undefined
      : { method: 'GET', scheme: 'http', authority: 'web.example', path, headers: map },
    response: isTcp ? undefined : { status: code, headers: HeaderMap.empty() },
    trailers: undefined,
    exchange: createExchange('inbound', 1000, 0),
    endMs: 1000 + tookMs,
  });
}

describe('expressions that are read', () => {
  test.each<[expression: string, logged: readonly Case[], not: readonly Case[]]>([
    ['response.code >= 400', [{ code: 400 }, { code: 503 }], [{ code: 399 }, { isTcp: true }]],
    ['response.code < 400', [{ code: 200 }], [{ code: 400 }, { isTcp: true }]],
    ['response.code != 200', [{ code: 201 }], [{ code: 200 }, { isTcp: true }]],
    ['400 <= response.code && 500 > response.code', [{ code: 404 }], [{ code: 500 }, { code: 200 }]],
    ['response.code in [404, 429]', [{ code: 404 }, { code: 429 }], [{ code: 200 }, { isTcp: true }]],
    ['!(response.code in [200])', [{ code: 500 }], [{ code: 200 }, { isTcp: true }]],
    ['has(response.code)', [{ code: 200 }], [{ isTcp: true }]],
    ['!has(response.code)', [{ isTcp: true }], [{ code: 200 }]],
    ['request.duration > duration("1s")', [{ tookMs: 1001 }], [{ tookMs: 1000 }]],
    ["request.duration <= duration('1.5s')", [{ tookMs: 1500 }], [{ tookMs: 1501 }]],
    ['request.method == "GET"', [{}], [{ isTcp: true }]],
    ['request.method in ["PUT", "POST"]', [], [{}]],
    ['request.host.endsWith(".example")', [{}], []],
    ['request.path == "/a?b=c"', [{}], [{ path: '/a' }]],
    ['request.url_path == "/a"', [{}, { path: '/a' }], [{ path: '/ab' }, { path: '/a/' }]],
    ['request.url_path.startsWith("/a.")', [{ path: '/a.b?c' }], [{ path: '/ab' }]],
    ['request.url_path.endsWith("z")', [{ path: '/z?y' }, { path: '/z' }], [{ path: '/y?z' }]],
    ['request.url_path.contains("z")', [{ path: '/zz?y' }], [{ path: '/y?z' }]],
    ['request.path.matches("^/v[0-9]+/")', [{ path: '/v12/x' }], [{ path: '/x/v1/' }]],
    ['request.path.matches("v1")', [{ path: '/x/v1/y' }], [{ path: '/x' }]],
    ['request.path.contains("")', [{}], [{ isTcp: true }]],
    [
      'request.headers["X-Test"] == "on"',
      [{ headers: { 'x-test': 'on' } }],
      [{ headers: { 'x-test': 'off' } }, {}],
    ],
    // CEL: a header that is not there makes the comparison fail, whichever way it goes.
    [
      'request.headers["x-test"] != "on"',
      [{ headers: { 'x-test': 'off' } }],
      [{ headers: { 'x-test': 'on' } }, {}],
    ],
    ['!(request.headers["x-test"] == "on")', [{ headers: { 'x-test': 'off' } }], [{}]],
    ['request.headers["x"] != "on" || response.code == 500', [{ code: 500 }], [{}]],
    ['"x-test" in request.headers', [{ headers: { 'x-test': '' } }], [{}]],
    ['!("x-test" in request.headers)', [{}], [{ headers: { 'x-test': '' } }]],
    [
      'response.code >= 500 || (request.useragent.startsWith("curl") && !(request.method == "HEAD"))',
      [{ code: 500 }, { headers: { 'user-agent': 'curl/8' } }],
      [{}, { headers: { 'user-agent': 'wget' } }],
    ],
    ['"it\'s" == request.referer', [{ headers: { referer: "it's" } }], [{}]],
  ])('%s', (expression, logged, not) => {
    for (const one of logged) expect([one, logs(expression, one)]).toEqual([one, true]);
    for (const one of not) expect([one, logs(expression, one)]).toEqual([one, false]);
  });

  test('an empty one filters nothing', () => {
    expect([isLogFilter(''), isLogFilter(undefined), logFilterOf(' ')]).toEqual([true, true, undefined]);
  });
});

test.each([
  'response.code',
  'response.code >= "400"',
  'response.code >= 400 &&',
  'response.code >= 400 response.code',
  '(response.code >= 400',
  'request.host == 1',
  'request.host < "a"',
  'request.duration > 5',
  'request.duration > duration("5 years")',
  'connection.mtls',
  'xds.cluster_name == "BlackHoleCluster"',
  'request.path.matches("(")',
  'request.url_path.matches("a$")',
  'request.path.size() > 5',
  'request.headers["a b"] == "x"',
  'request.headers[x] == "x"',
  'request.path == "\\u0041"',
  '1 + 1 == 2',
  'true',
  `${'('.repeat(100_000)}response.code == 1`,
  `${'!'.repeat(100_000)}has(response.code)`,
])('%s is not read', (expression) => {
  expect(isLogFilter(expression)).toBe(false);
});
