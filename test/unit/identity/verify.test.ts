import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { encodeName } from '../../../src/control-plane/ca/encode-certificate.js';
import { authorizeIds, authorizeTrustDomains, authorizeUris } from '../../../src/identity/authorizer.js';
import { createX509Bundle, type X509Bundle } from '../../../src/identity/bundle.js';
import { type DerEncoder, loadDerEncoder } from '../../../src/identity/der-encode.js';
import { keyFingerprint, revocationList, serialText } from '../../../src/identity/revocation.js';
import { verifyPeer } from '../../../src/identity/verify.js';
import { KeyUsageBit, Oid, readCertificate } from '../../../src/identity/x509.js';
import type { MeshErrorCode } from '../../../src/runtime/errors.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { createTestCa, type TestCa, type TestCertificateChanges } from '../../../src/testing/test-ca.js';
import { withinCpuMs } from '../../vectors/cpu-time.js';

const clock = createFakeClock();
const nowMs = clock.wallTime();
let ca: TestCa;
let other: TestCa;
let encoder: DerEncoder;

beforeAll(async () => {
  [ca, other, encoder] = await Promise.all([
    createTestCa({ clock }),
    createTestCa({ clock, trustDomain: 'other.test' }),
    loadDerEncoder(),
  ]);
});

const own = (trustDomain: string): X509Bundle | undefined =>
  trustDomain === 'cluster.local' ? ca.bundle : undefined;

const verifyChanged = (changes: TestCertificateChanges, name = 'reviews') =>
  verifyPeer([ca.certificate(name, changes).der], own, { nowMs });

const failsWith = (code: MeshErrorCode, text = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

describe('verifyPeer', () => {
  test('names a workload whose certificate holds, and says until when', () => {
    const { der } = ca.certificate('reviews', { notAfterMs: nowMs + 60_000 });
    const peer = verifyPeer([der], own, { nowMs });
    expect(peer.id.toString()).toBe('spiffe://cluster.local/ns/default/sa/reviews');
    expect(peer.notAfterMs).toBe(nowMs + 60_000);
  });

  test.each<[string, TestCertificateChanges, string]>([
    ['no URI', { names: { dnsNames: ['reviews'] } }, 'no URI'],
    ['no names at all', { names: {} }, 'no URI'],
    [
      'two URIs',
      { names: { uris: ['spiffe://cluster.local/a', 'spiffe://cluster.local/b'] } },
      'more than one URI',
    ],
    ['an ID without a path', { names: { uris: ['spiffe://cluster.local'] } }, 'no workload'],
    ['the CA flag', { isCa: true }, 'authority'],
    [
      'key usage keyCertSign',
      { keyUsage: [KeyUsageBit.digitalSignature, KeyUsageBit.keyCertSign] },
      'keyCertSign',
    ],
    ['key usage cRLSign', { keyUsage: [KeyUsageBit.digitalSignature, KeyUsageBit.cRLSign] }, 'cRLSign'],
    ['no key usage digitalSignature', { keyUsage: [KeyUsageBit.keyEncipherment] }, 'digitalSignature'],
    ['an extended key usage for clients only', { extendedKeyUsage: [Oid.clientAuth] }, 'serverAuth'],
  ])('refuses a certificate with %s', (_, changes, text) => {
    expect(() => verifyChanged(changes)).toThrow(failsWith('INMESH_SVID_INVALID', text));
  });

  test.each([
    'https://cluster.local/a',
    'spiffe://Cluster.local/a',
    'spiffe://cluster.local/a\0.evil',
    'spiffe://cluster.local/a/../b',
    'spiffe://cluster.local/a, URI:spiffe://cluster.local/b',
  ])('refuses a certificate whose URI is %j', (uri) => {
    expect(() => verifyChanged({ names: { uris: [uri] } })).toThrow(failsWith('INMESH_SPIFFE_ID'));
  });

  test('accepts DNS names besides the one URI, and a certificate without extended key usage', () => {
    const uris = ['spiffe://cluster.local/a'];
    expect(verifyChanged({ names: { uris, dnsNames: ['localhost'] }, extendedKeyUsage: [] }).id.path).toBe(
      '/a',
    );
  });

  test('a common name is no identity', () => {
    const changes = { names: {}, subjectDer: encodeName(encoder, 'spiffe://cluster.local/a') };
    expect(() => verifyChanged(changes)).toThrow(failsWith('INMESH_SVID_INVALID'));
  });

  test('refuses a certificate after its end and before its start', () => {
    const { der } = ca.certificate('a', { notBeforeMs: nowMs - 1000, notAfterMs: nowMs + 1000 });
    const at = (ms: number) => () => verifyPeer([der], own, { nowMs: nowMs + ms });
    expect(at(1001)).toThrow(failsWith('INMESH_CERTIFICATE_EXPIRED', 'expired at'));
    expect(at(-1001)).toThrow(failsWith('INMESH_CERTIFICATE_EXPIRED', 'not valid before'));
    expect(at(0)).not.toThrow();
  });

  test('refuses a peer without a certificate', () => {
    expect(() => verifyPeer([], own, { nowMs })).toThrow(failsWith('INMESH_PEER_IDENTITY'));
  });

  test('refuses a trust domain that has no bundle here', () => {
    const { der } = other.certificate('a', {});
    expect(() => verifyPeer([der], own, { nowMs })).toThrow(failsWith('INMESH_TRUST_DOMAIN', 'no bundle'));
  });

  test('an authority cannot vouch for another trust domain than its own', () => {
    const { der } = ca.certificate('spiffe://other.test/ns/default/sa/admin', {});
    const both = (name: string) => (name === 'other.test' ? other.bundle : own(name));
    expect(() => verifyPeer([der], both, { nowMs })).toThrow(failsWith('INMESH_TRUST_DOMAIN', 'no root'));
  });

  test('refuses a foreign authority of the same trust domain', async () => {
    const foreign = await createTestCa({ clock });
    const { der } = foreign.certificate('a', {});
    expect(() => verifyPeer([der], own, { nowMs })).toThrow(failsWith('INMESH_TRUST_DOMAIN'));
  });

  test('an empty bundle trusts nobody', () => {
    const { der } = ca.certificate('a', {});
    const empty = () => createX509Bundle('cluster.local', []);
    expect(() => verifyPeer([der], empty, { nowMs })).toThrow(failsWith('INMESH_TRUST_DOMAIN'));
  });

  test('a workload cannot issue for another', () => {
    const middle = ca.certificate('middle', {});
    const { der } = ca.certificate('admin', { issuerDer: encodeName(encoder, 'middle') });
    expect(() => verifyPeer([der, middle.der], own, { nowMs })).toThrow(failsWith('INMESH_TRUST_DOMAIN'));
  });

  test('refuses a certificate with a flipped bit', () => {
    const der = Buffer.from(ca.certificate('a', {}).der);
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    expect(() => verifyPeer([der], own, { nowMs })).toThrow(expect.objectContaining({ name: 'MeshError' }));
  });

  test('refuses bytes after a certificate, and bytes that are none', () => {
    const { der } = ca.certificate('a', {});
    expect(() => verifyPeer([Buffer.concat([der, Buffer.of(0)])], own, { nowMs })).toThrow(
      failsWith('INMESH_SVID_INVALID'),
    );
    expect(() => verifyPeer([Buffer.from('hello')], own, { nowMs })).toThrow(
      failsWith('INMESH_SVID_INVALID'),
    );
  });

  test('refuses a chain of more than 16 certificates without reading it', () => {
    const { der } = ca.certificate('a', {});
    expect(() => verifyPeer(new Array(17).fill(der), own, { nowMs })).toThrow(
      failsWith('INMESH_SVID_INVALID', '16'),
    );
  });

  test('refuses a key that is too weak', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const spkiDer = publicKey.export({ type: 'spki', format: 'der' });
    expect(() => verifyChanged({ spkiDer })).toThrow(failsWith('INMESH_SVID_INVALID', 'too weak'));
  });
});

const AUTHORITY: TestCertificateChanges = {
  isCa: true,
  keyUsage: [KeyUsageBit.keyCertSign],
  extendedKeyUsage: [],
  names: {},
};

describe('a chain with an intermediate', () => {
  const issue = (middleChanges: TestCertificateChanges = {}, leafChanges: TestCertificateChanges = {}) => {
    const subjectDer = encodeName(encoder, 'middle');
    const middle = ca.certificate('middle', {
      isCa: true,
      keyUsage: [KeyUsageBit.keyCertSign],
      extendedKeyUsage: [],
      names: {},
      subjectDer,
      ...middleChanges,
    });
    const authorityKeyId = readCertificate(middle.der).subjectKeyId ?? new Uint8Array();
    const leaf = ca.certificate(
      'reviews',
      { issuerDer: subjectDer, authorityKeyId, ...leafChanges },
      middle.privateKey,
    );
    return [leaf.der, middle.der];
  };

  test('holds, and no longer than its shortest certificate', () => {
    const peer = verifyPeer(issue({ notAfterMs: nowMs + 5000 }), own, { nowMs });
    expect(peer.id.path).toBe('/ns/default/sa/reviews');
    expect(peer.notAfterMs).toBe(nowMs + 5000);
  });

  test('needs the intermediate', () => {
    expect(() => verifyPeer(issue().slice(0, 1), own, { nowMs })).toThrow(failsWith('INMESH_TRUST_DOMAIN'));
  });

  test.each<[string, TestCertificateChanges]>([
    ['is no authority', { isCa: false }],
    ['may not sign certificates', { keyUsage: [KeyUsageBit.digitalSignature] }],
    ['is for clients only', { extendedKeyUsage: [Oid.clientAuth] }],
    ['has the ID of a workload', { names: { uris: ['spiffe://cluster.local/a'] } }],
    ['is of another trust domain', { names: { uris: ['spiffe://other.test'] } }],
  ])('is refused when the intermediate %s', (_, changes) => {
    expect(() => verifyPeer(issue(changes), own, { nowMs })).toThrow(failsWith('INMESH_TRUST_DOMAIN'));
  });

  test('is refused when the intermediate has expired', () => {
    const chain = issue({ notAfterMs: nowMs - 1000 });
    expect(() => verifyPeer(chain, own, { nowMs })).toThrow(failsWith('INMESH_CERTIFICATE_EXPIRED'));
  });

  test('is found among those with the same name, whichever root and cross-signature they lead to', async () => {
    // A root is replaced: the old one signed the new one's key, and peers send that, too.
    const next = await createTestCa({ clock });
    const nextRoot = next.bundle.certificates[0]!;
    const subjectDer = encodeName(encoder, 'middle');
    const middleOf = (issuer: typeof ca) => issuer.certificate('middle', { ...AUTHORITY, subjectDer });
    const middle = middleOf(next);
    const twin = middleOf(ca);
    const cross = ca.certificate('cross', {
      ...AUTHORITY,
      subjectDer: nextRoot.facts.subjectDer,
      spkiDer: nextRoot.facts.spkiDer,
      subjectKeyId: nextRoot.facts.subjectKeyId ?? new Uint8Array(),
    });
    const leaf = ca.certificate(
      'reviews',
      { issuerDer: subjectDer, authorityKeyId: readCertificate(middle.der).subjectKeyId ?? new Uint8Array() },
      middle.privateKey,
    );
    // The path to the old root is the long one: leaf, middle, cross, old root.
    for (const chain of [
      [leaf.der, twin.der, middle.der, cross.der],
      [leaf.der, cross.der, middle.der, twin.der],
    ])
      for (const bundle of [ca.bundle, next.bundle])
        expect(verifyPeer(chain, () => bundle, { nowMs }).id).toEqual(ca.id('reviews'));
    expect(() => verifyPeer([leaf.der, twin.der, cross.der], own, { nowMs })).toThrow(
      failsWith('INMESH_TRUST_DOMAIN'),
    );
  });

  test('a root with the SPIFFE ID of a workload vouches for nobody', () => {
    const root = ca.certificate('root', {
      ...AUTHORITY,
      names: { uris: ['spiffe://cluster.local/workload'] },
    });
    const facts = readCertificate(root.der);
    const leaf = ca.certificate(
      'reviews',
      { issuerDer: facts.subjectDer, authorityKeyId: facts.subjectKeyId ?? new Uint8Array() },
      root.privateKey,
    );
    const bundle = createX509Bundle('cluster.local', root.pem);
    expect(() => verifyPeer([leaf.der], () => bundle, { nowMs })).toThrow(
      failsWith('INMESH_TRUST_DOMAIN', 'SPIFFE ID of a workload'),
    );
  });

  test('look-alike intermediates cost a bounded number of signature checks', async () => {
    const subjectDer = encodeName(encoder, 'middle');
    const bait = Array.from({ length: 15 }, () =>
      ca.certificate('middle', {
        isCa: true,
        keyUsage: [KeyUsageBit.keyCertSign],
        names: {},
        subjectDer,
        issuerDer: subjectDer,
        authorityKeyId: Buffer.alloc(20),
        subjectKeyId: Buffer.alloc(20),
      }),
    );
    const leaf = ca.certificate('a', { issuerDer: subjectDer, authorityKeyId: Buffer.alloc(20) });
    const chain = [leaf.der, ...bait.map(({ der }) => der)];
    await withinCpuMs(250, () => {
      expect(() => verifyPeer(chain, own, { nowMs })).toThrow(failsWith('INMESH_TRUST_DOMAIN'));
    });
  });
});

describe('authorizers', () => {
  const verifyBy = (authorizer: ReturnType<typeof authorizeIds>) => () =>
    verifyPeer([ca.certificate('reviews', {}).der], own, { nowMs, authorizer });
  const refused = failsWith('INMESH_PEER_IDENTITY', 'spiffe://cluster.local/ns/default/sa/reviews');

  test('a peer that the authorizer does not expect is refused by name', () => {
    expect(verifyBy(authorizeIds([ca.id('ratings')]))).toThrow(refused);
    expect(verifyBy(authorizeIds([ca.id('ratings'), ca.id('reviews')]))).not.toThrow();
  });

  test('a trust domain may be expected as a whole', () => {
    expect(verifyBy(authorizeTrustDomains(['other.test']))).toThrow(refused);
    expect(verifyBy(authorizeTrustDomains(['cluster.local']))).not.toThrow();
  });

  test('without a predicate every verified peer is accepted, with one it must match', () => {
    expect(verifyBy(authorizeUris([]))).not.toThrow();
    expect(verifyBy(authorizeUris([(uri) => uri.endsWith('/reviews')]))).not.toThrow();
    expect(verifyBy(authorizeUris([(uri) => uri.endsWith('/ratings')]))).toThrow(refused);
  });
});

describe('a bundle with revocations', () => {
  const id = 'spiffe://cluster.local/ns/default/sa/reviews';
  const verifyRevoked = (der: Uint8Array, names: Partial<Parameters<typeof revocationList>[0]>) => {
    const revoked = revocationList({ serials: [], ids: [], keys: [], ...names });
    return verifyPeer([der], () => createX509Bundle('cluster.local', ca.bundle.authorities, revoked), {
      nowMs,
    });
  };

  test('refuses identities, keys and serial numbers that were taken back, and no others', () => {
    const { der } = ca.certificate('reviews', {});
    const { serial, spkiDer } = readCertificate(der);
    const taken = failsWith('INMESH_CERTIFICATE_REVOKED');
    expect(() => verifyRevoked(der, { ids: [id] })).toThrow(taken);
    expect(() => verifyRevoked(der, { keys: [keyFingerprint(spkiDer)] })).toThrow(taken);
    expect(() => verifyRevoked(der, { serials: [serialText(serial)] })).toThrow(taken);
    const other = readCertificate(ca.certificate('reviews', {}).der);
    const names = {
      serials: [serialText(other.serial)],
      keys: [keyFingerprint(other.spkiDer)],
      ids: [`${id}s`],
    };
    expect(verifyRevoked(der, names).id.toString()).toBe(id);
  });

  test('spells serial numbers without leading zeros', () => {
    expect(serialText(Uint8Array.of(0, 0x0a, 0xff))).toBe('aff');
    expect(serialText(Uint8Array.of(0))).toBe('0');
  });

  test('refuses everything below a revoked key of an authority', () => {
    const { der } = ca.certificate('reviews', {});
    const [root] = ca.bundle.certificates;
    expect(() => verifyRevoked(der, { keys: [keyFingerprint(root!.facts.spkiDer)] })).toThrow(/authority/);
  });
});
