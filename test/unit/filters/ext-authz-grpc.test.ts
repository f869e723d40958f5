import { type MessageInitShape, toJson } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ExtAuthzConfig } from '../../../src/model/ext-authz.js';
import { authService, core } from '../../../src/proto/xds.js';
import { bytesBody } from '../../../src/service/body.js';
import type { ConnectionInfo, TlsInfo } from '../../../src/service/connection.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Request } from '../../../src/service/service.js';
import { authzStand, GRPC, named, routeSettings } from './ext-authz-fixtures.js';
import { FakeGrpcAuthz } from './fake-authz.js';
import { makeRequest, makeResponse } from './support.js';

let fake: FakeGrpcAuthz;
let stand: ReturnType<typeof authzStand>;
beforeEach(() => {
  fake = new FakeGrpcAuthz();
  stand = authzStand(() => fake.service);
});

type Ok = MessageInitShape<typeof authService.OkHttpResponseSchema>;
const ok = (value: Ok) => ({ httpResponse: { case: 'okResponse', value } }) as const;
const denied = (value: MessageInitShape<typeof authService.DeniedHttpResponseSchema>) =>
  ({ status: { code: 7 }, httpResponse: { case: 'deniedResponse', value } }) as const;
const option = (key: string, value: string, append?: boolean) => ({
  header: { key, value },
  ...(append !== undefined && { append }),
});
const lines = (headers: HeaderMap | undefined) => [...(headers ?? [])];
const asked = () => fake.asked.map((one) => toJson(authService.CheckRequestSchema, one));

const TLS: TlsInfo = {
  serverName: 'reviews.example',
  version: 'TLSv1.3',
  cipher: 'TLS_AES_128_GCM_SHA256',
  sessionId: undefined,
  alpn: 'h2',
  peer: {
    uriSans: ['spiffe://mesh/ns/default/sa/ada'],
    dnsSans: ['ada.example'],
    subject: 'CN=ada',
    issuer: 'CN=ca',
    serial: '1',
    sha256: '00',
    notBeforeMs: 0,
    notAfterMs: 0,
    pem: '-----BEGIN CERTIFICATE-----\nab+/=\n',
  },
  peerVerified: true,
  localUriSan: 'spiffe://mesh/ns/default/sa/reviews',
};
const CONNECTION: ConnectionInfo = {
  id: 1,
  directRemote: { address: '10.0.0.1', port: 1234 },
  remote: { address: '1.2.3.4', port: 0 },
  local: { address: '10.0.0.2', port: 9080 },
  tls: TLS,
};

function inbound(change: Parameters<typeof makeRequest>[0] = {}): Request {
  const request = makeRequest(change);
  request.context.connection = CONNECTION;
  request.context.protocol = 'HTTP/2';
  return request;
}

describe('the question over gRPC', () => {
  test('has the request, both peers and everything that is included', async () => {
    const config: ExtAuthzConfig = {
      ...GRPC,
      includePeerCertificate: true,
      includeTlsSession: true,
      metadataNamespaces: ['jwt', 'none'],
      routeMetadataNamespaces: ['route'],
    };
    const levels = [
      routeSettings({ contextExtensions: new Map([['tenant', 'route']]) }),
      routeSettings({
        contextExtensions: new Map([
          ['tenant', 'host'],
          ['zone', 'a'],
        ]),
      }),
    ];
    const request = inbound({
      path: '/a?b',
      headers: HeaderMap.from([
        ['x-request-id', 'id-1'],
        ['x-a', ['1', '2']],
        ['x-envoy-downstream-service-cluster', 'front'],
        ['x-envoy-auth-partial-body', 'forged'],
      ]),
    });
    request.context.dynamicMetadata = new Map([['jwt', { sub: 'ada', list: [1, true, null] }]]);
    request.context.routeMetadata = { route: { owner: 'shop' } };
    await stand.stack(config, levels)(request);
    expect(asked()).toEqual([
      {
        attributes: {
          source: {
            address: { socketAddress: { address: '10.0.0.1', portValue: 1234 } },
            service: 'front',
            principal: 'spiffe://mesh/ns/default/sa/ada',
            certificate: '-----BEGIN%20CERTIFICATE-----%0Aab%2B%2F%3D%0A',
          },
          destination: {
            address: { socketAddress: { address: '10.0.0.2', portValue: 9080 } },
            principal: 'spiffe://mesh/ns/default/sa/reviews',
          },
          request: {
            time: expect.any(String) as unknown,
            http: {
              id: 'id-1',
              method: 'GET',
              headers: {
                ':authority': 'reviews:9080',
                ':path': '/a?b',
                ':method': 'GET',
                ':scheme': 'http',
                'x-request-id': 'id-1',
                'x-a': '1,2',
                'x-envoy-downstream-service-cluster': 'front',
              },
              path: '/a?b',
              host: 'reviews:9080',
              scheme: 'http',
              protocol: 'HTTP/2',
            },
          },
          contextExtensions: { tenant: 'route', zone: 'a' },
          metadataContext: { filterMetadata: { jwt: { sub: 'ada', list: [1, true, null] } } },
          routeMetadataContext: { filterMetadata: { route: { owner: 'shop' } } },
          tlsSession: { sni: 'reviews.example' },
        },
      },
    ]);
  });

  test('says less where less is asked for', async () => {
    const config = {
      ...GRPC,
      allowedHeaders: [named('x-a'), named('x-b')],
      disallowedHeaders: [named('x-b')],
    };
    await stand.stack(config)(makeRequest({ header: { 'x-a': 'ä', 'x-b': '2', 'x-c': '3' } }));
    const [message] = fake.asked;
    expect(message?.attributes?.request?.http?.headers).toEqual({ 'x-a': '\ufffd' });
    expect(message?.attributes?.tlsSession).toBeUndefined();
    expect(message?.attributes?.source?.certificate).toBe('');
  });

  test('names peers by DNS name or subject where there is no URI', async () => {
    for (const [uriSans, dnsSans, principal] of [
      [[], ['ada.example'], 'ada.example'],
      [[], [], 'CN=ada'],
    ] as const) {
      const request = inbound();
      const peer = TLS.peer && { ...TLS.peer, uriSans, dnsSans };
      request.context.connection = { ...CONNECTION, tls: { ...TLS, peer } };
      await stand.stack(GRPC)(request);
      expect(fake.asked.at(-1)?.attributes?.source?.principal).toBe(principal);
    }
  });

  test('has raw headers where that is said', async () => {
    await stand.stack({ ...GRPC, encodeRawHeaders: true, allowedHeaders: [named('x-a')] })(
      makeRequest({ header: { 'x-a': 'ä' } }),
    );
    const http = fake.asked[0]?.attributes?.request?.http;
    expect(http?.headers).toEqual({});
    expect(http?.headerMap?.headers.map(({ key, rawValue }) => [key, [...rawValue]])).toEqual([
      ['x-a', [0xe4]],
    ]);
  });

  test.each([
    [false, 'body'],
    [true, 'rawBody'],
  ] as const)('has the body (as bytes: %s)', async (packAsBytes, place) => {
    await stand.stack({ ...GRPC, body: { maxBytes: 4, allowPartial: true, packAsBytes } })(
      makeRequest({ body: bytesBody('ab\u00e4cd') }),
    );
    const http = fake.asked[0]?.attributes?.request?.http;
    expect(Buffer.from(http?.[place] ?? '').toString()).toBe('ab\u00e4');
    expect(http?.headers['x-envoy-auth-partial-body']).toBe('true');
    expect(http?.size).toBe(4n);
  });
});

describe('the answer OK', () => {
  test('changes the request', async () => {
    fake.answer = ok({
      headers: [
        option('X-User', 'ada'),
        option('x-there', 'b', true),
        option('x-absent', 'b', true),
        { ...option('x-new', '1'), appendAction: core.HeaderValueOption_HeaderAppendAction.ADD_IF_ABSENT },
        { ...option('x-there', '9'), appendAction: core.HeaderValueOption_HeaderAppendAction.ADD_IF_ABSENT },
        {
          ...option('x-nowhere', '9'),
          appendAction: core.HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS,
        },
        option('x-raw', ''),
        option('x-broken', 'a\r\nb: c'),
        option('bad name', 'x'),
      ],
      headersToRemove: ['X-Secret', 'Host', ':path'],
      queryParametersToSet: [
        { key: 'a', value: '9' },
        { key: 'c', value: 'x y' },
      ],
      queryParametersToRemove: ['b'],
    });
    const header = { 'x-user': 'forged', 'x-there': 'a', 'x-secret': 's', host: 'reviews:9080' };
    await stand.stack(GRPC)(makeRequest({ path: '/p?a=1&b=2&a=3', header }));
    const [sent] = stand.sent;
    expect(sent?.path).toBe('/p?a=9&c=x%20y');
    expect(lines(sent?.headers)).toEqual([
      ['host', 'reviews:9080'],
      ['x-user', 'ada'],
      ['x-raw', ''],
      ['x-broken', 'ab: c'],
      ['x-new', '1'],
      ['x-there', 'a,b'],
    ]);
  });

  test('changes what is no header here, too', async () => {
    fake.answer = ok({
      headers: [
        option(':path', '/other'),
        option(':method', 'POST'),
        option('host', 'other:1'),
        option(':scheme', ''),
        option(':status', '200'),
      ],
    });
    await stand.stack(GRPC)(makeRequest({ header: { host: 'reviews:9080' } }));
    expect(stand.sent[0]).toMatchObject({
      path: '/other',
      method: 'POST',
      authority: 'other:1',
      scheme: 'http',
    });
    expect(lines(stand.sent[0]?.headers)).toEqual([['host', 'other:1']]);
  });

  test('changes the answer to the caller', async () => {
    const { HeaderValueOption_HeaderAppendAction: Action } = core;
    fake.answer = ok({
      responseHeadersToAdd: [
        option('x-a', '2'),
        option('x-b', '2', false),
        { ...option('x-b', '3'), appendAction: Action.ADD_IF_ABSENT },
        { ...option('x-c', '3'), appendAction: Action.OVERWRITE_IF_EXISTS },
        { ...option('x-d', '4'), appendAction: Action.OVERWRITE_IF_EXISTS_OR_ADD },
        option(':status', '500'),
      ],
    });
    const { headers } = await stand.stack(GRPC, [], {}, async () =>
      makeResponse(200, { 'x-a': '1', 'x-b': '1' }),
    )(makeRequest());
    expect(lines(headers)).toEqual([
      ['x-a', '1'],
      ['x-a', '2'],
      ['x-b', '2'],
      ['x-d', '4'],
    ]);
  });

  test('leaves metadata, with the time that it took', async () => {
    fake.answer = { ...ok({ dynamicMetadata: { user: 'ada' } }), dynamicMetadata: { user: 'other' } };
    const request = makeRequest();
    await stand.stack(GRPC)(request);
    expect(request.context.dynamicMetadata?.get('envoy.filters.http.ext_authz')).toEqual({
      user: 'ada',
      ext_authz_duration: 0,
    });
  });

  test('leaves none where that is said', async () => {
    fake.answer = { dynamicMetadata: { user: 'ada' } };
    const request = makeRequest();
    await stand.stack({ ...GRPC, ingestMetadata: false })(request);
    expect(request.context.dynamicMetadata).toBeUndefined();
    expect(stand.counters()).toMatchObject({ 'ext_authz.ignored_dynamic_metadata': 1, 'ext_authz.ok': 1 });
  });
});

describe('changes that are not allowed', () => {
  const RULES = {
    allowAllRouting: false,
    allowEnvoy: false,
    disallowSystem: false,
    disallowAll: false,
    allowExpression: undefined,
    disallowExpression: undefined,
    disallowIsError: false,
  };
  const change = {
    headers: [option('x-a', '1'), option('x-envoy-a', '1'), option(':method', 'POST'), option('host', 'b')],
    headersToRemove: ['x-b', 'x-envoy-b'],
  };
  const header = { 'x-b': '1', 'x-envoy-b': '1' };

  test.each([
    [{}, ['x-envoy-b', 'x-a'], 'GET', 'reviews:9080'],
    [{ allowEnvoy: true }, ['x-a', 'x-envoy-a'], 'GET', 'reviews:9080'],
    [{ allowAllRouting: true }, ['x-envoy-b', 'x-a'], 'POST', 'b'],
    [{ allowAllRouting: true, disallowSystem: true }, ['x-envoy-b', 'x-a'], 'GET', 'b'],
    [{ disallowAll: true }, ['x-b', 'x-envoy-b'], 'GET', 'reviews:9080'],
    [{ disallowExpression: 'x-a' }, ['x-envoy-b'], 'GET', 'reviews:9080'],
    [{ allowExpression: 'x-envoy-.*' }, ['x-a', 'x-envoy-a'], 'GET', 'reviews:9080'],
  ])('are passed over (%j)', async (rules, names, method, authority) => {
    fake.answer = ok(change);
    await stand.stack({ ...GRPC, mutationRules: { ...RULES, ...rules } })(makeRequest({ header }));
    const [sent] = stand.sent;
    expect(lines(sent?.headers).map(([name]) => name)).toEqual(names);
    expect(sent).toMatchObject({ method, authority });
  });

  test.each([
    ['a header that is set', { headers: [option('x-envoy-a', '1')] }],
    ['a header that is removed', { headersToRemove: ['x-envoy-a'] }],
    ['the removal of the host', { headersToRemove: ['host'] }],
  ])('fail the request where that is said: %s', async (_what, answer) => {
    fake.answer = ok(answer);
    const request = makeRequest();
    const mutationRules = { ...RULES, disallowIsError: true };
    const { status } = await stand.stack({ ...GRPC, mutationRules })(request);
    expect(status).toBe(500);
    expect(request.context).toMatchObject({ flags: ['UAEX'], details: 'ext_authz_invalid' });
    expect(stand.counters()).toEqual({ 'ext_authz.invalid': 1, 'cluster.reviews.ext_authz.invalid': 1 });
  });

  test.each<readonly [string, Ok]>([
    ['the name of a header', { headers: [option('bad name', '1')] }],
    ['its value', { headers: [option('x-a', 'a\nb')] }],
    ['one of the answer', { responseHeadersToAdd: [option('x-a', 'a\nb')] }],
    ['a query parameter', { queryParametersToSet: [{ key: 'a', value: 'b&c=d' }] }],
  ])('as HTTP has it fail the request where that is checked: %s', async (_what, answer) => {
    fake.answer = ok(answer);
    expect((await stand.stack({ ...GRPC, validateMutations: true })(makeRequest())).status).toBe(500);
    expect((await stand.stack(GRPC)(makeRequest())).status).toBe(200);
  });

  test('fail refusals, too', async () => {
    fake.answer = denied({ headers: [option('x-a', 'a\nb')] });
    expect((await stand.stack({ ...GRPC, validateMutations: true })(makeRequest())).status).toBe(500);
    const { status, headers } = await stand.stack(GRPC)(makeRequest());
    expect([status, headers.get('x-a')]).toEqual([403, 'ab']);
  });
});

describe('a refusal', () => {
  test('has the status, headers and body that the service gives', async () => {
    fake.answer = denied({
      status: { code: 429 },
      headers: [
        option('content-type', 'application/json'),
        option('set-cookie', 'a'),
        option('set-cookie', 'b'),
        option('content-length', '99'),
      ],
      body: '{}',
    });
    const { status, headers, body } = await stand.stack(GRPC)(makeRequest());
    expect([status, body]).toEqual([429, bytesBody('{}')]);
    expect(lines(headers)).toEqual([
      ['content-length', '2'],
      ['x-inmesh-reason', 'INMESH_AUTHZ_DENIED'],
      ['content-type', 'application/json'],
      ['set-cookie', 'a'],
      ['set-cookie', 'b'],
    ]);
  });

  test.each([
    [{ status: { code: 7 } }, 403],
    [denied({}), 403],
    [denied({ status: { code: 101 as never } }), 403],
    [{ status: { code: 16 }, ...ok({}) }, 403],
  ])('is 403 where the service says no status', async (answer, expected) => {
    fake.answer = answer;
    expect((await stand.stack(GRPC)(makeRequest())).status).toBe(expected);
  });
});

describe('no answer', () => {
  test.each(['unavailable', 'garbage'] as const)('refuses the request: %s', async (answer) => {
    fake.answer = answer;
    const request = makeRequest();
    expect((await stand.stack(GRPC)(request)).status).toBe(403);
    expect(request.context).toMatchObject({ flags: ['UAEX'], details: 'ext_authz_error' });
    expect((await stand.stack({ ...GRPC, failureModeAllow: true })(makeRequest())).status).toBe(200);
    expect(stand.sent[0]?.headers.has('x-envoy-auth-failure-mode-allowed')).toBe(false);
  });

  test('within 200 ms is none', async () => {
    fake.answer = 'hang';
    const waiting = stand.stack(GRPC)(makeRequest());
    await stand.clock.advance(199);
    expect(stand.counters()).toEqual({});
    await stand.clock.advance(1);
    expect((await waiting).status).toBe(403);
  });

  test('is also that the service says it has none, in its own words', async () => {
    fake.answer = {
      status: { code: 14 },
      httpResponse: {
        case: 'errorResponse',
        value: { status: { code: 503 }, headers: [option('retry-after', '1')], body: 'later' },
      },
    };
    const { status, headers, body } = await stand.stack(GRPC)(makeRequest());
    expect([status, headers.get('retry-after'), body]).toEqual([503, '1', bytesBody('later')]);
    expect((await stand.stack({ ...GRPC, failureModeAllow: true })(makeRequest())).status).toBe(200);
    expect(stand.counters()).toMatchObject({ 'ext_authz.error': 2, 'ext_authz.failure_mode_allowed': 1 });
  });
});
