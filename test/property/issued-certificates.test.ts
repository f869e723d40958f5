import { createPublicKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type CertificateAuthority,
  createCertificateAuthority,
} from '../../src/control-plane/ca/certificate-authority.js';
import { keyIdOf } from '../../src/control-plane/ca/encode-certificate.js';
import { contextTag } from '../../src/identity/der.js';
import {
  type DerEncoder,
  encodeAltNames,
  encodeExtension,
  loadDerEncoder,
} from '../../src/identity/der-encode.js';
import { readPem, writePem } from '../../src/identity/pem.js';
import { istioId } from '../../src/identity/spiffe-id.js';
import { verifyPeer } from '../../src/identity/verify.js';
import {
  equalBytes,
  GeneralNameTag,
  KeyUsageBit,
  latin1,
  Oid,
  readCertificate,
} from '../../src/identity/x509.js';
import { MeshError } from '../../src/runtime/errors.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';

/** The full count is for once; a run of CI proves no less about the code that it runs. */
const RUNS = Number(process.env['INMESH_CSR_RUNS'] ?? 300);
const DAY = 86_400_000;
const MAX_LIFE = 30 * DAY;

let encoder: DerEncoder;
let keys: readonly KeyObject[];
const clock = createFakeClock();
const authorities: CertificateAuthority[] = [];

beforeAll(async () => {
  encoder = await loadDerEncoder();
  keys = [
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  ];
  const options = { trustDomain: 'cluster.local', clock, maxWorkloadLifeMs: MAX_LIFE };
  authorities.push(
    await createCertificateAuthority(options),
    await createCertificateAuthority({ ...options, intermediateLifeMs: DAY }),
    await createCertificateAuthority({ ...options, keyType: 'rsa-2048', rootLifeMs: 10 * DAY }),
  );
});

const text = () => fc.string({ maxLength: 30 });

/** What a request may say besides its key: none of it counts. */
const said = () =>
  fc.record({
    key: fc.nat({ max: 2 }),
    commonName: text(),
    uris: fc.array(
      fc.oneof(fc.constantFrom('spiffe://cluster.local/admin', 'spiffe://other.test/a', 'https://a'), text()),
      { maxLength: 3 },
    ),
    dnsNames: fc.array(text(), { maxLength: 3 }),
    ips: fc.array(fc.uint8Array({ minLength: 4, maxLength: 4 }), { maxLength: 2 }),
    isCa: fc.boolean(),
    keyUsage: fc.boolean(),
    signsWell: fc.integer({ min: 0, max: 9 }).map((one) => one > 0),
  });

type Said = ReturnType<typeof said> extends fc.Arbitrary<infer T> ? T : never;

function requestOf({ key, commonName, uris, dnsNames, ips, isCa, keyUsage, signsWell }: Said): string {
  const privateKey = keys[key]!;
  const attribute = encoder.sequence(encoder.oid('2.5.4.3'), encoder.utf8(commonName));
  const extensions = [
    encodeAltNames(encoder, { uris, dnsNames, ips }, true),
    ...(isCa
      ? [encodeExtension(encoder, Oid.basicConstraints, true, encoder.sequence(encoder.boolean(true)))]
      : []),
    ...(keyUsage
      ? [encodeExtension(encoder, Oid.keyUsage, true, encoder.bitString(Uint8Array.of(0x06), 1))]
      : []),
  ];
  const info = encoder.sequence(
    encoder.integer(Uint8Array.of(0)),
    encoder.sequence(encoder.set(attribute)),
    publicOf(privateKey),
    encoder.tagged(
      contextTag(0),
      encoder.sequence(encoder.oid(Oid.extensionRequest), encoder.set(encoder.sequence(...extensions))),
    ),
  );
  const algorithm =
    privateKey.asymmetricKeyType === 'rsa'
      ? encoder.sequence(encoder.oid(Oid.sha256WithRsa), encoder.null())
      : encoder.sequence(encoder.oid(Oid.ecdsaWithSha256));
  const signature = sign('sha256', signsWell ? info : Buffer.from('other'), privateKey);
  return writePem(encoder.sequence(info, algorithm, encoder.bitString(signature)), 'CERTIFICATE REQUEST');
}

function publicOf(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

const segment = () => fc.stringMatching(/^[a-z0-9]{1,10}$/);
const life = () =>
  fc.oneof(fc.constant(undefined), fc.integer({ min: 1, max: 400 * DAY }), fc.constantFrom(1, 10_000));

describe('whatever a signing request says', () => {
  test('the certificate that is issued keeps the ten invariants', () => {
    const serials = new Set<string>();
    fc.assert(
      fc.property(
        said(),
        segment(),
        segment(),
        life(),
        fc.nat({ max: 2 }),
        (request, ns, sa, lifeMs, which) => {
          const authority = authorities[which]!;
          const id = istioId('cluster.local', ns, sa);
          const csrPem = requestOf(request);
          if (!request.signsWell) {
            expect(() => authority.issue({ csrPem, id, lifeMs })).toThrow(
              expect.objectContaining({ code: 'INMESH_CSR_INVALID' }),
            );
            return;
          }
          const { chainPem, serial } = authority.issue({ csrPem, id, lifeMs });
          const chain = chainPem.flatMap((pem) => readPem(pem, 'CERTIFICATE'));
          const [leaf, issuer] = chain.map(readCertificate);
          if (leaf === undefined || issuer === undefined) throw new Error('no chain');
          const now = clock.wallTime();
          // 1 and 2: one name, that of the caller.
          expect(leaf.subjectAltNames.map(({ tag, value }) => [tag, latin1(value)])).toEqual([
            [GeneralNameTag.uri, id.toString()],
          ]);
          // 3 to 5: no authority, for signatures of both sides of TLS.
          expect(leaf.isCa).toBe(false);
          expect(leaf.keyUsage?.critical).toBe(true);
          expect(leaf.keyUsage?.has(KeyUsageBit.digitalSignature)).toBe(true);
          expect(leaf.keyUsage?.has(KeyUsageBit.keyCertSign)).toBe(false);
          expect(leaf.keyUsage?.has(KeyUsageBit.cRLSign)).toBe(false);
          expect(leaf.extendedKeyUsage).toEqual([Oid.serverAuth, Oid.clientAuth]);
          // 6: dates.
          expect(leaf.notAfterMs).toBeLessThanOrEqual(Math.min(now + MAX_LIFE, issuer.notAfterMs));
          expect(leaf.notBeforeMs).toBeGreaterThanOrEqual(Math.max(now - 120_000, issuer.notBeforeMs));
          expect(leaf.notAfterMs).toBeGreaterThan(now);
          // 7: the serial number.
          expect(leaf.serial.length).toBeGreaterThanOrEqual(9);
          expect(leaf.serial.length).toBeLessThanOrEqual(20);
          expect(leaf.serial[0]).toBeLessThan(0x80);
          expect(serials.has(serial)).toBe(false);
          serials.add(serial);
          // 8: who issued it, and no subject.
          expect(equalBytes(leaf.authorityKeyId!, issuer.subjectKeyId!)).toBe(true);
          expect(leaf.subjectDer.length).toBe(2);
          // 9: the key of the request.
          const spki = publicOf(keys[request.key]!);
          expect(equalBytes(leaf.spkiDer, spki)).toBe(true);
          expect(equalBytes(leaf.subjectKeyId!, keyIdOf(spki))).toBe(true);
          // 10: it verifies, here and by node:crypto.
          const bundle = authority.bundle();
          expect(verifyPeer(chain.slice(0, -1), () => bundle, { nowMs: now }).id.equals(id)).toBe(true);
          const [first, second] = chain.map((der) => new X509Certificate(der));
          expect(first!.verify(second!.publicKey) && first!.checkIssued(second!)).toBe(true);
        },
      ),
      { numRuns: RUNS },
    );
  });

  test('damaged requests are refused with one code', () => {
    const csrPem = requestOf({
      key: 0,
      commonName: 'x',
      uris: [],
      dnsNames: [],
      ips: [],
      isCa: false,
      keyUsage: false,
      signsWell: true,
    });
    const [der] = readPem(csrPem, 'CERTIFICATE REQUEST');
    const id = istioId('cluster.local', 'a', 'b');
    fc.assert(
      fc.property(fc.nat({ max: der!.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = Buffer.from(der!);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        try {
          authorities[0]!.issue({ csrPem: writePem(bytes, 'CERTIFICATE REQUEST'), id });
          return false;
        } catch (error) {
          return MeshError.is(error) && error.code === 'INMESH_CSR_INVALID';
        }
      }),
      { numRuns: RUNS },
    );
  });
});
