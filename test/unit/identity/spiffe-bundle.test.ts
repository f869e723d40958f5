import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createX509Bundle } from '../../../src/identity/bundle.js';
import { createJwtBundle } from '../../../src/identity/jwt-bundle.js';
import { revocationList } from '../../../src/identity/revocation.js';
import {
  createSpiffeBundle,
  encodeBundleMap,
  encodeSpiffeBundle,
  parseBundleMap,
  parseSpiffeBundle,
} from '../../../src/identity/spiffe-bundle.js';
import { createTestCa } from '../../../src/testing/test-ca.js';

const ca = await createTestCa({ trustDomain: 'td.test' });
const other = await createTestCa({ trustDomain: 'other.test' });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
const root = ca.bundle.certificates[0]!;
const rootEntry = { kty: 'EC', use: 'x509-svid', x5c: [root.certificate.raw.toString('base64')] };
const ecEntry = { ...ec.export({ format: 'jwk' }), use: 'jwt-svid', kid: 'ec' };
const rsaEntry = { ...rsa.export({ format: 'jwk' }), use: 'jwt-svid', kid: 'rsa' };
const parse = (document: unknown) => parseSpiffeBundle('td.test', JSON.stringify(document));
const keys = (...entries: unknown[]) => parse({ keys: entries });

const refusal = (why: string) =>
  expect.objectContaining({
    code: expect.stringMatching(/^INMESH_(BUNDLE|SVID)_INVALID$/),
    message: expect.stringContaining(why),
  });

describe('a SPIFFE bundle document', () => {
  test('holds authorities for both kinds of SVID, a sequence and a hint', () => {
    const bundle = parse({
      keys: [rootEntry, ecEntry, rsaEntry],
      spiffe_sequence: 7,
      spiffe_refresh_hint: 300,
    });
    expect(bundle.x509.authorities).toEqual(ca.bundle.authorities);
    expect([...bundle.jwt.authorities.keys()]).toEqual(['ec', 'rsa']);
    expect(bundle).toMatchObject({ trustDomain: 'td.test', sequence: 7n, refreshHintMs: 300_000 });
  });

  test('keeps all 64 bits of its sequence', () => {
    const bundle = parseSpiffeBundle('td.test', '{"keys":[],"spiffe_sequence":18446744073709551615}');
    expect(bundle.sequence).toBe(18446744073709551615n);
    expect(() => parseSpiffeBundle('td.test', '{"keys":[],"spiffe_sequence":18446744073709551616}')).toThrow(
      refusal('64 bits'),
    );
  });

  test('without keys trusts nobody', () => {
    const bundle = keys();
    expect(bundle.x509.certificates).toEqual([]);
    expect(bundle.jwt.authorities.size).toBe(0);
  });

  test.each<[string, unknown]>([
    ['of an unknown use', { ...ecEntry, use: 'wit-svid' }],
    ['whose use has another case', { ...ecEntry, use: 'JWT-SVID' }],
    ['without use', { ...ecEntry, use: undefined }],
    ['of an unknown kind', { kty: 'AKP', use: 'jwt-svid', kid: 'a', pub: 'x' }],
    ['that is a secret', { kty: 'oct', use: 'jwt-svid', kid: 'a', k: 'AAAA' }],
    ['on an unknown curve', { ...ecEntry, crv: 'secp256k1' }],
    ['for tokens without a key ID', { ...ecEntry, kid: undefined }],
    ['for certificates without a certificate', { ...rootEntry, x5c: [] }],
    ['for certificates with no x5c at all', { ...ecEntry, use: 'x509-svid' }],
  ])('an entry %s is ignored', (_, entry) => {
    const bundle = keys(entry, rsaEntry);
    expect([...bundle.jwt.authorities.keys()]).toEqual(['rsa']);
    expect(bundle.x509.certificates).toEqual([]);
  });

  test('the certificates after the first of an entry are ignored', () => {
    const bundle = keys({ ...rootEntry, x5c: [...rootEntry.x5c, 'garbage'] });
    expect(bundle.x509.authorities).toEqual(ca.bundle.authorities);
  });

  test.each<[string, unknown, string]>([
    ['no object', [], 'no JSON object'],
    ['no keys', {}, 'no array "keys"'],
    ['keys that are null', { keys: null }, 'no array "keys"'],
    ['a key that is no object', { keys: ['a'] }, 'a key that is no object'],
    ['a sequence in words', { keys: [], spiffe_sequence: '7' }, 'spiffe_sequence'],
    ['a negative sequence', { keys: [], spiffe_sequence: -1 }, 'spiffe_sequence'],
    ['half a sequence', { keys: [], spiffe_sequence: 1.5 }, 'spiffe_sequence'],
    ['a hint in words', { keys: [], spiffe_refresh_hint: '5m' }, 'spiffe_refresh_hint'],
    ['a key ID twice', { keys: [ecEntry, { ...rsaEntry, kid: 'ec' }] }, 'the key ID "ec" twice'],
    ['a point off the curve', { keys: [{ ...ecEntry, x: 'A'.repeat(43) }] }, 'no public key'],
    ['a key without its parts', { keys: [{ ...ecEntry, y: undefined }] }, 'no member y'],
    ['a weak key', { keys: [{ kty: 'RSA', use: 'jwt-svid', kid: 'a', n: 'AQAB', e: 'AQAB' }] }, 'RSA key'],
    ['a certificate that is none', { keys: [{ ...rootEntry, x5c: ['AAAA'] }] }, 'cannot be read'],
    [
      'a certificate in loose base64',
      { keys: [{ ...rootEntry, x5c: [` ${rootEntry.x5c[0]}`] }] },
      'not base64',
    ],
    [
      'the certificate of a workload',
      { keys: [{ ...rootEntry, x5c: [Buffer.from(ca.certificate('a', {}).der).toString('base64')] }] },
      'no authority',
    ],
    ['a certificate with another key', { keys: [{ ...ecEntry, ...rootEntry }] }, 'another key'],
  ])('with %s is refused', (_, document, why) => {
    expect(() => parse(document)).toThrow(refusal(why));
  });

  test('with a member twice is refused', () => {
    expect(() => parseSpiffeBundle('td.test', '{"keys":[],"keys":[]}')).toThrow(refusal('twice'));
  });

  test('is what it was after it was written', () => {
    const bundle = createSpiffeBundle('td.test', {
      x509: createX509Bundle('td.test', [...ca.bundle.authorities, ...other.bundle.authorities]),
      jwt: createJwtBundle('td.test', [
        ['"spiffe_sequence": "1"', ec],
        ['__proto__', rsa],
      ]),
      sequence: 2n ** 63n + 1n,
      refreshHintMs: 60_000,
    });
    const text = encodeSpiffeBundle(bundle);
    const read = parseSpiffeBundle('td.test', text);
    expect(read.x509.authorities).toEqual(bundle.x509.authorities);
    expect([...read.jwt.authorities.keys()]).toEqual([...bundle.jwt.authorities.keys()]);
    expect(read).toMatchObject({ sequence: 2n ** 63n + 1n, refreshHintMs: 60_000 });
    expect(encodeSpiffeBundle(read)).toBe(text);
    // X509-SVID §6.1: certificates have no key ID.
    expect(JSON.parse(text).keys[0].kid).toBeUndefined();
  });

  test('tells what was taken back, in a member that others pass over', () => {
    const revoked = revocationList({
      serials: ['4f3a'],
      ids: ['spiffe://td.test/ns/shop/sa/cart'],
      keys: ['ab'.repeat(32)],
    });
    const x509 = createX509Bundle('td.test', ca.bundle.authorities, revoked);
    const text = encodeSpiffeBundle(createSpiffeBundle('td.test', { x509 }));
    expect(parseSpiffeBundle('td.test', text).x509.revoked).toEqual(revoked);
    expect(parse({ keys: [rootEntry] }).x509.revoked).toBeUndefined();
    const none = createX509Bundle('td.test', [], revocationList({ serials: [], ids: [], keys: [] }));
    expect(encodeSpiffeBundle(createSpiffeBundle('td.test', { x509: none }))).not.toContain('inmesh');
  });

  test.each<[string, unknown]>([
    ['no object', []],
    ['a serial number with leading zeros', { serials: ['01'] }],
    ['an ID without path', { ids: ['spiffe://td.test'] }],
    ['a key that is no SHA-256', { keys: ['abc'] }],
    ['no lists', { ids: 'spiffe://td.test/a' }],
  ])('that says of what was taken back %s is refused', (_, inmesh_revoked) => {
    expect(() => parse({ keys: [rootEntry], inmesh_revoked })).toThrow(refusal('inmesh_revoked'));
  });

  test('is of one trust domain', () => {
    expect(() => createSpiffeBundle('td.test', { x509: other.bundle })).toThrow(
      refusal('another trust domain'),
    );
  });
});

describe('a bundle map', () => {
  test('holds a bundle for each trust domain, and is what it was after it was written', () => {
    const bundles = [ca, other].map(({ trustDomain, bundle }) =>
      createSpiffeBundle(trustDomain, { x509: bundle, sequence: 3n, refreshHintMs: 5000 }),
    );
    const read = parseBundleMap(encodeBundleMap(bundles));
    expect([...read.keys()]).toEqual(['td.test', 'other.test']);
    expect(read.get('other.test')?.x509.authorities).toEqual(other.bundle.authorities);
    expect(read.get('td.test')).toMatchObject({ sequence: 3n, refreshHintMs: undefined });
  });

  test.each<[string, string, string]>([
    ['no trust domains', '{}', 'trust_domains'],
    ['a trust domain twice', '{"trust_domains":{"a":{"keys":[]},"a":{"keys":[]}}}', 'twice'],
    ['an ID for a name', '{"trust_domains":{"spiffe://a":{"keys":[]}}}', 'no name of a trust domain'],
    ['a broken bundle', '{"trust_domains":{"a":{"keys":1}}}', 'keys'],
  ])('with %s is refused', (_, text, why) => {
    expect(() => parseBundleMap(text)).toThrow(refusal(why));
  });
});
