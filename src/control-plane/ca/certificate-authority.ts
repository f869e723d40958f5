import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { X509Bundle } from '../../identity/bundle.js';
import { readCsr } from '../../identity/csr.js';
import { type AltNames, type DerEncoder, loadDerEncoder } from '../../identity/der-encode.js';
import { writePem } from '../../identity/pem.js';
import { parseTrustDomain, type SpiffeId } from '../../identity/spiffe-id.js';
import { Oid } from '../../identity/x509.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import { encodeCertificate, encodeName, keyIdOf, leafKeyUsage } from './encode-certificate.js';
import {
  type CaKeyType,
  type CaStore,
  createServerKey,
  loadOrCreateRoot,
  type Root,
  randomSerial,
} from './root.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Certificates count in whole seconds, so anything shorter may be over when it arrives. */
const MIN_LIFE_MS = 2000;

export interface CertificateAuthorityOptions {
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Default 3650 days. */
  readonly rootLifeMs?: number;
  /** Life of a certificate when the caller asks for none; default 24 hours. */
  readonly workloadLifeMs?: number;
  /** Longest life a caller can ask for; default 90 days. */
  readonly maxWorkloadLifeMs?: number;
  /** How far certificates begin in the past, against clocks that are behind; default 2 minutes, which is also the most. */
  readonly backdateMs?: number;
  /** Default `ecdsa-p256`. */
  readonly keyType?: CaKeyType;
  /** Where key and root are kept; in memory only when absent. */
  readonly store?: CaStore | undefined;
  /** Hears of every certificate after it was signed. */
  readonly audit?: ((record: IssueRecord) => void) | undefined;
}

/** One line of the authority's audit trail. */
export interface IssueRecord {
  readonly id: string;
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly kind: 'workload' | 'server';
}

/** A certificate with its chain. */
export interface IssuedCertificate {
  /** PEM, leaf first, root last. */
  readonly chainPem: readonly string[];
  readonly notAfterMs: number;
  /** Hexadecimal. */
  readonly serial: string;
}

/** What a workload certificate is made from. */
export interface IssueRequest {
  /** Contributes its public key and nothing else. */
  readonly csrPem: string;
  /** Who the authenticated caller is; the only name in the certificate. */
  readonly id: SpiffeId;
  readonly lifeMs?: number | undefined;
}

/** What the certificate of a server in this process is made from. */
export interface IssueServerRequest {
  readonly id: SpiffeId;
  readonly dnsNames?: readonly string[];
  /** IP addresses in bytes, 4 or 16. */
  readonly ips?: readonly Uint8Array[];
  readonly lifeMs?: number | undefined;
}

/** Issues the X.509-SVIDs of one trust domain. */
export interface CertificateAuthority {
  readonly trustDomain: string;
  rootPem(): string;
  /** The bundle that vouches for what this authority issues. */
  bundle(): X509Bundle;
  /** Issues to a workload; refuses with INMESH_CSR_INVALID or INMESH_CA_REFUSED. */
  issue(request: IssueRequest): IssuedCertificate;
  /** Issues to a workload that gets its key from here (SDS); refuses with INMESH_CA_REFUSED. */
  issueWithKey(id: SpiffeId): IssuedCertificate & { readonly privateKey: KeyObject };
  /** Issues to a server of this process, with a new key and DNS and IP names besides its identity. */
  issueServer(request: IssueServerRequest): Promise<IssuedCertificate & { readonly privateKey: KeyObject }>;
}

/** Opens the authority of a trust domain: loads its root, or makes one. */
export async function createCertificateAuthority(
  options: CertificateAuthorityOptions,
): Promise<CertificateAuthority> {
  const trustDomain = parseTrustDomain(options.trustDomain);
  const now = options.clock.wallTime();
  const fresh = {
    trustDomain,
    keyType: options.keyType ?? 'ecdsa-p256',
    notBeforeMs: now - HOUR_MS,
    notAfterMs: now + (options.rootLifeMs ?? 3650 * DAY_MS),
  };
  const [encoder, root] = await Promise.all([loadDerEncoder(), loadOrCreateRoot(fresh, options.store)]);
  const issuer = createIssuer(options, encoder, root);
  return {
    trustDomain,
    rootPem: () => root.pem,
    bundle: () => root.bundle,
    issue({ csrPem, id, lifeMs }) {
      const { publicKey, spkiDer } = readCsr(csrPem);
      const names = { uris: [id.toString()] };
      return issuer({ id, names, spkiDer, keyType: publicKey.asymmetricKeyType, lifeMs, kind: 'workload' });
    },
    issueWithKey(id) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const spkiDer = publicKey.export({ type: 'spki', format: 'der' });
      const names = { uris: [id.toString()] };
      const leaf: Leaf = { id, names, spkiDer, keyType: 'ec', lifeMs: undefined, kind: 'workload' };
      return { ...issuer(leaf), privateKey };
    },
    async issueServer({ id, dnsNames = [], ips = [], lifeMs }) {
      const { privateKey, spkiDer } = await createServerKey();
      const names = { uris: [id.toString()], dnsNames, ips };
      return { ...issuer({ id, names, spkiDer, keyType: 'ec', lifeMs, kind: 'server' }), privateKey };
    },
  };
}

interface Leaf {
  readonly id: SpiffeId;
  readonly names: AltNames;
  readonly spkiDer: Uint8Array;
  readonly keyType: string | undefined;
  readonly lifeMs: number | undefined;
  readonly kind: IssueRecord['kind'];
}

type Issuer = (leaf: Leaf) => IssuedCertificate;

function createIssuer(options: CertificateAuthorityOptions, encoder: DerEncoder, root: Root): Issuer {
  const rootSpki = createPublicKey(root.privateKey).export({ type: 'spki', format: 'der' });
  const rootKeyId = root.root.facts.subjectKeyId ?? keyIdOf(rootSpki);
  const nobody = encodeName(encoder, '');
  return (leaf) => {
    checkId(leaf.id, root.bundle.trustDomain);
    const validity = validityOf(leaf, root, options);
    const serial = randomSerial();
    const der = encodeCertificate(
      encoder,
      {
        serial,
        issuerDer: root.root.facts.subjectDer,
        subjectDer: nobody,
        ...validity,
        spkiDer: leaf.spkiDer,
        isCa: false,
        keyUsage: leafKeyUsage(leaf.keyType),
        extendedKeyUsage: [Oid.serverAuth, Oid.clientAuth],
        names: leaf.names,
        subjectKeyId: keyIdOf(leaf.spkiDer),
        authorityKeyId: rootKeyId,
      },
      root.privateKey,
    );
    const record = { serial: Buffer.from(serial).toString('hex'), ...validity };
    options.audit?.({ id: leaf.id.toString(), kind: leaf.kind, ...record });
    const chainPem = [writePem(der, 'CERTIFICATE'), root.pem];
    return { chainPem, notAfterMs: record.notAfterMs, serial: record.serial };
  };
}

/** Whole seconds, rounded inwards; never outside the root's own life. */
function validityOf({ id, lifeMs }: Leaf, { root }: Root, options: CertificateAuthorityOptions) {
  const now = options.clock.wallTime();
  const wanted = lifeMs ?? options.workloadLifeMs ?? DAY_MS;
  if (!Number.isFinite(wanted) || wanted <= 0)
    throw refused(id, 'the life it asks for is not a positive duration');
  const life = Math.max(MIN_LIFE_MS, Math.min(wanted, options.maxWorkloadLifeMs ?? 90 * DAY_MS));
  const backdate = Math.min(120_000, options.backdateMs ?? 120_000);
  const notBeforeMs = Math.max(Math.ceil((now - backdate) / 1000) * 1000, root.facts.notBeforeMs);
  const notAfterMs = Math.min(Math.floor((now + life) / 1000) * 1000, root.facts.notAfterMs);
  if (notAfterMs <= now) {
    throw new MeshError('INMESH_CERTIFICATE_EXPIRED', 'the root of the certificate authority has expired', {
      resource: `trust domain ${id.trustDomain}`,
      hint: 'Delete its file to start with a new root, and restart the workloads',
    });
  }
  return { notBeforeMs, notAfterMs };
}

function checkId(id: SpiffeId, trustDomain: string): void {
  if (id.trustDomain !== trustDomain)
    throw refused(id, `this authority issues for trust domain ${trustDomain} only`);
  if (id.path === '') throw refused(id, 'a trust domain itself is no workload');
}

function refused(id: SpiffeId, why: string): MeshError {
  return new MeshError('INMESH_CA_REFUSED', `no certificate was issued: ${why}`, {
    resource: id.toString(),
    hint: 'Check the trust domain and the requested life of the workload against those of the control plane',
  });
}
