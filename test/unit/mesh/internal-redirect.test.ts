import { describe, expect, test } from 'vitest';
import type { InternalRedirectPolicy } from '../../../src/model/redirect.js';
import type { Route } from '../../../src/model/route.js';
import { bytesBody, readBody } from '../../../src/service/body.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../../integration/support/static-mesh.js';
import { createDataPath } from './support.js';

const POLICY: InternalRedirectPolicy = {
  maxRedirects: 1,
  codes: [302],
  predicates: [],
  allowCrossScheme: false,
  copyHeaders: [],
};

const named = (name: string, prefix: string, route: Route): Route => ({
  ...route,
  name,
  match: { ...route.match, path: { kind: 'prefix', value: prefix, caseSensitive: true } },
});

/** `/old` of cluster `one` redirects to `location`; all else is answered by cluster `two`. */
async function follow(
  part: Partial<InternalRedirectPolicy>,
  location = 'http://reviews/new?q',
  change: Parameters<ReturnType<typeof createDataPath>['send']>[1] & { status?: number } = {},
) {
  const internalRedirect = { ...POLICY, ...part };
  const routes = [
    named('old', '/old', forward('one', { internalRedirect })),
    named('new', '/new', forward('two', { internalRedirect })),
  ];
  const path = createDataPath(
    snapshotOf([host('reviews:80', routes)], [cluster('one', [endpoint(1)]), cluster('two', [endpoint(2)])]),
  );
  const { status = 302, ...rest } = change;
  path.network.serve('127.0.0.1:1', { status, headers: { location, 'x-copy': 'c' } });
  const seen: string[] = [];
  path.network.serve('127.0.0.1:2', async ({ method, path: at, headers, body }) => {
    const text = (await readBody(body)).toString();
    seen.push([method, at, headers.get('x-envoy-original-url'), headers.get('x-copy'), text].join(' '));
    return { status: 200 };
  });
  const response = await path.send('http://reviews', { path: '/old', authority: 'reviews', ...rest });
  return { status: response.status, seen };
}

describe('internal redirects', () => {
  test('the request goes to the new route; the caller sees only the last answer', async () => {
    expect(await follow({ copyHeaders: ['x-copy'] })).toEqual({
      status: 200,
      seen: ['GET /new?q http://reviews/old c '],
    });
  });

  test('a body goes along; 303 turns into a GET without one', async () => {
    const change = { method: 'POST', body: bytesBody('data') };
    expect((await follow({}, undefined, change)).seen).toEqual(['POST /new?q http://reviews/old  data']);
    const seeOther = await follow({ codes: [303] }, undefined, { ...change, status: 303 });
    expect(seeOther.seen).toEqual(['GET /new?q http://reviews/old  ']);
  });

  test.each([
    ['a status that is not listed', { codes: [301] }, undefined],
    ['a relative location', {}, '/new'],
    ['another scheme', {}, 'https://reviews/new'],
    ['no route', {}, 'http://reviews/none'],
    ['no redirect left', { maxRedirects: 0 }, undefined],
    [
      'a route that is not listed',
      { predicates: [{ kind: 'allow-listed-routes', routes: ['x'] }] },
      undefined,
    ],
    [
      'a step up to https',
      { allowCrossScheme: true, predicates: [{ kind: 'safe-cross-scheme' }] },
      'https://reviews/new',
    ],
  ] as const)('%s leaves the redirect to the caller', async (_what, part, location) => {
    expect(await follow(part as Partial<InternalRedirectPolicy>, location)).toEqual({
      status: 302,
      seen: [],
    });
  });

  test('a loop ends with the count, and earlier where routes are entered once', async () => {
    const loop = 'http://reviews/old';
    expect((await follow({ maxRedirects: 5 }, loop)).status).toBe(302);
    const once = { maxRedirects: 5, predicates: [{ kind: 'previous-routes' as const }] };
    expect((await follow(once, loop)).status).toBe(302);
  });
});
