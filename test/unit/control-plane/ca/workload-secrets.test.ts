import { createPrivateKey, X509Certificate } from 'node:crypto';
import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { AuditLog, AuditRecord } from '../../../../src/control-plane/audit/audit-log.js';
import { createCertificateAuthority } from '../../../../src/control-plane/ca/certificate-authority.js';
import { createWorkloadSecrets } from '../../../../src/control-plane/ca/workload-secrets.js';
import { istioId, type SpiffeId } from '../../../../src/identity/spiffe-id.js';
import { tls } from '../../../../src/proto/xds.js';
import { silentLogger } from '../../../../src/runtime/log.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

const HOUR = 3_600_000;
const REVIEWS = istioId('cluster.local', 'default', 'reviews');

async function start() {
  const clock = createFakeClock();
  const authority = await createCertificateAuthority({ trustDomain: 'cluster.local', clock });
  let renewals = 0;
  const records: AuditRecord[] = [];
  const note = (record: AuditRecord) => void records.push(record);
  const audit: AuditLog = { note, record: async (record) => note(record), close: async () => {} };
  const secrets = createWorkloadSecrets(authority, {
    clock,
    logger: silentLogger,
    audit,
    renewed: () => renewals++,
  });
  return {
    clock,
    authority,
    secrets,
    records,
    of: (id: SpiffeId) => secrets.of(() => id),
    renewals: () => renewals,
  };
}

function read(secrets: ReadonlyMap<string, { readonly bytes: Uint8Array }>, name: string) {
  const { type } = fromBinary(tls.SecretSchema, secrets.get(name)?.bytes ?? new Uint8Array());
  const text = (value: { readonly specifier: { readonly value?: unknown } } | undefined) =>
    Buffer.from(value?.specifier.value as Uint8Array).toString();
  if (type.case === 'tlsCertificate')
    return { certificate: text(type.value.certificateChain), key: text(type.value.privateKey), roots: '' };
  if (type.case === 'validationContext')
    return { certificate: '', key: '', roots: text(type.value.trustedCa) };
  throw new Error(`no secret ${name}`);
}

describe('the secrets of a workload', () => {
  test('are a certificate of its identity with its key, and the roots that vouch for it', async () => {
    const { of } = await start();
    const found = of(REVIEWS);
    const { certificate, key } = read(found, 'default');
    const leaf = new X509Certificate(certificate);
    expect(leaf.subjectAltName).toBe('URI:spiffe://cluster.local/ns/default/sa/reviews');
    expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(leaf.verify(new X509Certificate(read(found, 'ROOTCA').roots).publicKey)).toBe(true);
    expect(certificate.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
  });

  test('are the same until half of their life is over', async () => {
    const { of, clock, renewals } = await start();
    const first = of(REVIEWS);
    await clock.advance(11 * HOUR);
    expect([of(REVIEWS), renewals()]).toEqual([first, 0]);
    await clock.advance(2 * HOUR);
    expect(renewals()).toBe(1);
    expect(read(of(REVIEWS), 'default').key).not.toBe(read(first, 'default').key);
  });

  test('are in the audit log, each time that they are issued; so are refusals', async () => {
    const { of, records, clock } = await start();
    const id = REVIEWS.toString();
    const serialOf = () =>
      new X509Certificate(read(of(REVIEWS), 'default').certificate).serialNumber.toLowerCase();
    const serials = [serialOf(), serialOf()];
    await clock.advance(13 * HOUR);
    serials.push(serialOf());
    const issue = { action: 'certificate.issue', authenticator: 'sds' };
    expect(records).toMatchObject([
      { ...issue, outcome: 'allowed', actor: id, target: id },
      { ...issue, outcome: 'allowed', actor: id, target: id },
    ]);
    // Node writes whole bytes, the log no leading zeros.
    const logged = records.map(({ details }) => BigInt(`0x${details?.['serial']}`));
    expect(logged).toEqual([serials[0], serials[2]].map((serial) => BigInt(`0x${serial}`)));
    expect(records[0]?.details).toHaveProperty('notAfter');
    of(istioId('other.test', 'default', 'reviews'));
    expect(records.at(-1)).toMatchObject({ ...issue, outcome: 'refused' });
  });

  test('are nobody else’s', async () => {
    const { of } = await start();
    const other = of(istioId('cluster.local', 'default', 'ratings'));
    expect(read(other, 'default').key).not.toBe(read(of(REVIEWS), 'default').key);
  });

  test('are none for an identity of another domain, or none at all', async () => {
    const { of, secrets } = await start();
    expect(of(istioId('elsewhere', 'default', 'reviews')).size).toBe(0);
    expect(secrets.of(() => istioId('cluster.local', 'a/b', '..')).size).toBe(0);
  });

  test('end with the control plane', async () => {
    const { of, secrets, clock, renewals } = await start();
    of(REVIEWS);
    secrets.close();
    await clock.advance(48 * HOUR);
    expect(renewals()).toBe(0);
  });
});
