import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HeaderMatcher, PathMatcher, StringMatcher } from '../../src/model/matcher.js';
import type { Route } from '../../src/model/route.js';
import { compileRoutes } from '../../src/routing/router.js';
import { selectRoute } from '../../src/routing/select-route.js';
import { exactHeader, head, route, table, virtualHost } from '../unit/routing/fixtures.js';
import { matchTree } from './match-arbitraries.js';

const segment = fc.constantFrom('a', 'b', 'A', 'ab', 'abc', '', 'a;p=1', ';');
const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
const pathMatcher: fc.Arbitrary<PathMatcher> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('prefix' as const, 'path' as const, 'path-separated-prefix' as const),
    value: path,
    caseSensitive: fc.boolean(),
  }),
  fc.constantFrom(
    { kind: 'regex' as const, pattern: '/a.*' },
    { kind: 'regex' as const, pattern: '.*b' },
    { kind: 'regex' as const, pattern: '/(a|b)+' },
    { kind: 'regex' as const, pattern: '/a/b?' },
    { kind: 'template' as const, template: '/a/{x}' },
    { kind: 'template' as const, template: '/{x=a/*}/**' },
    { kind: 'template' as const, template: '/**/b' },
    { kind: 'connect' as const },
    // Many routes of one path are told apart by headers.
    { kind: 'prefix' as const, value: '/', caseSensitive: true },
    { kind: 'path' as const, value: '/a', caseSensitive: true },
  ),
);
const header: fc.Arbitrary<HeaderMatcher> = fc
  .record({
    name: fc.constantFrom('x', 'y', ':method'),
    value: fc.constantFrom('1', '2', 'GET'),
    invert: fc.integer({ min: 0, max: 3 }).map((one) => one === 0),
  })
  .map(({ name, value, invert }) => exactHeader(name, value, { invert }));
const someRoute: fc.Arbitrary<Route> = fc
  .record({
    path: pathMatcher,
    headers: fc.array(header, { maxLength: 2 }),
    grpcOnly: fc.boolean(),
    fraction: fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined, freq: 4 }),
  })
  .map(({ path, headers, grpcOnly, fraction }) =>
    route('', path, {
      headers,
      grpcOnly: grpcOnly && headers.length > 0,
      runtimeFraction: fraction === undefined ? undefined : { numerator: fraction, denominator: 100 },
    }),
  );
const text: fc.Arbitrary<StringMatcher> = fc.record({
  kind: fc.constantFrom('exact' as const, 'prefix' as const, 'contains' as const),
  value: fc.constantFrom('1', '/a', '2'),
  ignoreCase: fc.boolean(),
});
const label = fc.constantFrom('a', 'b', 'ab', 'a.b', 'b.a', 'A.B');
const domain = fc.oneof(
  label,
  label.map((text) => `*.${text}`),
  label.map((text) => `*${text}`),
  label.map((text) => `${text}.*`),
  label.map((text) => `${text}*`),
  fc.constant('*'),
);
const options = fc.record({
  virtualHostHeader: fc.option(fc.constant('x'), { nil: undefined, freq: 5 }),
  ignorePortInHost: fc.boolean(),
  ignorePathParameters: fc.boolean(),
});
const hosts = fc
  .array(
    fc.record({
      domains: fc.array(domain, { minLength: 1, maxLength: 3 }),
      routes: fc.array(someRoute, { maxLength: 40 }),
      tree: fc.oneof(
        { weight: 4, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: matchTree(fc.array(someRoute, { maxLength: 12 }), text) },
      ),
    }),
    {
      minLength: 1,
      maxLength: 5,
    },
  )
  .map((list) =>
    list.map(({ domains, routes, tree }, i) =>
      tree === undefined
        ? virtualHost(`v${i}`, domains, routes)
        : { ...virtualHost(`v${i}`, domains, []), matcher: tree },
    ),
  );
const tables = fc.tuple(hosts, options).map(([list, more]) => ({ ...table(...list), ...more }));
const request = fc.record({
  path: fc.oneof(
    {
      weight: 9,
      arbitrary: fc.tuple(path, fc.constantFrom('', '?q=1', '#f', '?a#b')).map((parts) => parts.join('')),
    },
    { weight: 1, arbitrary: fc.constant('') },
  ),
  method: fc.constantFrom('GET', 'GET', 'CONNECT'),
  authority: fc.oneof(
    label,
    fc.tuple(label, label).map(([a, b]) => `${a}.${b}`),
    label.map((text) => `${text}:80`),
    fc.constantFrom('', '[::1]:80', 'a:', 'a:x'),
  ),
  headers: fc.array(
    fc.tuple(fc.constantFrom('x', 'y', 'content-type'), fc.constantFrom('1', '2', 'application/grpc')),
    { maxLength: 3 },
  ),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

describe('the compiled router', () => {
  test('chooses what a plain reading of the configuration chooses', () => {
    fc.assert(
      fc.property(tables, fc.array(request, { minLength: 1, maxLength: 10 }), (config, requests) => {
        const router = compileRoutes(config);
        for (const { path: text, authority, method, headers, random } of requests) {
          const one = head(text, [[':authority', authority], [':method', method], ...headers]);
          const fast = router.select(one, random);
          const naive = selectRoute(config, one, random);
          expect(fast?.virtualHost).toBe(naive?.virtualHost);
          expect(fast?.route).toBe(naive?.route);
        }
      }),
      { numRuns: 400 },
    );
  });
});
