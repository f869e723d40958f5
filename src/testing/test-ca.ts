import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  type CertificateAuthority,
  createCertificateAuthority,
} from '../control-plane/ca/certificate-authority.js';
import {
  type CertificateTemplate,
  encodeCertificate,
  encodeName,
  keyIdOf,
  leafKeyUsage,
} from '../control-plane/ca/encode-certificate.js';
import { createRoot, randomSerial } from '../control-plane/ca/root.js';
import { createX509Bundle, type X509Bundle } from '../identity/bundle.js';
import { createCsr } from '../identity/csr.js';
import { loadDerEncoder } from '../identity/der-encode.js';
import { writePem } from '../identity/pem.js';
import {
  createSettableSource,
  type IdentitySource,
  type SettableSource,
  staticSource,
} from '../identity/source.js';
import { istioId, parseSpiffeId, type SpiffeId } from '../identity/spiffe-id.js';
import { Oid } from '../identity/x509.js';
import { parseX509Svid, type X509Svid } from '../identity/x509-svid.js';
import { type Clock, systemClock } from '../runtime/clock.js';

const DAY_MS = 86_400_000;

/** What a test authority is made of. */
export interface TestCaOptions {
  /** Default `cluster.local`. */
  readonly trustDomain?: string;
  readonly clock?: Clock;
}

/** What a test wants to be different about a certificate. */
export interface TestSvidOptions {
  /** Counted from now; negative = expired. Default one day. */
  readonly lifeMs?: number;
  /** When it begins, counted from now; default two minutes ago, or an hour before it expires when it has expired. */
  readonly startsInMs?: number;
}

/** Anything about a certificate that a test wants to have wrong. */
export type TestCertificateChanges = Partial<CertificateTemplate>;

/** A certificate that follows no rule but its test's. */
export interface TestCertificate {
  readonly der: Uint8Array;
  readonly pem: string;
  readonly privateKey: KeyObject;
}

/** A certificate authority in memory, for tests. Names are `serviceAccount`, `namespace/serviceAccount` or SPIFFE IDs. */
export interface TestCa {
  readonly trustDomain: string;
  readonly bundle: X509Bundle;
  readonly authority: CertificateAuthority;
  id(name: string): SpiffeId;
  /** A good SVID. */
  svid(name: string, options?: TestSvidOptions): X509Svid;
  /** A source with a good SVID and this authority's roots. */
  source(name: string, options?: TestSvidOptions): IdentitySource;
  /** A source whose SVID expired an hour ago. */
  expiredSource(name: string): IdentitySource;
  /** A source with an SVID of this authority that trusts the roots of other bundles too. */
  federatedSource(name: string, bundles: readonly X509Bundle[]): IdentitySource;
  /** A source that the test can set again, to rotate or to take the identity away. */
  settableSource(name: string, options?: TestSvidOptions): SettableSource;
  /** A signing request with its key, as a workload sends it. */
  csr(name: string): Promise<{ readonly csrPem: string; readonly privateKey: KeyObject }>;
  /** Signs whatever the test asks for, with the root's key or another one. */
  certificate(name: string, changes: TestCertificateChanges, signer?: KeyObject): TestCertificate;
}

/** Makes an authority with a root of its own: two of them do not trust each other, also not with the same trust domain. */
export async function createTestCa(options: TestCaOptions = {}): Promise<TestCa> {
  const { trustDomain = 'cluster.local', clock = systemClock } = options;
  const encoder = await loadDerEncoder();
  const now = clock.wallTime();
  const root = await createRoot({
    trustDomain,
    keyType: 'ecdsa-p256',
    notBeforeMs: now - 30 * DAY_MS,
    notAfterMs: now + 3650 * DAY_MS,
  });
  const keyPem = root.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const store = { load: async () => `${keyPem}${root.pem}`, save: async () => {} };
  const authority = await createCertificateAuthority({ trustDomain, clock, store });

  const id = (name: string) => idOf(name, trustDomain);
  const certificate: TestCa['certificate'] = (name, changes, signer = root.privateKey) => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spkiDer = publicKey.export({ type: 'spki', format: 'der' });
    const at = clock.wallTime();
    const template: CertificateTemplate = {
      serial: randomSerial(),
      issuerDer: root.root.facts.subjectDer,
      subjectDer: encodeName(encoder, ''),
      notBeforeMs: at - 120_000,
      notAfterMs: at + DAY_MS,
      spkiDer,
      isCa: false,
      keyUsage: leafKeyUsage('ec'),
      extendedKeyUsage: [Oid.serverAuth, Oid.clientAuth],
      names: { uris: [id(name).toString()] },
      subjectKeyId: keyIdOf(spkiDer),
      authorityKeyId: root.root.facts.subjectKeyId ?? new Uint8Array(),
      ...changes,
    };
    const der = encodeCertificate(encoder, template, signer);
    return { der, pem: writePem(der, 'CERTIFICATE'), privateKey };
  };
  const svid = (name: string, { lifeMs = DAY_MS, startsInMs }: TestSvidOptions = {}): X509Svid => {
    const at = clock.wallTime();
    const startMs = startsInMs ?? (lifeMs > 0 ? -120_000 : lifeMs - 3_600_000);
    const { pem, privateKey } = certificate(name, { notBeforeMs: at + startMs, notAfterMs: at + lifeMs });
    return parseX509Svid(pem, privateKey);
  };
  const bundle = createX509Bundle(trustDomain, root.pem);
  return {
    trustDomain,
    bundle,
    authority,
    id,
    svid,
    certificate,
    source: (name, how) => staticSource(svid(name, how), [bundle]),
    expiredSource: (name) => staticSource(svid(name, { lifeMs: -3_600_000 }), [bundle]),
    federatedSource: (name, bundles) => staticSource(svid(name), [bundle, ...bundles]),
    settableSource: (name, how) => createSettableSource({ svid: svid(name, how), bundles: [bundle] }),
    csr: (name) => createCsr(id(name)),
  };
}

function idOf(name: string, trustDomain: string): SpiffeId {
  if (name.startsWith('spiffe://')) return parseSpiffeId(name);
  const [first = '', second] = name.split('/');
  return second === undefined ? istioId(trustDomain, 'default', first) : istioId(trustDomain, first, second);
}
