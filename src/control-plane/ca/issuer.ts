import { createPublicKey } from 'node:crypto';
import type { AltNames, DerEncoder } from '../../identity/der-encode.js';
import { writePem } from '../../identity/pem.js';
import { serialText } from '../../identity/revocation.js';
import type { SpiffeId } from '../../identity/spiffe-id.js';
import { Oid } from '../../identity/x509.js';
import type { Clock } from '../../runtime/clock.js';
import { MeshError } from '../../runtime/errors.js';
import { encodeCertificate, encodeName, keyIdOf, leafKeyUsage } from './encode-certificate.js';
import type { IssuingAuthority } from './issuing-authority.js';
import { randomSerial } from './root.js';

const DAY_MS = 86_400_000;
/** Certificates count in whole seconds, so anything shorter may be over when it arrives. */
const MIN_LIFE_MS = 2000;
const MAX_BACKDATE_MS = 120_000;

/** How long certificates live. */
export interface LifePolicy {
  /** Life of a certificate when the caller asks for none; default 24 hours. */
  readonly workloadLifeMs?: number;
  /** Longest life a caller can ask for; default 90 days. */
  readonly maxWorkloadLifeMs?: number;
  /** How far certificates begin in the past, against clocks that are behind; default 2 minutes, which is also the most. */
  readonly backdateMs?: number;
}

/** A certificate with its chain. */
export interface IssuedCertificate {
  /** PEM, leaf first, root last. */
  readonly chainPem: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Hexadecimal. */
  readonly serial: string;
}

/** What a leaf is made of. */
export interface Leaf {
  readonly id: SpiffeId;
  readonly names: AltNames;
  readonly spkiDer: Uint8Array;
  readonly keyType: string | undefined;
  readonly lifeMs: number | undefined;
}

/** Signs leaves. */
export type Issuer = (leaf: Leaf) => IssuedCertificate;

/** Signs with an authority; what does not change from leaf to leaf is worked out once. */
export function createIssuer(
  encoder: DerEncoder,
  authority: IssuingAuthority,
  policy: LifePolicy & { readonly clock: Clock },
): Issuer {
  const { certificate, privateKey } = authority;
  const ownSpki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const authorityKeyId = certificate.facts.subjectKeyId ?? keyIdOf(ownSpki);
  const nobody = encodeName(encoder, '');
  const above = [...authority.chainPem, authority.rootPem];
  return ({ id, lifeMs, spkiDer, keyType, names }) => {
    const validity = validityOf(id, lifeMs, {
      policy,
      notBeforeMs: certificate.facts.notBeforeMs,
      notAfterMs: authority.notAfterMs,
    });
    const serial = randomSerial();
    const der = encodeCertificate(
      encoder,
      {
        serial,
        issuerDer: certificate.facts.subjectDer,
        subjectDer: nobody,
        ...validity,
        spkiDer,
        isCa: false,
        keyUsage: leafKeyUsage(keyType),
        extendedKeyUsage: [Oid.serverAuth, Oid.clientAuth],
        names,
        subjectKeyId: keyIdOf(spkiDer),
        authorityKeyId,
      },
      privateKey,
    );
    return { chainPem: [writePem(der, 'CERTIFICATE'), ...above], ...validity, serial: serialText(serial) };
  };
}

interface Bounds {
  readonly policy: LifePolicy & { readonly clock: Clock };
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Whole seconds, rounded inwards; never outside the life of any authority above it. */
export function validityOf(
  id: SpiffeId,
  lifeMs: number | undefined,
  { policy, ...authority }: Bounds,
): { readonly notBeforeMs: number; readonly notAfterMs: number } {
  const now = policy.clock.wallTime();
  const wanted = lifeMs ?? policy.workloadLifeMs ?? DAY_MS;
  if (!Number.isFinite(wanted) || wanted <= 0)
    throw refused(id, 'the life it asks for is not a positive duration');
  const life = Math.max(MIN_LIFE_MS, Math.min(wanted, policy.maxWorkloadLifeMs ?? 90 * DAY_MS));
  const backdate = Math.min(MAX_BACKDATE_MS, policy.backdateMs ?? MAX_BACKDATE_MS);
  const notBeforeMs = Math.max(Math.ceil((now - backdate) / 1000) * 1000, authority.notBeforeMs);
  const notAfterMs = Math.min(Math.floor((now + life) / 1000) * 1000, authority.notAfterMs);
  if (notAfterMs <= now) {
    throw new MeshError('INMESH_CERTIFICATE_EXPIRED', 'the root of the certificate authority has expired', {
      resource: `trust domain ${id.trustDomain}`,
      hint: 'Replace it (inmesh ca rotate --force), or plug a new one in; then restart the workloads',
    });
  }
  return { notBeforeMs, notAfterMs };
}

/** Refuses what is not a workload of the trust domain. */
export function checkId(id: SpiffeId, trustDomain: string): void {
  if (id.trustDomain !== trustDomain)
    throw refused(id, `this authority issues for trust domain ${trustDomain} only`);
  if (id.path === '') throw refused(id, 'a trust domain itself is no workload');
}

/** The error for a certificate that was not issued. */
export function refused(id: SpiffeId, why: string): MeshError {
  return new MeshError('INMESH_CA_REFUSED', `no certificate was issued: ${why}`, {
    resource: id.toString(),
    hint: 'Check the trust domain and the requested life of the workload against those of the control plane',
  });
}
