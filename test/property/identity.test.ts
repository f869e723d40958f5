import { createPublicKey, X509Certificate } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCertificateAuthority } from '../../src/control-plane/ca/certificate-authority.js';
import { createCsr, readCsr } from '../../src/identity/csr.js';
import { readPem, writePem } from '../../src/identity/pem.js';
import { parseSpiffeId, SpiffeId } from '../../src/identity/spiffe-id.js';
import { verifyPeer } from '../../src/identity/verify.js';
import { GeneralNameTag, latin1, Oid, readCertificate } from '../../src/identity/x509.js';
import { MeshError } from '../../src/runtime/errors.js';
import { createFakeClock } from '../../src/testing/fake-clock.js';
import { createTestCa } from '../../src/testing/test-ca.js';

const characters = (text: string) => fc.constantFrom(...Array.from(text));
const segment = fc
  .string({ unit: characters('abcXYZ019._-'), minLength: 1, maxLength: 20 })
  .filter((text) => text !== '.' && text !== '..');
const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`);

/** Runs and tells whether it was refused; an error that is not ours fails the property. */
function refuses(run: () => unknown): boolean {
  try {
    run();
    return false;
  } catch (error) {
    if (MeshError.is(error)) return true;
    throw error;
  }
}

test('a SPIFFE ID survives being written and read', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: characters('az09._-'), minLength: 1, maxLength: 60 }),
      path,
      (domain, rest) => {
        const id = new SpiffeId(domain, rest);
        expect(parseSpiffeId(id.toString()).equals(id)).toBe(true);
      },
    ),
  );
});

test('any text is a SPIFFE ID that is written the same, or refused', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      const uri = `spiffe://${text}`;
      refuses(() => expect(parseSpiffeId(uri).toString()).toBe(uri));
    }),
    { numRuns: 2000 },
  );
});

test('1000 random requests keep every invariant of an issued certificate', async () => {
  const clock = createFakeClock();
  const authority = await createCertificateAuthority({
    trustDomain: 'td.test',
    clock,
    rootLifeMs: 100 * 86_400_000,
  });
  const requests = await Promise.all(
    Array.from({ length: 20 }, (_, index) => createCsr(new SpiffeId('evil.test', `/${index}`))),
  );
  const serials = new Set<string>();
  const arbitrary = fc.record({
    path,
    request: fc.integer({ min: 0, max: 19 }),
    lifeMs: fc.option(fc.double({ min: 1, max: 1e12, noNaN: true }), { nil: undefined }),
    passMs: fc.integer({ min: 0, max: 60_000 }),
  });
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ path: ownPath, request, lifeMs, passMs }) => {
      await clock.advance(passMs);
      const now = clock.wallTime();
      const id = new SpiffeId('td.test', ownPath);
      const { csrPem, privateKey } = requests[request]!;
      const issued = authority.issue({ csrPem, id, lifeMs });
      const [der] = readPem(issued.chainPem[0]!, 'CERTIFICATE');
      const facts = readCertificate(der!);
      const certificate = new X509Certificate(der!);

      expect(facts.subjectAltNames.map(({ tag, value }) => [tag, latin1(value)])).toEqual([
        [GeneralNameTag.uri, id.toString()],
      ]);
      expect(facts.isCa).toBe(false);
      expect(facts.extendedKeyUsage).toEqual([Oid.serverAuth, Oid.clientAuth]);
      expect(facts.notAfterMs).toBeLessThanOrEqual(
        now + Math.max(2000, Math.min(lifeMs ?? 86_400_000, 90 * 86_400_000)),
      );
      expect(facts.notAfterMs).toBeGreaterThan(now);
      expect(facts.notBeforeMs).toBeGreaterThanOrEqual(now - 120_000);
      expect(issued.serial).toMatch(/^[4-7][0-9a-f]{31}$/);
      expect(certificate.serialNumber.toLowerCase()).toBe(issued.serial);
      expect(certificate.publicKey.equals(createPublicKey(privateKey))).toBe(true);
      expect(verifyPeer([der!], () => authority.bundle(), { nowMs: now }).id.equals(id)).toBe(true);
      serials.add(issued.serial);
    }),
    { numRuns: 1000 },
  );
  expect(serials.size).toBe(1000);
});

const damage = (length: number) =>
  fc.array(fc.record({ at: fc.nat(length - 1), byte: fc.nat(255) }), { minLength: 1, maxLength: 4 });

test('a damaged certificate is refused with our own error, or names the same workload', async () => {
  const ca = await createTestCa();
  const { der } = ca.certificate('reviews', {});
  const nowMs = Date.now();
  fc.assert(
    fc.property(damage(der.length), (changes) => {
      const damaged = Buffer.from(der);
      for (const { at, byte } of changes) damaged[at] = byte;
      const isSame = damaged.equals(der);
      expect(refuses(() => verifyPeer([damaged], () => ca.bundle, { nowMs }))).toBe(!isSame);
    }),
    { numRuns: 1500 },
  );
});

test('a damaged signing request is refused with our own error', async () => {
  const { csrPem } = await createCsr(new SpiffeId('td.test', '/a'));
  const [der] = readPem(csrPem, 'CERTIFICATE REQUEST');
  fc.assert(
    fc.property(damage(der!.length), (changes) => {
      const damaged = Buffer.from(der!);
      for (const { at, byte } of changes) damaged[at] = byte;
      const isSame = damaged.equals(der!);
      expect(refuses(() => readCsr(writePem(damaged, 'CERTIFICATE REQUEST')))).toBe(!isSame);
    }),
    { numRuns: 1500 },
  );
});
