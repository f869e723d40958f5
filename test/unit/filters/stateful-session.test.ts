import { describe, expect, test } from 'vitest';
import { statefulSession } from '../../../src/filters/stateful-session.js';
import type { SessionState, StatefulSessionRouteConfig } from '../../../src/model/stateful-session.js';
import type { Request, Response } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

const COOKIE: SessionState = { kind: 'cookie', name: 'session', ttlSeconds: 0, path: '', attributes: [] };
const HEADER: SessionState = { kind: 'header', name: 'x-session' };

interface Scene {
  readonly state?: SessionState | undefined;
  readonly strict?: boolean;
  readonly layers?: readonly StatefulSessionRouteConfig[];
  /** The host that answers. */
  readonly host?: string;
  readonly wallMs?: number;
}

async function pass(
  request: Request,
  { state, strict = false, layers = [], host, wallMs = 0 }: Scene,
): Promise<Response> {
  const clock = { ...createFakeClock(), wallTime: () => wallMs };
  const filter = statefulSession({ kind: 'stateful-session', state, strict }, layers, filterTools(clock));
  const answer = async (passed: Request): Promise<Response> => {
    passed.context.upstreamHost = host;
    return makeResponse(200);
  };
  return filter === undefined ? answer(request) : filter(request, answer);
}

const base64 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('base64');
/** Field 1 with the address, as Envoy writes its cookie. */
const message = (address: string, tail = ''): string =>
  base64(`\n${String.fromCharCode(address.length)}${address}${tail}`);

describe('a session in a cookie', () => {
  test('begins with the host that answered, in the form of Envoy', async () => {
    const response = await pass(makeRequest(), { state: COOKIE, host: '10.0.0.1:80' });
    expect(response.headers.get('set-cookie')).toBe('session="CgsxMC4wLjAuMTo4MA=="; HttpOnly');
  });

  test('has its lifetime in the cookie and in its value', async () => {
    const state = {
      ...COOKIE,
      ttlSeconds: 120,
      path: '/shop',
      attributes: [
        { name: 'SameSite', value: 'Strict' },
        { name: 'Secure', value: '' },
      ],
    };
    const request = makeRequest({ path: '/shop?x' });
    const response = await pass(request, { state, host: '10.0.0.1:80', wallMs: 10_500 });
    // 10 s + 120 s = 130 = 0x82 0x01 as a varint of field 2.
    const value = message('10.0.0.1:80', '\x10\x82\x01');
    expect(response.headers.get('set-cookie')).toBe(
      `session="${value}"; Max-Age=120; Path=/shop; SameSite=Strict; Secure; HttpOnly`,
    );
  });

  test.each([
    ['of the same host', message('10.0.0.1:80'), '10.0.0.1:80'],
    ['with quotes', `"${message('10.0.0.1:80')}"`, '10.0.0.1:80'],
    ['that has not expired', message('10.0.0.1:80', '\x10\x0a'), '10.0.0.1:80'],
    ['with a field of a later version', message('10.0.0.1:80', '\x18\x01'), '10.0.0.1:80'],
    ['of an older proxy', base64('10.0.0.10:80'), '10.0.0.10:80'],
    // Its bytes happen to be a message without an address; Envoy does not take it either.
    ['of an older proxy that looks like a message', base64('10.0.0.1:80'), undefined],
    ['that has expired', message('10.0.0.1:80', '\x10\x09'), undefined],
    ['without address', base64('\x10\x7f'), undefined],
    ['that is no base64', 'CgsxMC4wLjAuMTo4MA', undefined],
    ['that is empty', '', undefined],
  ])('a cookie %s', async (_name, value, expected) => {
    const request = makeRequest({ header: { cookie: `a=b; session=${value};c=d` } });
    await pass(request, { state: COOKIE, host: '10.0.0.9:80', wallMs: 10_000 });
    expect(request.context.overrideHost?.address).toBe(expected);
  });

  test('the same host is not told again, another one is', async () => {
    const header = { cookie: `session=${message('10.0.0.1:80')}` };
    const same = await pass(makeRequest({ header }), { state: COOKIE, host: '10.0.0.1:80' });
    const other = await pass(makeRequest({ header }), { state: COOKIE, host: '10.0.0.2:80' });
    expect(same.headers.has('set-cookie')).toBe(false);
    expect(other.headers.get('set-cookie')).toBe(`session="${message('10.0.0.2:80')}"; HttpOnly`);
  });

  test.each([
    ['/a', '/a', true],
    ['/a', '/a/b', true],
    ['/a', '/a?b', true],
    ['/a', '/ab', false],
    ['/a/', '/a/b', true],
    ['/a/', '/a', false],
    ['/', '/x', true],
  ])('with path %s, a request for %s: %s', async (path, requested, applies) => {
    const response = await pass(makeRequest({ path: requested }), {
      state: { ...COOKIE, path },
      host: 'h:1',
    });
    expect(response.headers.has('set-cookie')).toBe(applies);
  });

  test('of no attempt is not told', async () => {
    const response = await pass(makeRequest(), { state: COOKIE });
    expect(response.headers.has('set-cookie')).toBe(false);
  });
});

describe('a session in a header', () => {
  test('is the address in base64, both ways', async () => {
    const request = makeRequest({ header: { 'x-session': base64('10.0.0.1:80') } });
    const response = await pass(request, { state: HEADER, strict: true, host: '10.0.0.2:80' });
    expect(request.context.overrideHost).toEqual({ address: '10.0.0.1:80', strict: true });
    expect(response.headers.getAll('x-session')).toEqual([base64('10.0.0.2:80')]);
  });

  test('that is no base64 asks for nothing', async () => {
    const request = makeRequest({ header: { 'x-session': '10.0.0.1:80' } });
    await pass(request, { state: HEADER, host: '10.0.0.2:80' });
    expect(request.context.overrideHost).toBeUndefined();
  });
});

describe('an override', () => {
  const state = COOKIE;

  test('turns sessions off', async () => {
    const layers = [{ kind: 'stateful-session-route' as const, session: undefined }];
    const response = await pass(makeRequest(), { state, layers, host: 'h:1' });
    expect(response.headers.has('set-cookie')).toBe(false);
  });

  test('replaces the configuration; the most specific one counts', async () => {
    const layers = [
      { kind: 'stateful-session-route' as const, session: { state: HEADER, strict: false } },
      { kind: 'stateful-session-route' as const, session: undefined },
    ];
    const response = await pass(makeRequest(), { state, layers, host: 'h:1' });
    expect(response.headers.has('set-cookie')).toBe(false);
    expect(response.headers.get('x-session')).toBe(base64('h:1'));
  });

  test('without session state nothing is remembered', async () => {
    const response = await pass(makeRequest(), { host: 'h:1' });
    expect(response.headers.size).toBe(0);
  });
});
