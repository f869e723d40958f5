import { beforeEach, describe, expect, test } from 'vitest';
import type { AuthzHttpService, ExtAuthzConfig } from '../../../src/model/ext-authz.js';
import { bytesBody, readBody } from '../../../src/service/body.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request } from '../../../src/service/service.js';
import { authzStand, HTTP, named } from './ext-authz-fixtures.js';
import { FakeHttpAuthz } from './fake-authz.js';
import { makeRequest, makeResponse } from './support.js';

let fake: FakeHttpAuthz;
let stand: ReturnType<typeof authzStand>;
beforeEach(() => {
  fake = new FakeHttpAuthz();
  stand = authzStand(() => fake.service);
});

const http = (change: Partial<AuthzHttpService>, rest: Partial<ExtAuthzConfig> = {}): ExtAuthzConfig => {
  if (HTTP.service.kind !== 'http') throw new Error('asks over HTTP');
  return { ...HTTP, ...rest, service: { ...HTTP.service, ...change } };
};
const lines = (headers: HeaderMap | undefined) => [...(headers ?? [])];

describe('the question over HTTP', () => {
  test('is the request with the fewest headers', async () => {
    await stand.stack(HTTP)(
      makeRequest({
        method: 'PUT',
        path: '/a?b=c',
        header: { authorization: 'Bearer x', cookie: 'secret', host: 'reviews:9080' },
      }),
    );
    const [asked] = fake.asked;
    expect(asked).toMatchObject({
      method: 'PUT',
      path: '/a?b=c',
      authority: 'reviews:9080',
      scheme: 'http',
    });
    expect(lines(asked?.headers)).toEqual([
      ['content-length', '0'],
      ['authorization', 'Bearer x'],
    ]);
    expect(stand.sent).toHaveLength(1);
  });

  test('has the headers that are allowed, those that are added, and the prefix of the path', async () => {
    const config = http(
      { pathPrefix: '/check', headersToAdd: [{ name: 'x-method', value: '%REQ(:METHOD)%' }] },
      { allowedHeaders: [named('x-a'), named('x-b'), named('x-method')], disallowedHeaders: [named('x-b')] },
    );
    const header = { 'x-a': '1', 'x-b': '2', 'x-c': '3', 'x-method': 'forged' };
    await stand.stack(config)(makeRequest({ header }));
    expect(fake.asked[0]?.path).toBe('/check/');
    expect(lines(fake.asked[0]?.headers)).toEqual([
      ['content-length', '0'],
      ['x-a', '1'],
      ['x-method', 'GET'],
    ]);
  });

  test('joins lines of one name, and drops those of the connection', async () => {
    const config = { ...HTTP, allowedHeaders: [{ kind: 'prefix', value: '', ignoreCase: false } as const] };
    const headers = HeaderMap.from([
      ['x-a', ['1', '2']],
      ['connection', 'close'],
      ['content-length', '17'],
    ]);
    await stand.stack(config)(makeRequest({ headers }));
    expect(lines(fake.asked[0]?.headers)).toEqual([
      ['content-length', '0'],
      ['x-a', '1,2'],
    ]);
  });

  test('has the body where it is wanted', async () => {
    const config = { ...HTTP, body: { maxBytes: 4, allowPartial: true, packAsBytes: false } };
    await stand.stack(config)(makeRequest({ body: bytesBody('long body') }));
    expect(fake.bodies).toEqual(['long']);
    expect(lines(fake.asked[0]?.headers)).toEqual([
      ['content-length', '4'],
      ['x-envoy-auth-partial-body', 'true'],
    ]);
    const [sent] = stand.sent;
    expect(sent && (await readBody(sent.body)).toString()).toBe('long body');
    await stand.stack(config)(makeRequest({ body: bytesBody('body') }));
    expect(fake.asked[1]?.headers.get('x-envoy-auth-partial-body')).toBe('false');
  });
});

describe('the answer 200', () => {
  test('changes the request', async () => {
    fake.answer = {
      status: 200,
      headers: [
        ['x-user', 'ada'],
        ['x-group', 'a'],
        ['x-group', 'b'],
        ['x-other', 'no'],
        ['x-envoy-auth-headers-to-remove', 'x-secret, X-Gone,host,:path'],
      ],
    };
    const config = http({
      upstreamHeaders: [named('x-user')],
      upstreamHeadersToAppend: [named('x-group')],
      dynamicMetadataFromHeaders: [named('x-user')],
      clientHeadersOnSuccess: [named('x-group')],
    });
    const header = {
      'x-user': 'forged',
      'x-secret': 's',
      'x-gone': 'g',
      'x-group': '0',
      host: 'reviews:9080',
    };
    const response = await stand.stack(config)(makeRequest({ header }));
    const [sent] = stand.sent;
    expect(lines(sent?.headers)).toEqual([
      ['x-group', '0'],
      ['host', 'reviews:9080'],
      ['x-user', 'ada'],
      ['x-group', 'a'],
      ['x-group', 'b'],
    ]);
    expect(response.headers.getAll('x-group')).toEqual(['a', 'b']);
    expect(sent?.context.dynamicMetadata?.get('envoy.filters.http.ext_authz')).toEqual({
      'x-user': 'ada',
      ext_authz_duration: 0,
    });
    expect(stand.counters()).toEqual({ 'ext_authz.ok': 1, 'cluster.reviews.ext_authz.ok': 1 });
  });

  test('changes the answer of an application behind a server, too', async () => {
    fake.answer = { status: 200, headers: [['x-group', 'a']] };
    const request = makeRequest();
    const inbound = { ...request, context: { ...request.context, direction: 'inbound' as const } };
    await stand.stack(http({ clientHeadersOnSuccess: [named('x-group')] }), [], { direction: 'inbound' })(
      inbound,
    );
    const head = makeResponse(200);
    inbound.context.headChanges?.[0]?.(head);
    expect(head.headers.get('x-group')).toBe('a');
  });
});

describe('any other answer below 500', () => {
  test('refuses the request with that status, its headers and its body', async () => {
    fake.answer = {
      status: 401,
      headers: [
        ['content-type', 'application/json'],
        ['www-authenticate', 'Basic'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['transfer-encoding', 'chunked'],
      ],
      body: new Uint8Array([0xff, 0x00]),
    };
    const request = makeRequest();
    const response = await stand.stack(HTTP)(request);
    expect(response.status).toBe(401);
    expect(lines(response.headers)).toEqual([
      ['x-inmesh-reason', 'INMESH_AUTHZ_DENIED'],
      ['content-length', '2'],
      ['content-type', 'application/json'],
      ['www-authenticate', 'Basic'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ]);
    expect([...(await readBody(response.body))]).toEqual([0xff, 0x00]);
    expect(request.context).toMatchObject({ flags: ['UAEX'], details: 'ext_authz_denied' });
    expect(stand.sent).toEqual([]);
    expect(stand.counters()).toEqual({
      'ext_authz.denied': 1,
      'cluster.reviews.ext_authz.denied': 1,
      'cluster.reviews.upstream_rq_completed': 1,
      'cluster.reviews.upstream_rq_4xx': 1,
      'cluster.reviews.upstream_rq_401': 1,
      'cluster.reviews.internal.upstream_rq_4xx': 1,
      'cluster.reviews.internal.upstream_rq_401': 1,
    });
  });

  test('sends on only the headers of a list, and those that tell the way', async () => {
    fake.answer = {
      status: 302,
      headers: [
        ['location', '/login'],
        ['x-why', 'no'],
        ['x-inner', 'secret'],
      ],
    };
    const config = http({ clientHeaders: [named('x-why')] }, { chargeCluster: false, statPrefix: 'edge' });
    const { status, headers } = await stand.stack(config)(makeRequest());
    expect(status).toBe(302);
    expect(lines(headers)).toEqual([
      ['x-inmesh-reason', 'INMESH_AUTHZ_DENIED'],
      ['location', '/login'],
      ['x-why', 'no'],
    ]);
    expect(stand.counters()).toEqual({
      'ext_authz.edge.denied': 1,
      'cluster.reviews.ext_authz.edge.denied': 1,
    });
  });

  test('tells gRPC callers in their way', async () => {
    fake.answer = { status: 401, headers: [['content-type', 'text/html']], body: 'who are you?' };
    const header = { 'content-type': 'application/grpc' };
    const { status, headers } = await stand.stack(HTTP)(makeRequest({ header }));
    expect([status, headers.get('grpc-status'), headers.get('grpc-message')]).toEqual([
      200,
      '16',
      'who are you?',
    ]);
    expect(headers.getAll('content-type')).toEqual(['application/grpc']);
  });

  test('has no body for HEAD', async () => {
    fake.answer = { status: 403, body: 'no' };
    const response = await stand.stack(HTTP)(makeRequest({ method: 'HEAD' }));
    expect(response).toMatchObject({ status: 403, body: { kind: 'empty' } });
  });
});

describe('no answer', () => {
  const broken: readonly (readonly [string, () => void])[] = [
    ['an error', () => (fake.answer = { status: 500 })],
    ['an answer of the mesh itself', () => (fake.answer = { status: 503 })],
    ['an endless one', () => (fake.answer = { status: 200, body: new Uint8Array(2 * 1024 * 1024) })],
    ['no cluster', () => (stand = authzStand(() => undefined))],
    [
      'a broken connection',
      () => {
        stand = authzStand(() => async () => Promise.reject(new Error('reset')));
      },
    ],
  ];

  test.each(broken)('refuses the request: %s', async (_what, breakIt) => {
    breakIt();
    const request = makeRequest();
    const { status, headers } = await stand.stack({ ...HTTP, statusOnError: 503 })(request);
    expect([status, headers.get('x-inmesh-reason')]).toEqual([503, 'INMESH_AUTHZ_UNANSWERED']);
    expect(request.context).toMatchObject({ flags: ['UAEX'], details: 'ext_authz_error' });
    expect(stand.sent).toEqual([]);
    expect(stand.counters()).toEqual({ 'ext_authz.error': 1, 'cluster.reviews.ext_authz.error': 1 });
  });

  test.each(broken)('lets it through where that is said: %s', async (_what, breakIt) => {
    breakIt();
    const config = { ...HTTP, failureModeAllow: true, failureModeAllowHeaderAdd: true };
    const { status } = await stand.stack(config)(makeRequest());
    expect(status).toBe(200);
    expect(stand.sent[0]?.headers.get('x-envoy-auth-failure-mode-allowed')).toBe('true');
    expect(stand.counters()).toMatchObject({
      'ext_authz.error': 1,
      'ext_authz.failure_mode_allowed': 1,
      'cluster.reviews.ext_authz.failure_mode_allowed': 1,
    });
  });

  test('in time is none', async () => {
    fake.answer = 'hang';
    const waiting = stand.stack(HTTP)(makeRequest());
    await stand.clock.advance(199);
    expect(stand.counters()).toEqual({});
    await stand.clock.advance(1);
    expect((await waiting).status).toBe(403);
  });

  test('is waited for only as long as the caller does', async () => {
    fake.answer = 'hang';
    const request: Request = makeRequest();
    const waiting = stand.stack(HTTP)(request);
    const gone = new Error('gone');
    request.abort.abort(gone);
    await expect(waiting).rejects.toBe(gone);
    expect(fake.asked[0]?.abort.aborted).toBe(true);
    expect(stand.counters()).toEqual({});
  });
});
