import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  type CertificateAuthorityOptions,
  createCertificateAuthority,
  type IssueRecord,
} from '../../../../src/control-plane/ca/certificate-authority.js';
import { createCsr } from '../../../../src/identity/csr.js';
import { readPem } from '../../../../src/identity/pem.js';
import { istioId, parseSpiffeId } from '../../../../src/identity/spiffe-id.js';
import { verifyPeer } from '../../../../src/identity/verify.js';
import { equalBytes, KeyUsageBit, Oid, readCertificate } from '../../../../src/identity/x509.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

const DAY = 86_400_000;
const id = istioId('cluster.local', 'default', 'reviews');
const otherId = istioId('cluster.local', 'default', 'admin');

async function setUp(options: Partial<CertificateAuthorityOptions> = {}) {
  const clock = createFakeClock();
  const authority = await createCertificateAuthority({ trustDomain: 'cluster.local', clock, ...options });
  return { clock, authority };
}

const factsOf = (pem: string) => readCertificate(readPem(pem, 'CERTIFICATE')[0]!);

describe('a certificate authority', () => {
  test('issues what its own bundle vouches for', async () => {
    const { clock, authority } = await setUp();
    const { csrPem } = await createCsr(id);
    const { chainPem, notAfterMs } = authority.issue({ csrPem, id });
    expect(chainPem).toHaveLength(2);
    expect(chainPem[1]).toBe(authority.rootPem());
    const chain = readPem(chainPem[0]!, 'CERTIFICATE');
    const peer = verifyPeer(chain, () => authority.bundle(), { nowMs: clock.wallTime() });
    expect(peer.id.equals(id)).toBe(true);
    expect(peer.notAfterMs).toBe(notAfterMs);
  });

  test('takes the name from the caller and only the key from the request', async () => {
    const { authority } = await setUp();
    const { csrPem, privateKey } = await createCsr(otherId);
    const [leafPem = ''] = authority.issue({ csrPem, id }).chainPem;
    const leaf = new X509Certificate(leafPem);
    expect(leaf.subjectAltName).toBe(`URI:${id}`);
    // Node 26 says '' of an empty subject, older ones nothing.
    expect(leaf.subject ?? '').toBe('');
    expect(leaf.checkPrivateKey(privateKey)).toBe(true);
  });

  test('issues leaves for TLS clients and servers that cannot issue themselves', async () => {
    const { authority } = await setUp();
    const facts = factsOf(authority.issue({ csrPem: (await createCsr(id)).csrPem, id }).chainPem[0]!);
    expect(facts.isCa).toBe(false);
    expect(facts.keyUsage?.critical).toBe(true);
    expect(facts.keyUsage?.has(KeyUsageBit.digitalSignature)).toBe(true);
    expect(facts.keyUsage?.has(KeyUsageBit.keyCertSign)).toBe(false);
    expect(facts.extendedKeyUsage).toEqual([Oid.serverAuth, Oid.clientAuth]);
    const root = factsOf(authority.rootPem());
    expect(equalBytes(facts.authorityKeyId!, root.subjectKeyId!)).toBe(true);
    expect(root.isCa).toBe(true);
  });

  test('certificates live 24 hours, or as asked up to 90 days', async () => {
    const { clock, authority } = await setUp();
    const { csrPem } = await createCsr(id);
    const life = (lifeMs?: number) => authority.issue({ csrPem, id, lifeMs }).notAfterMs - clock.wallTime();
    expect(life()).toBe(DAY);
    expect(life(10_000)).toBe(10_000);
    expect(life(365 * DAY)).toBe(90 * DAY);
  });

  test('a life that is no duration is refused', async () => {
    const { authority } = await setUp();
    const { csrPem } = await createCsr(id);
    for (const lifeMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => authority.issue({ csrPem, id, lifeMs })).toThrow(
        expect.objectContaining({ code: 'INMESH_CA_REFUSED' }),
      );
    }
  });

  test('no certificate outlives the root, and none is issued after its end', async () => {
    const { clock, authority } = await setUp({ rootLifeMs: DAY });
    const { csrPem } = await createCsr(id);
    await clock.advance(DAY - 3_600_000);
    expect(authority.issue({ csrPem, id }).notAfterMs - clock.wallTime()).toBe(3_600_000);
    await clock.advance(3_600_000);
    expect(() => authority.issue({ csrPem, id })).toThrow(
      expect.objectContaining({ code: 'INMESH_CERTIFICATE_EXPIRED' }),
    );
  });

  test('certificates begin two minutes in the past', async () => {
    const { clock, authority } = await setUp();
    const facts = factsOf(authority.issue({ csrPem: (await createCsr(id)).csrPem, id }).chainPem[0]!);
    expect(facts.notBeforeMs).toBe(clock.wallTime() - 120_000);
  });

  test.each(['spiffe://other.test/ns/default/sa/a', 'spiffe://cluster.local'])(
    'does not issue for %s',
    async (name) => {
      const { authority } = await setUp();
      const { csrPem } = await createCsr(id);
      expect(() => authority.issue({ csrPem, id: parseSpiffeId(name) })).toThrow(
        expect.objectContaining({ code: 'INMESH_CA_REFUSED' }),
      );
    },
  );

  test('tells the audit trail of every certificate', async () => {
    const records: IssueRecord[] = [];
    const { authority } = await setUp({ audit: (record) => records.push(record) });
    const issued = authority.issue({ csrPem: (await createCsr(id)).csrPem, id });
    expect(records).toMatchObject([{ id: id.toString(), serial: issued.serial, kind: 'workload' }]);
  });

  test('issues to its own servers, with names for clients that are not in the mesh', async () => {
    const { authority } = await setUp();
    const server = await authority.issueServer({
      id,
      dnsNames: ['localhost'],
      ips: [Uint8Array.of(127, 0, 0, 1)],
    });
    const leaf = new X509Certificate(server.chainPem[0]!);
    expect(leaf.checkHost('localhost')).toBe('localhost');
    expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(leaf.checkPrivateKey(server.privateKey)).toBe(true);
  });

  test('RSA roots and keys work, too', async () => {
    const { clock, authority } = await setUp({ keyType: 'rsa-2048' });
    const [leaf = ''] = authority.issue({ csrPem: (await createCsr(id)).csrPem, id }).chainPem;
    const nowMs = clock.wallTime();
    expect(verifyPeer(readPem(leaf, 'CERTIFICATE'), () => authority.bundle(), { nowMs }).id.equals(id)).toBe(
      true,
    );
  });
});

describe('a saved root', () => {
  const memoryStore = (content?: string) => ({
    content,
    async load() {
      return this.content;
    },
    async save(pem: string) {
      this.content = pem;
    },
  });

  test('is loaded at the next start', async () => {
    const store = memoryStore();
    const first = await setUp({ store });
    const second = await setUp({ store });
    expect(second.authority.rootPem()).toBe(first.authority.rootPem());
    const { csrPem } = await createCsr(id);
    const [leaf = ''] = second.authority.issue({ csrPem, id }).chainPem;
    const nowMs = second.clock.wallTime();
    expect(() =>
      verifyPeer(readPem(leaf, 'CERTIFICATE'), () => first.authority.bundle(), { nowMs }),
    ).not.toThrow();
  });

  test('of another trust domain, without its key or damaged, is refused and not replaced', async () => {
    const store = memoryStore();
    await setUp({ store });
    const other = memoryStore();
    await setUp({ store: other, trustDomain: 'other.test' });
    const saved = store.content ?? '';
    const foreign = other.content ?? '';
    const rootOf = (pem: string) => pem.slice(pem.indexOf('-----BEGIN CERTIFICATE'));
    const keyOf = (pem: string) => pem.slice(0, pem.indexOf('-----BEGIN CERTIFICATE'));
    for (const content of [
      foreign,
      rootOf(saved),
      keyOf(saved),
      keyOf(foreign) + rootOf(saved),
      'garbage',
      '',
    ]) {
      const damaged = memoryStore(content);
      await expect(setUp({ store: damaged })).rejects.toThrow(
        expect.objectContaining({ code: expect.stringMatching(/INMESH_(STORE_CORRUPT|SVID_INVALID)/) }),
      );
      expect(damaged.content).toBe(content);
    }
  });
});
