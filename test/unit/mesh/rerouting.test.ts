import { describe, expect, test } from 'vitest';
import { inboundPolicyOf } from '../../../src/mesh/inbound-policy.js';
import type { ExtAuthzConfig } from '../../../src/model/ext-authz.js';
import type { InboundListener } from '../../../src/model/listener.js';
import type { HeaderMatcher } from '../../../src/model/matcher.js';
import type { Route } from '../../../src/model/route.js';
import { seededRandom } from '../../../src/runtime/random.js';
import { bytesBody } from '../../../src/service/body.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { cluster, endpoint, forward, host, snapshotOf } from '../../integration/support/static-mesh.js';
import { HTTP, named } from '../filters/ext-authz-fixtures.js';
import {
  configOf,
  createIssuer,
  ISSUER,
  NOW_SECONDS,
  providerOf,
  ruleOf,
  setOf,
  sign,
} from '../filters/jwt-fixtures.js';
import { makeRequest, makeResponse } from '../filters/support.js';
import { createDataPath, summaryOf } from './support.js';

const AUTHZ: ExtAuthzConfig =
  HTTP.service.kind === 'http'
    ? {
        ...HTTP,
        clearRouteCache: true,
        service: { ...HTTP.service, upstreamHeaders: [named('x-tenant')] },
      }
    : HTTP;

/** A route for requests of one tenant. */
function routeOf(tenant: string, target: Route): Route {
  const header: HeaderMatcher = {
    name: 'x-tenant',
    invert: false,
    treatMissingAsEmpty: tenant === '',
    match: { kind: 'string', matcher: named(tenant) },
  };
  return { ...target, name: tenant, match: { ...target.match, headers: [header] } };
}

function startedOutbound(routes: readonly Route[], config: ExtAuthzConfig = AUTHZ) {
  const shop = host('shop:80', routes);
  const filters = [{ name: 'authz', config }, ...shop.listener.http.filters];
  const names = ['red', 'blue', 'green'];
  const path = createDataPath(
    snapshotOf(
      [{ ...shop, listener: { ...shop.listener, http: { ...shop.listener.http, filters } } }],
      [...names.map((name, i) => cluster(name, [endpoint(i + 1)])), cluster('authz', [endpoint(9)])],
    ),
  );
  names.forEach((name, i) => {
    path.network.serve(`127.0.0.1:${i + 1}`, { status: 200, body: name });
  });
  // Whose request it is stands in its path.
  path.network.serve('127.0.0.1:9', ({ path: url }) => ({
    status: 200,
    headers: url === '/' ? {} : { 'x-tenant': url.slice(1) },
  }));
  const ask = (url: string) => summaryOf(path.send('http://shop', { path: url }));
  return { ...path, ask };
}

describe('a filter that clears the route cache', () => {
  test('has the route chosen anew by what it changed', async () => {
    const { ask, network } = startedOutbound([
      routeOf('blue', forward('blue')),
      routeOf('green', { ...forward('green'), action: { kind: 'direct-response', status: 204, body: '' } }),
      forward('red'),
    ]);
    expect(await ask('/')).toEqual([200, undefined, 'red']);
    expect(await ask('/blue')).toEqual([200, undefined, 'blue']);
    expect((await ask('/green'))[0]).toBe(204);
    expect(await ask('/unknown')).toEqual([200, undefined, 'red']);
    // Asked once for each request.
    expect(network.counts().get('127.0.0.1:9')).toBe(4);
  });

  test('leaves it as it was without being told to', async () => {
    const { ask } = startedOutbound([routeOf('blue', forward('blue')), forward('red')], {
      ...AUTHZ,
      clearRouteCache: undefined,
    });
    expect(await ask('/blue')).toEqual([200, undefined, 'red']);
  });

  test('leads to another cluster of the same route, too, and to none', async () => {
    const byHeader = forward('', { cluster: { kind: 'header', name: 'x-tenant' } });
    const { ask } = startedOutbound([byHeader]);
    expect(await ask('/blue')).toEqual([200, undefined, 'blue']);
    expect(await ask('/green')).toEqual([200, undefined, 'green']);
    expect((await ask('/nobody'))[0]).toBe(503);
  });

  test('passes no filter twice, and none that the new route turns off is missing below', async () => {
    const { ask, network } = startedOutbound([
      {
        ...routeOf('blue', forward('blue')),
        filterOverrides: new Map([['authz', { kind: 'disabled' }]]),
      },
      forward('red'),
    ]);
    expect(await ask('/blue')).toEqual([200, undefined, 'blue']);
    expect(network.counts().get('127.0.0.1:9')).toBe(1);
  });

  test('finds no route any more', async () => {
    const { ask } = startedOutbound([routeOf('blue', forward('blue')), routeOf('', forward('red'))]);
    expect((await ask('/nobody'))[0]).toBe(404);
  });

  test('sends through several routes when several filters do so', async () => {
    const shop = host('shop:80', [
      routeOf('blue', forward('blue')),
      routeOf('green', forward('green')),
      forward('red'),
    ]);
    const second: ExtAuthzConfig =
      AUTHZ.service.kind === 'http'
        ? { ...AUTHZ, service: { ...AUTHZ.service, uri: { ...AUTHZ.service.uri, cluster: 'second' } } }
        : AUTHZ;
    const filters = [
      { name: 'first', config: AUTHZ },
      { name: 'second', config: second },
      ...shop.listener.http.filters,
    ];
    const { network, send } = createDataPath(
      snapshotOf(
        [{ ...shop, listener: { ...shop.listener, http: { ...shop.listener.http, filters } } }],
        [
          ...['red', 'blue', 'green'].map((name, i) => cluster(name, [endpoint(i + 1)])),
          cluster('authz', [endpoint(8)]),
          cluster('second', [endpoint(9)]),
        ],
      ),
    );
    network.serve('127.0.0.1:3', { status: 200, body: 'green' });
    network.serve('127.0.0.1:8', { status: 200, headers: { 'x-tenant': 'blue' } });
    network.serve('127.0.0.1:9', { status: 200, headers: { 'x-tenant': 'green' } });
    expect(await summaryOf(send('http://shop'))).toEqual([200, undefined, 'green']);
    expect([...network.counts()]).toEqual([
      ['127.0.0.1:8', 1],
      ['127.0.0.1:9', 1],
      ['127.0.0.1:3', 1],
    ]);
  });
});

test('on a server, claims of a token choose the route, and so the filters below', async () => {
  const issuer = await createIssuer();
  const provider = providerOf(setOf(issuer.jwk), {
    claimToHeaders: [{ header: 'x-tenant', claim: 'tenant' }],
    clearRouteCache: true,
  });
  const application = { action: { kind: 'non-forwarding' as const } };
  const routes = [
    { ...routeOf('blue', forward('')), ...application, name: 'blue' },
    { ...forward(''), ...application, name: 'other' },
  ];
  const outbound = host('shop:80', routes);
  const listener: InboundListener = {
    kind: 'inbound',
    name: 'in',
    address: undefined,
    filterChains: [
      {
        name: 'in',
        transportProtocol: '',
        tls: undefined,
        http: {
          routes: { kind: 'inline', config: outbound.routes! },
          filters: [
            {
              name: 'jwt',
              config: configOf(
                { p: provider },
                { rules: [ruleOf({ kind: 'provider', name: 'p', audiences: [] })] },
              ),
            },
          ],
        },
      },
    ],
  };
  const clock = { ...createFakeClock(), wallTime: () => NOW_SECONDS * 1000 };
  const policy = inboundPolicyOf(listener, {
    clock,
    random: seededRandom(1),
    node: { id: 'n', cluster: 'c' },
    upstream: () => undefined,
  });
  const routeFor = async (claims: Record<string, unknown>) => {
    const token = await sign(issuer, { iss: ISSUER, ...claims });
    const request = makeRequest({ authority: 'shop', header: { authorization: `Bearer ${token}` } });
    request.context.callerOptions = { handle: async () => ({ ...makeResponse(200), body: bytesBody('') }) };
    const response = await policy.plaintext?.service?.(request);
    return [response?.status, request.context.routeName];
  };
  expect(await routeFor({ tenant: 'blue' })).toEqual([200, 'blue']);
  expect(await routeFor({ tenant: 'red' })).toEqual([200, 'other']);
  expect(await routeFor({})).toEqual([200, 'other']);
});
