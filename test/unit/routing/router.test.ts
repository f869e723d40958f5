import { describe, expect, test } from 'vitest';
import { compileRoutes } from '../../../src/routing/router.js';
import { exactHeader, head, prefix, route, table, virtualHost } from './fixtures.js';

const select = (config: Parameters<typeof compileRoutes>[0], ...request: Parameters<typeof head>) =>
  compileRoutes(config).select(head(...request), 0.5)?.route.name;

describe('the router', () => {
  test('takes the first route that matches, not the most specific one', () => {
    const config = table(
      virtualHost('v', ['*'], [route('wide', prefix('/')), route('narrow', prefix('/api'))]),
    );
    expect(select(config, '/api')).toBe('wide');
  });

  test('keeps the configured order when there are many routes', () => {
    const many = Array.from({ length: 50 }, (_, i) => route(`r${i}`, prefix(`/${i}`)));
    const config = table(
      virtualHost(
        'v',
        ['*'],
        [
          ...many,
          route('regex', { kind: 'regex', pattern: '/x/[a-z]+' }),
          route('exact', { kind: 'path', value: '/x/abc', caseSensitive: true }),
          route('insensitive', prefix('/Y', false)),
          route('segment', { kind: 'path-separated-prefix', value: '/z', caseSensitive: true }),
          route('late', prefix('/4')),
          route('rest', prefix('/')),
        ],
      ),
    );
    expect(select(config, '/4')).toBe('r4');
    expect(select(config, '/49')).toBe('r4');
    expect(select(config, '/x/abc')).toBe('regex');
    expect(select(config, '/x/1')).toBe('rest');
    expect(select(config, '/y/1?q=1')).toBe('insensitive');
    expect(select(config, '/z')).toBe('segment');
    expect(select(config, '/zz')).toBe('rest');
  });

  test('falls through to the next route when a header does not match', () => {
    const config = table(
      virtualHost(
        'v',
        ['*'],
        [
          route('jason', prefix('/'), { headers: [exactHeader('end-user', 'jason')] }),
          route('rest', prefix('/')),
        ],
      ),
    );
    expect(select(config, '/', [['end-user', 'jason']])).toBe('jason');
    expect(select(config, '/')).toBe('rest');
  });

  test('tells the virtual host with the route, and nothing when none matches', () => {
    const config = table(
      virtualHost('a', ['reviews'], [route('r', prefix('/a'))]),
      virtualHost('b', ['*'], [route('r', prefix('/'))]),
    );
    const router = compileRoutes(config);
    expect(router.select(head('/a'), 0)?.virtualHost.name).toBe('a');
    // Envoy: no second virtual host is tried.
    expect(router.select(head('/b'), 0)).toBeUndefined();
    expect(router.select(head('/b', [[':authority', 'other']]), 0)?.virtualHost.name).toBe('b');
  });

  test('samples a runtime fraction with the draw of the exchange', () => {
    const half = { numerator: 50, denominator: 100 } as const;
    const config = table(
      virtualHost(
        'v',
        ['*'],
        [route('sampled', prefix('/'), { runtimeFraction: half }), route('rest', prefix('/'))],
      ),
    );
    const router = compileRoutes(config);
    const draw = (remainder: number) => (remainder + 0.5) / 2 ** 32;
    expect(router.select(head('/'), draw(49))?.route.name).toBe('sampled');
    expect(router.select(head('/'), draw(50))?.route.name).toBe('rest');
    expect(router.select(head('/'), draw(149))?.route.name).toBe('sampled');
  });

  test.each([
    ['application/grpc', 'grpc'],
    ['application/grpc+proto', 'grpc'],
    ['application/grpc-web', 'rest'],
    ['text/plain', 'rest'],
  ])('sends content type %s to the %s route', (type, expected) => {
    const config = table(
      virtualHost('v', ['*'], [route('grpc', prefix('/'), { grpcOnly: true }), route('rest', prefix('/'))]),
    );
    expect(select(config, '/', [['content-type', type]])).toBe(expected);
  });
});
