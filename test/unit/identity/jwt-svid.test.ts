import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { CompactSign, SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { createJwtBundle, parseJwtBundle } from '../../../src/identity/jwt-bundle.js';
import { type JwtSvidOptions, validateJwtSvid } from '../../../src/identity/jwt-svid.js';

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const bundle = createJwtBundle('td.test', [
  ['ec', ec.publicKey],
  ['rsa', rsa.publicKey],
]);
const nowMs = Date.UTC(2030, 0, 1);
const now = nowMs / 1000;
const claims = { sub: 'spiffe://td.test/client', aud: ['server'], exp: now + 300 };
const own = (name: string) => (name === 'td.test' ? bundle : undefined);

interface Spec {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  readonly key?: KeyObject;
}

const sign = ({ header, claims: changed, key = ec.privateKey }: Spec = {}) =>
  new SignJWT({ ...claims, ...changed } as unknown as Record<string, never>)
    .setProtectedHeader({ alg: 'ES256', kid: 'ec', ...header })
    .sign(key);
const signText = (payload: string, header: Record<string, unknown> = {}) =>
  new CompactSign(Buffer.from(payload))
    .setProtectedHeader({ alg: 'ES256', kid: 'ec', ...header })
    .sign(ec.privateKey);
const validate = (token: string, options: Partial<JwtSvidOptions> = {}) =>
  validateJwtSvid(token, own, { audience: 'server', nowMs, ...options });

describe('a JWT-SVID', () => {
  test('holds when its trust domain signed it for this audience', async () => {
    const svid = await validate(await sign({ claims: { extra: 'x', iat: now } }));
    expect(svid.id.toString()).toBe('spiffe://td.test/client');
    expect(svid).toMatchObject({ audience: ['server'], expiresAtMs: nowMs + 300_000, issuedAtMs: nowMs });
    expect(svid.claims['extra']).toBe('x');
  });

  test.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])('may be signed with %s', async (alg) => {
    const token = await sign({ header: { alg, kid: 'rsa' }, key: rsa.privateKey });
    expect((await validate(token)).id.path).toBe('/client');
  });

  test('is tried with every fitting key when it names none', async () => {
    expect((await validate(await sign({ header: { kid: undefined } }))).id.path).toBe('/client');
  });

  test.each<[string, Spec, string]>([
    ['of another audience', { claims: { aud: 'other' } }, 'another audience'],
    ['without audience', { claims: { aud: undefined } }, 'no audience'],
    ['with an empty audience', { claims: { aud: [] } }, 'no audience'],
    ['with an audience that is no text', { claims: { aud: ['server', 1] } }, 'no audience'],
    ['without expiry', { claims: { exp: undefined } }, 'no expiry'],
    ['with an expiry in words', { claims: { exp: `${now + 300}` } }, 'expiry is no time'],
    ['that expired', { claims: { exp: now - 31 } }, 'expired at'],
    ['of the future', { claims: { nbf: now + 61 } }, 'not valid before'],
    ['issued in the future', { claims: { iat: now + 61 } }, 'still to come'],
    ['without subject', { claims: { sub: undefined } }, 'no subject'],
    ['of no workload', { claims: { sub: 'spiffe://td.test' } }, 'trust domain and no workload'],
    ['whose subject is no ID', { claims: { sub: 'client' } }, 'no SPIFFE ID'],
    ['with a URL to a key', { header: { jku: 'https://evil.test' } }, 'header has the member "jku"'],
    ['with a key of its own', { header: { jwk: {} } }, '"jwk"'],
    ['with a critical extension', { header: { b64: true, crit: ['b64'] } }, 'header has the member'],
    ['of another type', { header: { typ: 'at+jwt' } }, 'neither JWT nor JOSE'],
    ['with an unknown key ID', { header: { kid: '__proto__' } }, 'no key'],
    ['with the key ID of a key of another kind', { header: { kid: 'rsa' } }, 'no key'],
    [
      'signed by a stranger',
      { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey },
      'no key of its trust domain',
    ],
  ])('%s is refused', async (_, spec, why) => {
    const problem = validate(await sign(spec));
    await expect(problem).rejects.toMatchObject({ code: 'INMESH_JWT_SVID_INVALID' });
    await expect(problem).rejects.toThrow(why);
  });

  test('of a trust domain without a bundle is not trusted, also when its key is known here', async () => {
    const token = await sign({ claims: { sub: 'spiffe://other.test/client' } });
    await expect(validate(token)).rejects.toMatchObject({ code: 'INMESH_TRUST_DOMAIN' });
  });

  test('is not validated with the secret that its public key would make', async () => {
    const pem = ec.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const token = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 'ec' })
      .sign(Buffer.from(pem));
    await expect(validate(token)).rejects.toThrow('algorithm is not one of JWT-SVIDs');
  });

  test.each([
    '{"sub":"spiffe://td.test/client","sub":"spiffe://td.test/admin","aud":"server","exp":9999999999}',
  ])('with a claim twice is refused', async (payload) => {
    await expect(validate(await signText(payload))).rejects.toThrow('the member "sub" twice');
  });

  test('has one spelling', async () => {
    const token = await sign();
    for (const other of [
      `${token}=`,
      ` ${token}`,
      `${token}\n`,
      `Bearer ${token}`,
      `${token}.`,
      token.slice(1),
    ])
      await expect(validate(other)).rejects.toMatchObject({ code: 'INMESH_JWT_SVID_INVALID' });
  });

  test('the leeway is a minute at most', async () => {
    const token = await sign({ claims: { exp: now - 50 } });
    expect((await validate(token, { leewayMs: 55_000 })).id.path).toBe('/client');
    await expect(
      validate(await sign({ claims: { exp: now - 61 } }), { leewayMs: 3_600_000 }),
    ).rejects.toThrow('expired');
  });

  test('an empty name of this service matches nothing', async () => {
    await expect(validate(await sign(), { audience: '' })).rejects.toThrow('another audience');
    await expect(validate(await sign(), { audience: [] })).rejects.toThrow('another audience');
  });
});

describe('a JWK set of the Workload API', () => {
  const jwk = { ...ec.publicKey.export({ format: 'jwk' }), kid: 'a' };

  test('may leave out what its keys are for', () => {
    const read = parseJwtBundle(
      'td.test',
      JSON.stringify({ keys: [jwk, { ...jwk, kid: 'b', use: 'jwt-svid' }] }),
    );
    expect([...read.authorities.keys()]).toEqual(['a', 'b']);
  });

  test('entries for other uses are ignored', () => {
    const read = parseJwtBundle('td.test', JSON.stringify({ keys: [{ ...jwk, use: 'x509-svid' }] }));
    expect(read.authorities.size).toBe(0);
  });
});
