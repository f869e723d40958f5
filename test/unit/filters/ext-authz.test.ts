import { beforeEach, describe, expect, test } from 'vitest';
import type { ExtAuthzConfig, ExtAuthzRouteConfig } from '../../../src/model/ext-authz.js';
import { bytesBody, type NativeBody, readBody } from '../../../src/service/body.js';
import type { Request } from '../../../src/service/service.js';
import { authzStand, HTTP, routeSettings } from './ext-authz-fixtures.js';
import { FakeHttpAuthz } from './fake-authz.js';
import { makeRequest } from './support.js';

let fake: FakeHttpAuthz;
let stand: ReturnType<typeof authzStand>;
beforeEach(() => {
  fake = new FakeHttpAuthz();
  fake.answer = { status: 401 };
  stand = authzStand(() => fake.service);
});

const OFF: ExtAuthzRouteConfig = { kind: 'ext-authz-route', settings: undefined };
const BODY = { maxBytes: 4, allowPartial: false, packAsBytes: false };

describe('the service is asked', () => {
  test('about the share of requests that is enabled', async () => {
    const service = stand.stack({ ...HTTP, enabled: { numerator: 50, denominator: 100 } });
    for (let i = 0; i < 200; i++) await service(makeRequest());
    expect(fake.asked.length).toBeGreaterThan(70);
    expect(fake.asked.length).toBeLessThan(130);
    expect(stand.sent).toHaveLength(200 - fake.asked.length);
    expect(stand.counters()).toMatchObject({ 'ext_authz.disabled': stand.sent.length });
  });

  test('about requests with the metadata that enables it', async () => {
    const config: ExtAuthzConfig = {
      ...HTTP,
      enabledMetadata: {
        namespace: 'a',
        path: ['ask'],
        value: { kind: 'bool', value: true },
        invert: false,
      },
    };
    const request = makeRequest();
    request.context.dynamicMetadata = new Map([['a', { ask: true }]]);
    expect((await stand.stack(config)(request)).status).toBe(401);
    expect((await stand.stack(config)(makeRequest())).status).toBe(200);
  });

  test('about nothing else, which is refused where that is said', async () => {
    const config: ExtAuthzConfig = {
      ...HTTP,
      enabled: { numerator: 0, denominator: 100 },
      denyAtDisable: true,
      statusOnError: 418,
    };
    const request = makeRequest();
    expect((await stand.stack(config)(request)).status).toBe(418);
    expect(request.context).toMatchObject({ flags: ['UAEX'], details: 'ext_authz_error' });
    expect(fake.asked).toEqual([]);
    expect(stand.counters()).toEqual({ 'ext_authz.disabled': 1 });
  });

  test('unless the most specific override disables it', async () => {
    expect((await stand.stack(HTTP, [OFF, routeSettings()])(makeRequest())).status).toBe(200);
    expect((await stand.stack(HTTP, [routeSettings(), OFF])(makeRequest())).status).toBe(401);
  });

  test('also where nothing is forwarded', async () => {
    expect((await stand.stack(HTTP, [], { clusterName: undefined })(makeRequest())).status).toBe(401);
    expect(stand.counters()).toEqual({ 'ext_authz.denied': 1 });
  });
});

/** A body that arrives in these pieces, and may never end. */
function streamed(pieces: readonly string[], ends = true): NativeBody & { readonly taken: string[] } {
  const taken: string[] = [];
  async function* chunks() {
    for (const piece of pieces) {
      taken.push(piece);
      yield Buffer.from(piece);
    }
    if (!ends) await new Promise(() => {});
  }
  return { kind: 'native', value: undefined, length: undefined, iterate: chunks, taken };
}

const partialHeader = () => fake.asked.map(({ headers }) => headers.get('x-envoy-auth-partial-body'));

describe('the body', () => {
  test('is not read where nobody wants it', async () => {
    const body = streamed(['abc']);
    fake.answer = { status: 200 };
    await stand.stack(HTTP)(makeRequest({ body }));
    await stand.stack({ ...HTTP, body: BODY }, [routeSettings({ disableBody: true })])(makeRequest({ body }));
    const upgrade = makeRequest({ body });
    upgrade.context.upgrade = 'websocket';
    await stand.stack({ ...HTTP, body: BODY })(upgrade);
    await stand.stack({ ...HTTP, body: BODY })(makeRequest());
    expect(body.taken).toEqual([]);
    expect(fake.bodies).toEqual(['', '', '', '']);
    expect(partialHeader()).toEqual([undefined, undefined, undefined, undefined]);
  });

  test('goes on as it came', async () => {
    fake.answer = { status: 200 };
    await stand.stack({ ...HTTP, body: BODY })(makeRequest({ body: streamed(['ab', 'cd']) }));
    const [sent] = stand.sent;
    expect(sent && (await readBody(sent.body)).toString()).toBe('abcd');
    expect(fake.bodies).toEqual(['abcd']);
    expect(partialHeader()).toEqual(['false']);
  });

  test.each([
    ['in memory', () => bytesBody('abcde')],
    ['that arrives', () => streamed(['abc', 'de'])],
    ['that never ends', () => streamed(['abc', 'de'], false)],
  ])('that is too long is refused: %s', async (_kind, make) => {
    const request = makeRequest({ body: make() });
    const { status, body, headers } = await stand.stack({ ...HTTP, body: BODY })(request);
    expect([status, body]).toEqual([413, bytesBody('Payload Too Large')]);
    expect(headers.get('x-inmesh-reason')).toBe('INMESH_AUTHZ_BODY_TOO_LARGE');
    expect(request.context.details).toBe('request_payload_too_large');
    expect(fake.asked).toEqual([]);
  });

  test.each([
    [['abc', 'de', 'fg'], 'true'],
    [['abcd'], 'true'],
    [['ab'], 'false'],
  ])('may be seen in part: %j', async (pieces, partial) => {
    fake.answer = { status: 200 };
    await stand.stack({ ...HTTP, body: { ...BODY, allowPartial: true } })(
      makeRequest({ body: streamed(pieces) }),
    );
    const [sent] = stand.sent;
    expect(sent && (await readBody(sent.body)).toString()).toBe(pieces.join(''));
    expect(fake.bodies).toEqual([pieces.join('').slice(0, 4)]);
    expect(partialHeader()).toEqual([partial]);
  });

  test('is shown as soon as there is enough of it', async () => {
    await stand.stack({ ...HTTP, body: { ...BODY, allowPartial: true } })(
      makeRequest({ body: streamed(['abcd'], false) }),
    );
    const whole = makeRequest({ body: streamed(['abcd'], false), header: { 'content-length': '4' } });
    await stand.stack({ ...HTTP, body: { ...BODY, allowPartial: true } })(whole);
    expect(partialHeader()).toEqual(['true', 'false']);
  });

  test('has the limit of the route', async () => {
    const route = routeSettings({ body: { maxBytes: 2, allowPartial: true, packAsBytes: true } });
    await stand.stack(HTTP, [route])(makeRequest({ body: bytesBody('abcd') }));
    expect(fake.bodies).toEqual(['ab']);
  });

  test('that breaks off ends the request', async () => {
    const broken = new Error('reset');
    const body: NativeBody = {
      kind: 'native',
      value: undefined,
      length: undefined,
      iterate: () => ({
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(broken) }),
      }),
    };
    const request: Request = makeRequest({ body });
    await expect(stand.stack({ ...HTTP, body: BODY })(request)).rejects.toBe(broken);
    expect(fake.asked).toEqual([]);
  });
});
