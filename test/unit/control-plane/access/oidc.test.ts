import { sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { identityTemplate } from '../../../../src/control-plane/access/identity-template.js';
import {
  createTokenVerifier,
  type OidcIssuer,
  oidcAuthenticator,
} from '../../../../src/control-plane/access/oidc.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';
import { KEYS, PUBLIC_KEY, type SignOptions, testIssuer, WEAK_KEY } from './tokens.js';

const clock = createFakeClock();
const now = clock.wallTime() / 1000;
const issuer = testIssuer('https://issuer.test');
const good = { sub: 'cart', namespace: 'shop', exp: now + 60 };
const identities = [
  { when: { repository: 'org/shop' }, id: 'spiffe://d.test/ns/ci/sa/shop' },
  { id: 'spiffe://d.test/ns/{namespace}/sa/{sub}' },
];

function authenticatorOf(extra: Partial<OidcIssuer> = {}) {
  const issuers = [
    { issuer: issuer.issuer, jwks: issuer.jwks, audiences: ['inmesh', 'other'], identities, ...extra },
  ];
  const fetch = () => Promise.reject(new Error('nothing is fetched'));
  const verifier = createTokenVerifier(issuers, { clock, fetch, random: () => 0.5 });
  const authenticate = oidcAuthenticator(issuers, { verifier, trustDomain: 'd.test' });
  return async (authorization: string | undefined) =>
    (
      await authenticate({
        peerAddress: '10.0.0.1:1',
        metadata: (name) => (name === 'authorization' ? authorization : undefined),
      })
    )?.id.toString();
}

const authenticate = authenticatorOf();
const bearer = async (claims: Readonly<Record<string, unknown>>, options?: SignOptions) =>
  `Bearer ${await issuer.sign({ ...good, ...claims }, options)}`;

describe('tokens of an OIDC issuer', () => {
  test.each(['ES256', 'RS256', 'PS256', 'EdDSA'])('signed by %s tell who the caller is', async (alg) => {
    expect(await authenticate(await bearer({}, { alg }))).toBe('spiffe://d.test/ns/shop/sa/cart');
  });

  test('are mapped by the first entry whose claims fit', async () => {
    expect(await authenticate(await bearer({ repository: 'org/shop' }))).toBe(
      'spiffe://d.test/ns/ci/sa/shop',
    );
    expect(await authenticate(await bearer({ repository: ['x', 'org/shop'] }))).toBe(
      'spiffe://d.test/ns/ci/sa/shop',
    );
    expect(await authenticate(await bearer({ repository: { 'org/shop': 1 } }))).toBe(
      'spiffe://d.test/ns/shop/sa/cart',
    );
  });

  test('may have several audiences, no kid, and a clock that differs by less than a minute', async () => {
    expect(await authenticate(await bearer({ aud: ['x', 'other'] }))).toBeDefined();
    expect(await authenticate(await bearer({}, { header: { kid: undefined } }))).toBeDefined();
    expect(await authenticate(await bearer({ exp: now - 59, nbf: now + 59, iat: now + 59 }))).toBeDefined();
  });

  test.each([
    ['expired', { exp: now - 60 }],
    ['without an end', { exp: undefined }],
    ['with an end that is no number', { exp: '9999999999' }],
    ['not valid yet', { nbf: now + 61 }],
    ['issued in the future', { iat: now + 61 }],
    ['for another audience', { aud: 'evil' }],
    ['for none', { aud: undefined }],
    ['with an audience inside a list', { aud: [['inmesh']] }],
    ['whose claim has more than one segment', { sub: 'a/sa/b' }],
    ['whose claim is dots', { sub: '..' }],
    ['whose claim is empty', { sub: '' }],
    ['whose claim is a list', { sub: ['cart'] }],
    ['whose claim is missing', { namespace: undefined }],
    ['whose claim belongs to the prototype', { namespace: undefined, __proto__: { namespace: 'shop' } }],
  ])('%s are refused', async (_, claims) => {
    await expect(authenticate(await bearer(claims))).rejects.toThrow();
  });

  test.each<[string, SignOptions]>([
    [
      'an algorithm that needs a shared secret',
      { alg: 'HS256', key: new TextEncoder().encode('shared'.repeat(8)) },
    ],
    [
      'the public key as a shared secret',
      {
        alg: 'HS256',
        key: new TextEncoder().encode(PUBLIC_KEY.export({ type: 'spki', format: 'pem' }).toString()),
        header: { kid: 'rsa' },
      },
    ],
    ['the key of somebody else', { header: { kid: 'ed' } }],
    ['a key that is not there', { header: { kid: 'nobody' } }],
    ['a key that is not for signatures', { header: { kid: 'encryption' } }],
    ['a broken key', { header: { kid: 'broken' } }],
    ['a kid of the prototype', { header: { kid: '__proto__' } }],
    ['a kid that is no text', { header: { kid: 7 } }],
    ['its own key', { header: { jwk: {} } }],
    ['a place of keys', { header: { jku: 'https://evil.test/keys' } }],
    ['another type', { header: { typ: 'logout+jwt' } }],
  ])('with %s are refused', async (_, options) => {
    const signed = bearer({}, options);
    await expect(signed.then(authenticate)).rejects.toThrow();
  });

  test.each([
    ['claim', '{"alg":"ES256","kid":"ec"}', '"sub":"cart","sub":"admin"'],
    ['claim, spelled in two ways', '{"alg":"ES256","kid":"ec"}', '"sub":"cart","s\\u0075b":"admin"'],
    ['member of the header', '{"alg":"ES256","kid":"ec","alg":"none"}', '"sub":"cart"'],
  ])('with a %s that stands twice are refused, however they are signed', async (_, header, members) => {
    const part = (text: string) => Buffer.from(text).toString('base64url');
    const payload = `{"iss":"${issuer.issuer}","aud":"inmesh","exp":${now + 60},"namespace":"shop",${members}}`;
    const signed = `${part(header)}.${part(payload)}`;
    const key = KEYS['ES256'];
    if (key === undefined) throw new Error('no key');
    const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
    const token = `${signed}.${signature.toString('base64url')}`;
    await expect(
      authenticate(`Bearer ${token}`).then((id) => id ?? Promise.reject(new Error('unknown'))),
    ).rejects.toThrow();
  });

  test('signed by a weak key, by none, or changed after it was signed, are refused', async () => {
    const token = await issuer.sign(good);
    const [header = '', payload = '', signature = ''] = token.split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const other = Buffer.from(
      JSON.stringify({ ...good, iss: issuer.issuer, aud: 'inmesh', sub: 'admin' }),
    ).toString('base64url');
    for (const forged of [
      `${none}.${payload}.`,
      `${none}.${payload}.${signature}`,
      `${header}.${other}.${signature}`,
      `${header}.${payload}.${signature.slice(0, -2)}`,
    ])
      await expect(
        authenticate(`Bearer ${forged}`).then((id) => id ?? Promise.reject(new Error('unknown'))),
      ).rejects.toThrow();
    expect(WEAK_KEY.asymmetricKeyDetails?.modulusLength).toBe(1024);
  });

  test('only by algorithms that the issuer is allowed', async () => {
    const strict = authenticatorOf({ algorithms: ['RS256'] });
    expect(await strict(await bearer({}, { alg: 'RS256' }))).toBeDefined();
    await expect(strict(await bearer({}, { alg: 'PS256' }))).rejects.toThrow();
    expect(KEYS['PS256']).toBe(KEYS['RS256']);
  });

  test.each([undefined, '', 'Basic x', 'Bearer', 'Bearer a.b', 'Bearer a b', `Bearer ${'x'.repeat(20_000)}`])(
    'what is no token of it (%#) is not for this authenticator',
    async (authorization) => {
      expect(await authenticate(authorization)).toBeUndefined();
    },
  );

  test('of another issuer are not for this one', async () => {
    expect(await authenticate(`Bearer ${await testIssuer('https://evil.test').sign(good)}`)).toBeUndefined();
  });
});

describe('an issuer that can not be used', () => {
  test.each<[string, Partial<OidcIssuer>]>([
    ['without audiences', { audiences: [] }],
    ['without a name', { issuer: '' }],
    ['with keys over http', { jwks: undefined as never, jwksUri: 'http://issuer.test/keys' }],
    ['with keys that are none', { jwks: '[]' }],
    ['with a shared-secret algorithm', { algorithms: ['HS256'] }],
    ['with an identity of another trust domain', { identities: [{ id: 'spiffe://evil.test/ns/a/sa/b' }] }],
    ['with a claim for the trust domain', { identities: [{ id: 'spiffe://{td}/ns/a/sa/b' }] }],
    ['with no path', { identities: [{ id: 'spiffe://d.test' }] }],
  ])('%s is refused at the start', (_, extra) => {
    expect(() => authenticatorOf(extra)).toThrow(expect.objectContaining({ code: 'INMESH_OPTION_INVALID' }));
  });
});

test('a template reaches into objects, and a slash in a name is written ~1', () => {
  const template = identityTemplate(
    'spiffe://d.test/ns/{kubernetes.io/namespace}/sa/{https:~1~1x.test~1name}',
    'd.test',
  );
  const claims = { 'kubernetes.io': { namespace: 'shop' }, 'https://x.test/name': 'cart' };
  expect(String(template(claims))).toBe('spiffe://d.test/ns/shop/sa/cart');
});
