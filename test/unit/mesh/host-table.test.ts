import { describe, expect, test } from 'vitest';
import { NO_OVERRIDES } from '../../../src/model/filter-config.js';
import type { ResolvedOutbound } from '../../../src/model/snapshot.js';
import { HostTable } from '../../../src/routing/host-table.js';
import type { Service } from '../../../src/service/service.js';

function outbound(name: string, domains: readonly string[]): ResolvedOutbound {
  return {
    listener: { kind: 'outbound', name, http: { routes: { kind: 'rds', name }, filters: [] } },
    routes: {
      name,
      virtualHosts: [
        {
          name,
          domains,
          routes: [],
          retryPolicy: undefined,
          filterOverrides: NO_OVERRIDES,
          includeRequestAttemptCount: false,
        },
      ],
    },
  };
}

function table(...listeners: readonly [string, readonly string[]][]): (origin: string) => string | undefined {
  const names = new Map<Service, string>();
  const entries = listeners.map(([name, domains]) => {
    const service: Service = () => Promise.reject(new Error('not called'));
    names.set(service, name);
    return [outbound(name, domains), service] as const;
  });
  const hosts = new HostTable(entries);
  return (origin) => {
    const target = hosts.lookup(origin);
    return target && names.get(target.service);
  };
}

const REVIEWS = 'reviews.default.svc.cluster.local:9080';

describe('HostTable', () => {
  const find = table(
    [REVIEWS, ['reviews', 'reviews:9080', 'reviews.default', 'reviews.default.svc.cluster.local']],
    ['api.default.svc.cluster.local:80', ['api', 'api:80']],
    ['api.default.svc.cluster.local:8081', ['api', 'api:8081']],
    ['wild.example:80', ['*.example.com', '*.deep.example.com', 'pre.*']],
  );

  test.each([
    ['http://reviews:9080', REVIEWS],
    ['http://REVIEWS.default:9080', REVIEWS],
    ['http://reviews.default.svc.cluster.local:9080', REVIEWS],
  ])('%s is the mesh’s', (origin, expected) => {
    expect(find(origin)).toBe(expected);
  });

  test('a host without port means its only port', () => {
    expect(find('http://reviews')).toBe(REVIEWS);
  });

  test('a host without port means the scheme’s default port first', () => {
    expect(find('http://api')).toBe('api.default.svc.cluster.local:80');
  });

  test('a host that has several ports, none of them the default, is not guessed', () => {
    const several = table(['a.b:8080', ['a']], ['a.b:8081', ['a']]);
    expect(several('http://a')).toBeUndefined();
  });

  test.each(['http://reviews:9081', 'https://reviews', 'http://other', 'http://reviews.default.svc'])(
    '%s is none of the mesh’s',
    (origin) => {
      expect(find(origin)).toBeUndefined();
    },
  );

  test('wildcards need at least one more character', () => {
    expect([find('http://a.example.com'), find('http://example.com'), find('http://pre.x')]).toEqual([
      'wild.example:80',
      undefined,
      'wild.example:80',
    ]);
  });

  test('a URL object is looked up by its origin', () => {
    const service: Service = () => Promise.reject(new Error('not called'));
    const hosts = new HostTable([[outbound(REVIEWS, ['reviews']), service]]);
    expect(hosts.lookup(new URL('http://reviews:9080/reviews/0'))).toEqual({
      scheme: 'http',
      authority: 'reviews:9080',
      service,
    });
  });
});
