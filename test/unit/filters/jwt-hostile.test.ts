import { createHmac, createSign, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { jwtAuthn } from '../../../src/filters/jwt-authn.js';
import { readBody } from '../../../src/service/body.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { configOf, ISSUER, NOW_SECONDS, providerOf, setOf } from './jwt-fixtures.js';
import { filterTools, makeRequest, makeResponse } from './support.js';

/** Tokens that no library would make, signed with the issuer's own key where that makes the attack stronger. */

const issuer = generateKeyPairSync('rsa', { modulusLength: 2048 });
const attacker = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = { ...issuer.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256' };
const attackerJwk = attacker.publicKey.export({ format: 'jwk' });

const NOW = { ...createFakeClock(), wallTime: () => NOW_SECONDS * 1000 };
const EXPIRES = NOW_SECONDS + 600;

const encode = (text: string | Uint8Array): string => Buffer.from(text).toString('base64url');
const HEADER = '{"alg":"RS256","kid":"k1"}';
const PAYLOAD = JSON.stringify({ iss: ISSUER, sub: 'alice', exp: EXPIRES });

/** Header and payload as they are given, with a signature that is right for them. */
function signed(
  header: string | Uint8Array,
  payload: string | Uint8Array = PAYLOAD,
  key = issuer.privateKey,
): string {
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${createSign('sha256').update(text).sign(key).toString('base64url')}`;
}

async function outcome(token: string, keys: string = setOf(jwk)): Promise<readonly [number, string]> {
  const filter = jwtAuthn(configOf({ p: providerOf(keys) }), [], filterTools(NOW));
  if (filter === undefined) throw new Error('no filter');
  const request = makeRequest({ path: '/', header: { authorization: `Bearer ${token}` } });
  const response = await filter(request, () => Promise.resolve(makeResponse(200)));
  return [response.status, response.status === 200 ? '' : (await readBody(response.body)).toString()];
}

const BAD_HEADER = 'Jwt header is an invalid JSON';
const BAD_PAYLOAD = 'Jwt payload is an invalid JSON';
const BAD_ALGORITHM = 'Jwt header [alg] is not supported';
const NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt";
const BAD_SIGNATURE = 'Jwt verification fails';
const BAD_FORM = 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections';

test('the honest token of these tests is taken', async () => {
  expect(await outcome(signed(HEADER))).toEqual([200, '']);
});

describe('a token is refused whose text', () => {
  const [header, payload, signature] = signed(HEADER).split('.');
  test.each([
    ['has no signature', `${header}.${payload}.`, BAD_FORM],
    ['has two parts', `${header}.${payload}`, BAD_FORM],
    ['has five parts, as an encrypted one', `${header}.a.${payload}.b.${signature}`, BAD_FORM],
    ['is dots', '..', BAD_FORM],
    [
      'has a signature of an impossible length',
      `${header}.${payload}.${signature?.slice(0, -1)}`,
      'Jwt signature is an invalid Base64url encoded',
    ],
    ['holds a zero byte in its header', `${encode('\0')}.${payload}.${signature}`, BAD_HEADER],
    ['is not UTF-8', signed(Uint8Array.of(0x7b, 0xff, 0x7d)), BAD_HEADER],
    ['has no object for a header', signed('[]'), BAD_HEADER],
    ['has no object for a payload', signed(HEADER, '"alice"'), BAD_PAYLOAD],
    [
      'has a payload a thousand levels deep',
      signed(HEADER, `{"a":${'['.repeat(1000)}${']'.repeat(1000)}}`),
      BAD_PAYLOAD,
    ],
    ['has text after its JSON', signed(HEADER, `${PAYLOAD}{}`), BAD_PAYLOAD],
  ])('%s', async (_what, token, message) => {
    const [status, body] = await outcome(token);
    expect(status).toBe(401);
    expect(body).toBe(message);
  });
});

describe('a token is refused in which a member stands twice', () => {
  test.each([
    ['alg', signed('{"alg":"none","kid":"k1","alg":"RS256"}'), BAD_HEADER],
    ['kid', signed('{"alg":"RS256","kid":"k1","kid":"k2"}'), BAD_HEADER],
    [
      'iss',
      signed(HEADER, `{"iss":"${ISSUER}","iss":"https://other.example","exp":${EXPIRES}}`),
      BAD_PAYLOAD,
    ],
    [
      'sub, once in escapes',
      signed(HEADER, `{"iss":"${ISSUER}","sub":"alice","s\\u0075b":"admin"}`),
      BAD_PAYLOAD,
    ],
    ['one deep inside', signed(HEADER, `{"iss":"${ISSUER}","a":{"b":1,"b":2}}`), BAD_PAYLOAD],
  ])('%s', async (_what, token, message) => {
    expect(await outcome(token)).toEqual([401, message]);
  });
});

describe('an algorithm is not what the token says', () => {
  const unsigned = (alg: unknown) =>
    `${encode(JSON.stringify({ alg, kid: 'k1' }))}.${encode(PAYLOAD)}.${encode('x')}`;
  test.each(['none', 'None', 'NONE', 'nOnE', '', 'RS256 ', 'rs256', 'RS1', 'HS256\0'])('%j', async (alg) => {
    expect(await outcome(unsigned(alg))).toEqual([401, BAD_ALGORITHM]);
  });

  test.each([null, 1, ['RS256'], {}])('nor is it %j', async (alg) => {
    expect(await outcome(unsigned(alg))).toEqual([
      401,
      'Jwt header [alg] field is required and must be a string',
    ]);
  });

  test('a public key is no shared secret, whatever form of it is used', async () => {
    const text = `${encode('{"alg":"HS256"}')}.${encode(PAYLOAD)}`;
    const pem = issuer.publicKey.export({ format: 'pem', type: 'spki' }).toString();
    for (const secret of [pem, pem.trim(), JSON.stringify(jwk), jwk.n ?? '']) {
      const mac = createHmac('sha256', secret).update(text).digest('base64url');
      // The key is not even looked at: it says what it is for, or is of a kind that can't be.
      expect((await outcome(`${text}.${mac}`))[0]).toBe(401);
      expect((await outcome(`${text}.${mac}`, setOf({ ...jwk, alg: undefined as never })))[0]).toBe(401);
    }
  });

  test('a signature of another kind of key is none', async () => {
    expect(await outcome(signed('{"alg":"ES256","kid":"k1"}'), setOf({ ...jwk, alg: 'RS256' }))).toEqual([
      401,
      NO_KEY,
    ]);
    expect(await outcome(signed('{"alg":"PS256","kid":"k1"}'))).toEqual([401, NO_KEY]);
  });
});

describe('a key comes from the configured set and from nowhere else', () => {
  test.each([
    ['the key itself', { jwk: attackerJwk }],
    ['a set of keys', { jku: 'http://169.254.169.254/keys' }],
    ['a certificate by URL', { x5u: 'https://attacker.example/cert' }],
    ['a certificate', { x5c: ['MIIB'] }],
  ])('%s in the header counts for nothing', async (_what, members) => {
    const header = JSON.stringify({ alg: 'RS256', kid: 'k1', ...members });
    expect(await outcome(signed(header, PAYLOAD, attacker.privateKey))).toEqual([401, BAD_SIGNATURE]);
  });

  test.each([
    '../../../../dev/null',
    '/dev/null',
    "k1' OR '1'='1",
    'k1\0',
    'K1',
    ' k1',
    '__proto__',
    'constructor',
    'http://attacker.example/key',
    '|id',
  ])('no key is called %j', async (kid) => {
    expect(await outcome(signed(JSON.stringify({ alg: 'RS256', kid })))).toEqual([401, NO_KEY]);
  });

  test.each([1, null, {}, ['k1']])('a name that is no text is none: %j', async (kid) => {
    expect(await outcome(signed(JSON.stringify({ alg: 'RS256', kid })))).toEqual([
      401,
      'Jwt header [kid] field is not a string',
    ]);
  });

  test('an extension that must be understood is not', async () => {
    for (const crit of [['exp'], ['b64'], [], 'exp']) {
      const header = JSON.stringify({ alg: 'RS256', kid: 'k1', crit, b64: false, exp: 1 });
      expect((await outcome(signed(header)))[0]).toBe(401);
    }
  });

  test.each([
    ['two sets', `{"keys":[${JSON.stringify(attackerJwk)}],"keys":[${JSON.stringify(jwk)}]}`],
    ['two names of a key', `{"keys":[${JSON.stringify(jwk).replace('{', '{"kid":"k0",')}]}`],
    ['a key twice, once in escapes', `{"keys":[${JSON.stringify(jwk).replace('{', '{"\\u006e":"AQAB",')}]}`],
    ['text after its JSON', `${setOf(jwk)}{}`],
  ])('a set with %s is none', async (_what, keys) => {
    expect(await outcome(signed(HEADER), keys)).toEqual([401, "Jwks doesn't have any valid public key"]);
  });

  test('a key for encryption signs nothing', async () => {
    expect(await outcome(signed(HEADER), setOf({ ...jwk, use: 'enc' }))).toEqual([
      401,
      "Jwks doesn't have any valid public key",
    ]);
  });
});

describe('times are numbers that can be', () => {
  test.each([
    ['exp', '"9999999999"', 'Jwt payload [exp] field is not an integer'],
    ['exp', '-1', 'Jwt payload [exp] field is not a positive 64 bit integer'],
    ['exp', '1e400', BAD_PAYLOAD],
    ['exp', '99999999999999999999999', 'Jwt payload [exp] field is not a positive 64 bit integer'],
    ['exp', 'null', 'Jwt payload [exp] field is not an integer'],
    ['nbf', 'true', 'Jwt payload [nbf] field is not an integer'],
    ['iat', '[]', 'Jwt payload [iat] field is not an integer'],
    ['exp', '1', 'Jwt is expired'],
    ['nbf', '9999999999', 'Jwt not yet valid'],
  ])('%s %s', async (claim, value, message) => {
    const [status, body] = await outcome(signed(HEADER, `{"iss":"${ISSUER}","${claim}":${value}}`));
    expect(status).toBe(401);
    // Numbers beyond all bounds are no JSON to one reader and infinite to another: refused either way.
    if (value === '1e400') expect(body).toContain('Jwt payload');
    else expect(body).toBe(message);
  });
});

test('a token of 60,000 characters costs no more than reading it', async () => {
  const long = signed(HEADER, JSON.stringify({ iss: ISSUER, exp: EXPIRES, x: 'a'.repeat(40_000) }));
  expect((await outcome(long))[0]).toBe(200);
  const dots = '.'.repeat(60_000);
  expect(await outcome(dots)).toEqual([401, BAD_FORM]);
});
