import { X509Certificate } from 'node:crypto';
import { isEqual } from '../runtime/equal.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import { readPem, writePem } from './pem.js';
import type { ReadCertificate } from './read-certificate.js';
import type { RevocationList } from './revocation.js';
import { parseTrustDomain } from './spiffe-id.js';
import { readCertificate } from './x509.js';

/** The authorities that may vouch for the workloads of one trust domain, and of no other. */
export interface X509Bundle {
  readonly trustDomain: string;
  /** PEM, one certificate each. */
  readonly authorities: readonly string[];
  readonly certificates: readonly ReadCertificate[];
  /** What its trust domain took back; nothing when absent. */
  readonly revoked?: RevocationList | undefined;
}

/** Makes a bundle from PEM text or texts; an empty one trusts nobody. */
export function createX509Bundle(
  trustDomain: string,
  pem: string | readonly string[],
  revoked?: RevocationList,
): X509Bundle {
  const name = parseTrustDomain(trustDomain);
  const blocks = (typeof pem === 'string' ? [pem] : pem).flatMap((text) => readPem(text, 'CERTIFICATE'));
  const unique = new Map<string, ReadCertificate>();
  for (const der of blocks) {
    const read = parseCertificate(der, `bundle of trust domain ${name}`);
    if (!read.facts.isCa) throw notAnAuthority(name);
    unique.set(read.certificate.fingerprint256, read);
  }
  const certificates = [...unique.values()];
  const authorities = certificates.map(({ certificate }) => writePem(certificate.raw, 'CERTIFICATE'));
  return Object.freeze({
    trustDomain: name,
    authorities: Object.freeze(authorities),
    certificates,
    ...(revoked !== undefined && { revoked }),
  });
}

/** Whether both say the same of whom to trust. */
export function isSameBundle(a: X509Bundle | undefined, b: X509Bundle | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  // The certificates are those of `authorities`, read.
  return isEqual({ ...a, certificates: undefined }, { ...b, certificates: undefined });
}

/** Reads one DER certificate with node:crypto and with our own reader, both from the same bytes. */
export function parseCertificate(der: Uint8Array, resource: string): ReadCertificate {
  try {
    const certificate = new X509Certificate(der);
    // Facts come from the encoding that node:crypto holds, so that what is verified is what is read; a difference
    // means bytes that one of the two readers ignored.
    if (Buffer.compare(certificate.raw, der) !== 0) throw new Error('it holds bytes that are not part of it');
    return { certificate, publicKey: certificate.publicKey, facts: readCertificate(der) };
  } catch (error) {
    if (MeshError.is(error)) throw error;
    throw new MeshError('INMESH_SVID_INVALID', `a certificate cannot be read: ${messageOf(error)}`, {
      resource,
      cause: error,
      hint: 'Supply X.509 version 3 certificates in DER, or PEM with the label CERTIFICATE',
    });
  }
}

function notAnAuthority(name: string): MeshError {
  return new MeshError('INMESH_SVID_INVALID', 'a certificate that is no authority cannot be in a bundle', {
    resource: `bundle of trust domain ${name}`,
    hint: 'Put the root certificates (CA:TRUE) of the trust domain there, not those of workloads',
  });
}
