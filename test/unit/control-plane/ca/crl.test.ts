import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import {
  createCertificateAuthority,
  crlPem,
} from '../../../../src/control-plane/ca/certificate-authority.js';
import { readCrl } from '../../../../src/control-plane/ca/crl.js';
import { createCsr } from '../../../../src/identity/csr.js';
import { istioId } from '../../../../src/identity/spiffe-id.js';
import { MeshError } from '../../../../src/runtime/errors.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';
import { createTestCa } from '../../../../src/testing/test-ca.js';

const dir = mkdtempSync(join(tmpdir(), 'inmesh-crl-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const id = istioId('cluster.local', 'default', 'reviews');
const invalid = (text: RegExp) =>
  expect.objectContaining({ code: 'INMESH_CRL_INVALID', message: expect.stringMatching(text) });

function openssl(...args: string[]): string | undefined {
  try {
    return execFileSync('openssl', args, { stdio: 'pipe', cwd: dir }).toString();
  } catch (error) {
    const { stderr, stdout } = error as { stderr?: Buffer; stdout?: Buffer };
    return stderr === undefined ? undefined : `${stdout}${stderr}`;
  }
}

const hasOpenssl = openssl('version') !== undefined;

describe('the revocation list', () => {
  test('holds serial numbers that were revoked, and is read back by the rules', async () => {
    const clock = createFakeClock();
    const authority = await createCertificateAuthority({ trustDomain: 'cluster.local', clock });
    const { serial } = authority.issue({ csrPem: (await createCsr(id)).csrPem, id });
    await authority.revocation.revoke({ kind: 'serials', value: serial.toUpperCase() });
    await authority.revocation.revoke({ kind: 'serials', value: '00:aB', forMs: 60_000 });
    const check = { issuers: authority.bundle().certificates, nowMs: clock.wallTime() };
    const facts = readCrl(authority.revocation.crl(), check);
    expect(facts.revoked.map((one) => one.serial)).toEqual([serial, 'ab']);
    await clock.advance(60_001);
    await authority.revocation.restore({ kind: 'serials', value: serial });
    expect(readCrl(authority.revocation.crl(), { ...check, nowMs: clock.wallTime() }).revoked).toEqual([]);
  });

  test('is refused when it is stale, of the future, of somebody else or changed', async () => {
    const clock = createFakeClock();
    const authority = await createCertificateAuthority({ trustDomain: 'cluster.local', clock });
    const der = authority.revocation.crl();
    const nowMs = clock.wallTime();
    const issuers = authority.bundle().certificates;
    const day = 86_400_000;
    expect(() => readCrl(der, { issuers, nowMs: nowMs + day + 1000 })).toThrow(invalid(/newer one is due/));
    expect(() => readCrl(der, { issuers, nowMs: nowMs - day })).toThrow(invalid(/of the future/));
    const other = await createTestCa();
    expect(() => readCrl(der, { issuers: other.bundle.certificates, nowMs })).toThrow(
      invalid(/none of the authorities/),
    );
    fc.assert(
      fc.property(fc.nat({ max: der.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = Uint8Array.from(der);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        try {
          readCrl(bytes, { issuers, nowMs });
          return false;
        } catch (error) {
          return MeshError.is(error) && error.code === 'INMESH_CRL_INVALID';
        }
      }),
      { numRuns: 200 },
    );
  });

  test('hostile bytes are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(() => readCrl(bytes, { issuers: [], nowMs: 0 })).toThrow(invalid(/./));
      }),
    );
  });

  test.runIf(hasOpenssl)('is one for OpenSSL, which refuses what is on it and nothing else', async () => {
    const authority = await createCertificateAuthority({ trustDomain: 'cluster.local' });
    const issue = async (name: string) => {
      const issued = authority.issue({ csrPem: (await createCsr(id)).csrPem, id });
      writeFileSync(join(dir, name), issued.chainPem[0] ?? '');
      return issued;
    };
    const bad = await issue('bad.pem');
    await issue('good.pem');
    await authority.revocation.revoke({ kind: 'serials', value: bad.serial });
    writeFileSync(join(dir, 'root.pem'), authority.rootPem());
    writeFileSync(join(dir, 'list.pem'), crlPem(authority.revocation.crl()));
    expect(openssl('crl', '-in', 'list.pem', '-CAfile', 'root.pem', '-noout')).toBeDefined();
    const verify = (name: string) =>
      openssl('verify', '-x509_strict', '-crl_check', '-CRLfile', 'list.pem', '-CAfile', 'root.pem', name);
    expect(verify('good.pem')).toContain('good.pem: OK');
    expect(verify('bad.pem')).toContain('certificate revoked');
  });
});

describe('what is revoked', () => {
  test('gets no new certificate, and is told under its number', async () => {
    const authority = await createCertificateAuthority({ trustDomain: 'cluster.local' });
    const { csrPem } = await createCsr(id);
    const before = authority.trust().sequence;
    await authority.revocation.revoke({ kind: 'ids', value: id.toString(), reason: 'stolen' });
    expect(authority.trust()).toMatchObject({ sequence: before + 1, revoked: { ids: [id.toString()] } });
    expect(() => authority.issue({ csrPem, id })).toThrow(
      expect.objectContaining({ code: 'INMESH_CA_REFUSED', message: expect.stringContaining('revoked') }),
    );
    expect(await authority.revocation.restore({ kind: 'ids', value: id.toString() })).toBe(true);
    expect(await authority.revocation.restore({ kind: 'ids', value: id.toString() })).toBe(false);
    expect(authority.issue({ csrPem, id }).chainPem).toHaveLength(2);
  });

  test.each([
    ['ids', 'spiffe://other.test/a'],
    ['ids', 'spiffe://cluster.local'],
    ['keys', 'abc'],
    ['serials', 'xyz'],
    ['serials', ''],
    ['serials', 'a'.repeat(41)],
  ] as const)('%s %s is no name for it', async (kind, value) => {
    const authority = await createCertificateAuthority({ trustDomain: 'cluster.local' });
    await expect(authority.revocation.revoke({ kind, value })).rejects.toBeInstanceOf(MeshError);
  });
});
