import { createHmac } from 'node:crypto';
import { type JWTPayload, UnsecuredJWT } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { jwtAuthn } from '../../../src/filters/jwt-authn.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import type { JwtAuthnConfig, JwtProvider, JwtRequirement } from '../../../src/model/jwt-authn.js';
import { readBody } from '../../../src/service/body.js';
import type { Request, Response } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import {
  configOf,
  createIssuer,
  type Issuer,
  NOW_SECONDS,
  needs,
  providerOf,
  ruleOf,
  setOf,
  sign,
} from './jwt-fixtures.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

let issuer: Issuer;
let rsa: Issuer;
let jwks: string;

beforeAll(async () => {
  issuer = await createIssuer();
  rsa = await createIssuer('RS256', 'rsa');
  jwks = setOf(issuer.jwk, rsa.jwk);
});

const NOW = { ...createFakeClock(), wallTime: () => NOW_SECONDS * 1000 };

async function pass(
  config: JwtAuthnConfig,
  request: Request,
  layers: readonly FilterConfig[] = [],
): Promise<Response> {
  const filter = jwtAuthn(config, layers, filterTools(NOW));
  const answer = (): Promise<Response> => Promise.resolve(makeResponse(200));
  return filter === undefined ? answer() : filter(request, answer);
}

const withToken = (token: string): Request =>
  makeRequest({ path: '/a?b=c', header: { authorization: `Bearer ${token}` } });

/** Status and body of what becomes of a request. */
async function outcome(
  change: Partial<JwtProvider>,
  request: Request | string,
  more: Partial<JwtAuthnConfig> = {},
): Promise<[number, string]> {
  const config = configOf({ p: providerOf(jwks, change) }, more);
  const response = await pass(config, typeof request === 'string' ? withToken(request) : request);
  return [response.status, response.status === 200 ? '' : (await readBody(response.body)).toString()];
}

const OK = [200, ''];

describe('a token', () => {
  test('that is good lets the request pass and is taken out of it', async () => {
    const request = withToken(await sign(issuer));
    expect(await outcome({}, request)).toEqual(OK);
    expect(request.headers.has('authorization')).toBe(false);
  });

  test('stays when the provider forwards it', async () => {
    const request = withToken(await sign(issuer));
    await outcome({ forward: true }, request);
    expect(request.headers.has('authorization')).toBe(true);
  });

  test('that is missing: 401 with challenge and details', async () => {
    const request = makeRequest({ path: '/a?b=c' });
    const response = await pass(configOf({ p: providerOf(jwks) }), request);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="http://reviews:9080/a?b=c"');
    expect(response.local?.details).toBe('jwt_authn_access_denied{Jwt_is_missing}');
    expect((await readBody(response.body)).toString()).toBe('Jwt is missing');
  });

  test('that is bad: the challenge names the error', async () => {
    const request = withToken('a.b');
    const response = await pass(configOf({ p: providerOf(jwks) }), request);
    expect(response.headers.get('www-authenticate')).toBe(
      'Bearer realm="http://reviews:9080/a?b=c", error="invalid_token"',
    );
  });

  test('a stripped refusal says nothing but its status', async () => {
    const response = await pass(
      configOf({ p: providerOf(jwks) }, { stripFailureResponse: true }),
      withToken('a.b'),
    );
    expect(response.status).toBe(401);
    expect(response.headers.has('www-authenticate')).toBe(false);
    expect(await readBody(response.body)).toHaveLength(0);
  });

  test.each<[string, JWTPayload, Partial<JwtProvider>, [number, string]]>([
    ['of another issuer', { iss: 'x' }, {}, [401, 'Jwt issuer is not configured']],
    ['of any issuer', { iss: 'x' }, { issuer: '' }, [200, '']],
    ['expired beyond the skew', { exp: NOW_SECONDS - 61 }, {}, [401, 'Jwt is expired']],
    ['expired within the skew', { exp: NOW_SECONDS - 60 }, {}, [200, '']],
    [
      'expired with its own skew',
      { exp: NOW_SECONDS - 11 },
      { clockSkewSeconds: 10 },
      [401, 'Jwt is expired'],
    ],
    ['not valid yet', { nbf: NOW_SECONDS + 61 }, {}, [401, 'Jwt not yet valid']],
    ['for another audience', { aud: 'y' }, { audiences: ['x'] }, [403, 'Audiences in Jwt are not allowed']],
    ['for one of its audiences', { aud: ['y', 'https://x/'] }, { audiences: ['http://x'] }, [200, '']],
    ['with the subject', {}, { subjects: { kind: 'prefix', value: 'al', ignoreCase: false } }, [200, '']],
    [
      'with another subject',
      { sub: 'bob' },
      { subjects: { kind: 'exact', value: 'alice', ignoreCase: false } },
      [401, 'Jwt verification fails'],
    ],
    ['without expiration', { exp: 0 }, {}, [200, '']],
    [
      'without expiration that must have one',
      { exp: 0 },
      { requireExpiration: true },
      [401, 'Jwt verification fails'],
    ],
    ['that lives too long', {}, { maxLifetimeMs: 600_000 }, [401, 'Jwt verification fails']],
    ['that lives short enough', {}, { maxLifetimeMs: 600_001 }, [200, '']],
    ['whose iat is no number', { iat: 'x' as never }, {}, [401, 'Jwt payload [iat] field is not an integer']],
    [
      'whose nbf is negative',
      { nbf: -1 },
      {},
      [401, 'Jwt payload [nbf] field is not a positive 64 bit integer'],
    ],
    [
      'whose aud is no text',
      { aud: 7 as never },
      {},
      [401, 'Jwt payload [aud] field is not a string or string list'],
    ],
  ])('%s', async (_name, claims, change, expected) => {
    expect(await outcome(change, await sign(issuer, claims))).toEqual(expected);
  });

  test.each([
    ['one', 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'],
    ['a.b.c.d', 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'],
    ['a.b.', 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'],
    ['a.b.c', 'Jwt header is an invalid Base64url encoded'],
    ['e30.e30.e30', 'Jwt header [alg] field is required and must be a string'],
    ['W10.e30.e30', 'Jwt header is an invalid JSON'],
    [`${Buffer.from('{"alg":"XX"}').toString('base64url')}.e30.e30`, 'Jwt header [alg] is not supported'],
    [
      `${Buffer.from('{"alg":"ES256","kid":1}').toString('base64url')}.e30.e30`,
      'Jwt header [kid] field is not a string',
    ],
    [
      `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.e.e30`,
      'Jwt payload is an invalid Base64url encoded',
    ],
    [`${Buffer.from('{"alg":"ES256"}').toString('base64url')}.abcd.e30`, 'Jwt payload is an invalid JSON'],
  ])('malformed: %s', async (token, body) => {
    expect(await outcome({}, makeRequest({ header: { authorization: `Bearer ${token}` } }))).toEqual([
      401,
      body,
    ]);
  });
});

describe('attacks', () => {
  const part = (json: unknown): string => Buffer.from(JSON.stringify(json)).toString('base64url');
  const CLAIMS = { iss: 'https://issuer.example', exp: NOW_SECONDS + 600 };

  test('a token without signature is refused', async () => {
    const none = new UnsecuredJWT(CLAIMS).encode();
    expect((await outcome({}, none))[0]).toBe(401);
    expect(await outcome({}, `${none}AAAA`)).toEqual([401, 'Jwt header [alg] is not supported']);
  });

  test('a public key is never taken for a shared secret', async () => {
    const head = `${part({ alg: 'HS256', kid: 'rsa' })}.${part(CLAIMS)}`;
    const bare = { ...rsa.jwk };
    delete bare.alg;
    for (const secret of [JSON.stringify(rsa.jwk), rsa.jwk.n ?? '']) {
      const token = `${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`;
      const local = { jwks: { kind: 'local', text: setOf(bare) } } as const;
      expect(await outcome(local, token)).toEqual([401, 'Jwt verification fails']);
      expect((await outcome({}, token))[0]).toBe(401);
    }
  });

  test('the key of another algorithm does not count', async () => {
    const token = await sign(rsa, {}, { kid: 'k1' });
    expect(await outcome({}, token)).toEqual([401, "Jwks doesn't have key to match kid or alg from Jwt"]);
  });

  test('an extension that must be understood makes a token invalid', async () => {
    const token = await sign(issuer, {}, { b64: true, crit: ['b64'] });
    const unknown = token.split('.');
    unknown[0] = part({ alg: 'ES256', kid: 'k1', crit: ['exp'], exp: 1 });
    expect(await outcome({}, unknown.join('.'))).toEqual([401, 'Jwt verification fails']);
  });

  test('a key inside the token is not used', async () => {
    const stranger = await createIssuer();
    const token = await sign(stranger, {}, { jwk: stranger.jwk, jku: 'https://evil.example' });
    expect(await outcome({}, token)).toEqual([401, 'Jwt verification fails']);
  });

  test('a changed payload is refused', async () => {
    const [head, , signature] = (await sign(issuer)).split('.');
    expect(await outcome({}, `${head}.${part({ ...CLAIMS, sub: 'root' })}.${signature}`)).toEqual([
      401,
      'Jwt verification fails',
    ]);
  });

  test('a good token does not cover up a bad one', async () => {
    const request = withToken(await sign(issuer));
    request.path = '/?access_token=a.b.c';
    expect((await outcome({}, request))[0]).toBe(401);
  });

  test('headers that the filter writes can’t be faked', async () => {
    const change = {
      forwardPayloadHeader: 'x-payload',
      claimToHeaders: [
        { header: 'x-user', claim: 'sub' },
        { header: 'x-admin', claim: 'admin' },
      ],
    };
    const request = withToken(await sign(issuer));
    request.headers.append('x-payload', 'fake');
    request.headers.append('x-user', 'root');
    request.headers.append('x-admin', 'true');
    expect(await outcome(change, request)).toEqual(OK);
    expect(request.headers.getAll('x-user')).toEqual(['alice']);
    expect(request.headers.getAll('x-payload')).toHaveLength(1);
    expect(request.headers.has('x-admin')).toBe(false);
  });

  test('a claim can’t break the header block, and the prototype of an object is no claim', async () => {
    const request = withToken(await sign(issuer, { name: 'a\r\nx-evil: 1' }));
    const claimToHeaders = ['name', 'constructor', '__proto__'].map((claim) => ({
      header: `x-${claim}`,
      claim,
    }));
    expect(await outcome({ claimToHeaders }, request)).toEqual(OK);
    expect([...request.headers]).toEqual([]);
  });

  test('an oversized or foreign key set gives no keys', async () => {
    const token = await sign(issuer);
    for (const text of [
      '',
      '[]',
      '{"keys":1}',
      '{"keys":[{"kty":"RSA"}]}',
      '{"keys":[null,1,{"kty":"constructor"}]}',
    ]) {
      const local = { jwks: { kind: 'local', text } } as const;
      expect(await outcome(local, token)).toEqual([401, "Jwks doesn't have any valid public key"]);
    }
  });
});

describe('places', () => {
  test('headers with prefix, parameters and cookies', async () => {
    const token = await sign(issuer);
    const change = {
      fromHeaders: [{ name: 'x-jwt', valuePrefix: 'JWT ' }],
      fromParams: ['t'],
      fromCookies: ['c'],
    };
    for (const request of [
      makeRequest({ header: { 'x-jwt': `foo JWT  ${token}, more` } }),
      makeRequest({ path: `/?a=1&t=${token}&b=2` }),
      makeRequest({ header: { cookie: `a=b; c=${token}` } }),
    ]) {
      expect(await outcome(change, request)).toEqual(OK);
      if (request.path !== '/') expect(request.path).toBe('/?a=1&b=2');
    }
    expect((await outcome(change, token))[1]).toBe('Jwt is missing');
  });

  test('a token that another provider’s place allows is no token here', async () => {
    const request = withToken(await sign(issuer));
    const other = providerOf(jwks, { issuer: 'other' });
    const config = configOf({ p: other, q: providerOf(jwks) }, { rules: [ruleOf(needs('p'))] });
    expect((await pass(config, request)).status).toBe(401);
  });
});

describe('what is handed on', () => {
  const claims = {
    scope: 'read  write',
    age: 7,
    half: -1.5,
    yes: true,
    nested: { deep: { id: 'x' }, list: [1] },
    name: 'Zoë',
  };

  test('claims in headers', async () => {
    const names = ['age', 'half', 'yes', 'nested.deep.id', 'nested.list', 'nested.none', 'name', 'name.x'];
    const claimToHeaders = names.map((claim, index) => ({ header: `x-${index}`, claim }));
    const request = withToken(await sign(issuer, claims));
    expect(await outcome({ claimToHeaders }, request)).toEqual(OK);
    expect([...request.headers]).toEqual([
      ['x-0', '7'],
      ['x-1', '-1.500000'],
      ['x-2', 'true'],
      ['x-3', 'x'],
      ['x-4', Buffer.from('[1]').toString('base64')],
      ['x-6', Buffer.from('Zoë').toString('latin1')],
    ]);
  });

  test('the payload in a header, with and without padding', async () => {
    const token = await sign(issuer, { a: '1' });
    for (const padForwardPayloadHeader of [false, true]) {
      const request = withToken(token);
      await outcome({ forwardPayloadHeader: 'x-payload', padForwardPayloadHeader }, request);
      const payload = token.split('.')[1] ?? '';
      const padded = payload.padEnd(Math.ceil(payload.length / 4) * 4, '=');
      expect(request.headers.get('x-payload')).toBe(padForwardPayloadHeader ? padded : payload);
    }
  });

  test('payload, header and failure in metadata', async () => {
    const change = {
      payloadInMetadata: 'payload',
      headerInMetadata: 'head',
      failedStatusInMetadata: 'failure',
      spaceDelimitedClaims: ['scope', 'age'],
    };
    const good = withToken(await sign(issuer, claims));
    await outcome(change, good);
    expect(good.context.dynamicMetadata?.get('envoy.filters.http.jwt_authn')).toMatchObject({
      payload: { scope: ['read', 'write'], age: 7, sub: 'alice' },
      head: { alg: 'ES256' },
    });
    const bad = withToken('a.b');
    await outcome(change, bad);
    expect(bad.context.dynamicMetadata?.get('envoy.filters.http.jwt_authn')).toMatchObject({
      failure: { code: 4 },
    });
  });
});

describe('requirements', () => {
  const q = () => providerOf(jwks, { issuer: 'q', fromHeaders: [{ name: 'x-q', valuePrefix: '' }] });

  const run = async (requires: JwtRequirement, header: Record<string, string>): Promise<string> => {
    const config = configOf({ p: providerOf(jwks), q: q() }, { rules: [ruleOf(requires)] });
    const response = await pass(config, makeRequest({ header }));
    return response.status === 200 ? 'ok' : (await readBody(response.body)).toString();
  };

  test('any: the first that is good counts, and the most telling error', async () => {
    const any = (...more: JwtRequirement[]): JwtRequirement => ({
      kind: 'any',
      requirements: [needs('p'), needs('q'), ...more],
    });
    const p = { authorization: `Bearer ${await sign(issuer)}` };
    const foreign = { authorization: `Bearer ${await sign(issuer, { iss: 'z' })}` };
    expect(await run(any(), p)).toBe('ok');
    expect(await run(any(), { 'x-q': await sign(issuer, { iss: 'q' }) })).toBe('ok');
    expect(await run(any(), {})).toBe('Jwt is missing');
    expect(await run(any(), foreign)).toBe('Jwt issuer is not configured');
    expect(await run(any(), { ...foreign, 'x-q': 'a.b' })).toContain('two dots');
    expect(await run(any({ kind: 'allow-missing' }), {})).toBe('ok');
    expect(await run(any({ kind: 'allow-missing' }), foreign)).toBe('Jwt issuer is not configured');
    expect(await run(any({ kind: 'allow-missing-or-failed' }), foreign)).toBe('ok');
  });

  test('all: each must be good', async () => {
    const all: JwtRequirement = { kind: 'all', requirements: [needs('p'), needs('q')] };
    const p = { authorization: `Bearer ${await sign(issuer)}` };
    expect(await run(all, p)).toBe('Jwt is missing');
    expect(await run(all, { ...p, 'x-q': await sign(issuer, { iss: 'q' }) })).toBe('ok');
  });

  test('audiences of the requirement replace those of the provider', async () => {
    const p = { authorization: `Bearer ${await sign(issuer)}` };
    expect(await run(needs('p', 'shop'), p)).toBe('ok');
    expect(await run(needs('p', 'other'), p)).toBe('Audiences in Jwt are not allowed');
  });

  test('missing tokens may be allowed, bad ones not', async () => {
    const bad = { authorization: 'Bearer a.b' };
    expect(await run({ kind: 'allow-missing' }, {})).toBe('ok');
    expect(await run({ kind: 'allow-missing' }, bad)).toContain('two dots');
    expect(await run({ kind: 'allow-missing-or-failed' }, bad)).toBe('ok');
    expect(await run({ kind: 'none' }, bad)).toBe('ok');
  });
});

describe('rules and routes', () => {
  test('the first rule that matches counts', async () => {
    const rules = [
      ruleOf(undefined, '/open'),
      ruleOf(needs('p'), '/o'),
      ruleOf({ kind: 'named', name: 'n' }, '/n'),
    ];
    const requirementMap = new Map([['n', needs('p')]]);
    const at = (path: string) => outcome({}, makeRequest({ path }), { rules, requirementMap });
    expect((await at('/open?x'))[0]).toBe(200);
    expect((await at('/other'))[0]).toBe(401);
    expect((await at('/named'))[0]).toBe(401);
    expect((await at('/x'))[0]).toBe(200);
  });

  test('a route may need something else, or nothing', async () => {
    const config = configOf(
      { p: providerOf(jwks) },
      { rules: [], requirementMap: new Map([['n', needs('p')]]) },
    );
    const layer = (requirementName: string | undefined) => [
      { kind: 'jwt-authn-route' as const, requirementName },
      { kind: 'jwt-authn-route' as const, requirementName: 'never read' },
    ];
    expect((await pass(config, makeRequest(), layer('n'))).status).toBe(401);
    expect((await pass(config, makeRequest(), layer(undefined))).status).toBe(200);
    const unknown = await pass(config, makeRequest(), layer('x'));
    expect(unknown.status).toBe(403);
    expect((await readBody(unknown.body)).toString()).toBe(
      'Failed JWT authentication: Wrong requirement_name: x. It should be one of [n]',
    );
  });

  test('filter state decides for requests that match no rule', async () => {
    const filterStateRules = { name: 'key', requires: new Map([['strict', needs('p')]]) };
    const request = makeRequest();
    request.context.filterState = new Map([['key', 'strict']]);
    expect((await outcome({}, request, { rules: [], filterStateRules }))[0]).toBe(401);
    expect((await outcome({}, makeRequest(), { rules: [], filterStateRules }))[0]).toBe(200);
  });

  test('a CORS preflight passes when it is let through', async () => {
    const header = { origin: 'https://a', 'access-control-request-method': 'GET' };
    const request = () => makeRequest({ method: 'OPTIONS', header });
    expect((await outcome({}, request(), { bypassCorsPreflight: true }))[0]).toBe(200);
    expect((await outcome({}, request()))[0]).toBe(401);
  });
});

describe('the cache of verified tokens', () => {
  test('still checks time and audience', async () => {
    const token = await sign(issuer);
    const config = configOf(
      { p: providerOf(jwks, { cacheSize: 1 }) },
      { rules: [ruleOf(needs('p', 'other'), '/other'), ruleOf(needs('p'))] },
    );
    expect((await pass(config, withToken(token))).status).toBe(200);
    const other = withToken(token);
    other.path = '/other';
    expect((await pass(config, other)).status).toBe(403);
  });
});

test.each(['ES384', 'ES512', 'RS256', 'RS512', 'PS256', 'EdDSA'])(
  'tokens signed with %s',
  async (algorithm) => {
    const own = await createIssuer(algorithm);
    const local = { jwks: { kind: 'local', text: setOf(own.jwk) } } as const;
    expect(await outcome(local, await sign(own))).toEqual(OK);
  },
);
