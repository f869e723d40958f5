import { describe, expect, test } from 'vitest';
import { createCertificateAuthority } from '../../../../src/control-plane/ca/certificate-authority.js';
import type { CaSigner, SigningTemplate } from '../../../../src/control-plane/ca/external-signer.js';
import { createCsr, readCsr } from '../../../../src/identity/csr.js';
import { istioId } from '../../../../src/identity/spiffe-id.js';
import { MeshError } from '../../../../src/runtime/errors.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';
import { createTestCa, type TestCertificateChanges } from '../../../../src/testing/test-ca.js';

const id = istioId('cluster.local', 'default', 'reviews');

async function setUp(change: (template: SigningTemplate) => TestCertificateChanges = () => ({})) {
  const clock = createFakeClock();
  const ca = await createTestCa({ clock });
  const templates: SigningTemplate[] = [];
  const signer: CaSigner = {
    roots: () => Promise.resolve(ca.bundle.authorities.join('')),
    sign(template) {
      templates.push(template);
      const { pem } = ca.certificate('reviews', {
        spkiDer: readCsr(template.csrPem).spkiDer,
        names: { uris: [template.spiffeId], dnsNames: template.dnsNames, ips: template.ips },
        notBeforeMs: template.notBeforeMs,
        notAfterMs: template.notAfterMs,
        ...change(template),
      });
      return Promise.resolve([pem]);
    },
  };
  const open = (more: Partial<CaSigner> = {}) =>
    createCertificateAuthority({ trustDomain: 'cluster.local', clock, signer: { ...signer, ...more } });
  const { csrPem } = await createCsr(istioId('cluster.local', 'default', 'admin'));
  return { clock, ca, templates, open, csrPem };
}

describe('an external authority', () => {
  test('signs what it is asked to: the names of the caller, and the key of the request', async () => {
    const { open, csrPem, templates, ca, clock } = await setUp();
    const authority = await open();
    const { chainPem, notAfterMs } = await authority.certify({
      csrPem,
      id,
      lifeMs: 60_000,
      certSigner: 'a/b',
    });
    expect(chainPem).toHaveLength(2);
    expect(chainPem[1]).toBe(ca.bundle.authorities[0]);
    expect(notAfterMs).toBe(clock.wallTime() + 60_000);
    expect(templates).toMatchObject([{ spiffeId: id.toString(), certSigner: 'a/b', dnsNames: [] }]);
    const server = await authority.issueServer({ id, dnsNames: ['localhost'] });
    expect(server.chainPem).toHaveLength(2);
    expect(() => authority.issue({ csrPem, id })).toThrow(
      expect.objectContaining({ code: 'INMESH_CA_UNAVAILABLE' }),
    );
    expect(authority.status().issuing).toBeUndefined();
  });

  test.each<[string, (template: SigningTemplate) => TestCertificateChanges, RegExp]>([
    [
      'another name',
      () => ({ names: { uris: ['spiffe://cluster.local/ns/default/sa/admin'] } }),
      /not asked for/,
    ],
    ['a name more', ({ spiffeId }) => ({ names: { uris: [spiffeId], dnsNames: ['evil'] } }), /not asked for/],
    ['a longer life', ({ notAfterMs }) => ({ notAfterMs: notAfterMs + 3_600_000 }), /lives longer/],
    ['an authority in place of a leaf', () => ({ isCa: true }), /authority/],
  ])('is not believed with %s', async (_, change, message) => {
    const { open, csrPem } = await setUp(change);
    const authority = await open();
    await expect(authority.certify({ csrPem, id })).rejects.toThrow(message);
  });

  test('is not believed when it signs by another root', async () => {
    const { open, csrPem, clock } = await setUp();
    const other = await createTestCa({ clock });
    const authority = await open({ roots: () => Promise.resolve(other.bundle.authorities.join('')) });
    await expect(authority.certify({ csrPem, id })).rejects.toThrow(/INMESH_CA_UNFIT/);
  });

  test('is asked again after an error, and not after a refusal', async () => {
    const { open, csrPem, clock } = await setUp();
    let calls = 0;
    const failing = await open({
      sign() {
        calls++;
        return Promise.reject(new Error('busy'));
      },
    });
    const failed = failing.certify({ csrPem, id }).catch(String);
    await clock.advance(10_000);
    expect(await failed).toMatch(/INMESH_CA_UNAVAILABLE.*busy/);
    expect(calls).toBe(3);
    const refusing = await open({
      sign: () => Promise.reject(new MeshError('INMESH_CA_REFUSED', 'not this one')),
    });
    await expect(refusing.certify({ csrPem, id })).rejects.toThrow(/INMESH_CA_REFUSED/);
  });

  test('has a time limit', async () => {
    const { open, csrPem, clock } = await setUp();
    let aborted = 0;
    const authority = await open({
      timeoutMs: 500,
      attempts: 2,
      sign: (_, signal) =>
        new Promise(() => {
          signal.addEventListener('abort', () => aborted++);
        }),
    });
    const failed = authority.certify({ csrPem, id }).catch(String);
    await clock.advance(10_000);
    expect(await failed).toMatch(/no answer within 500 ms/);
    expect(aborted).toBe(2);
  });

  test('without roots is refused at once', async () => {
    const { open } = await setUp();
    await expect(open({ roots: () => Promise.resolve('') })).rejects.toThrow(/has no roots/);
  });
});
