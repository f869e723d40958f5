import { createPrivateKey, KeyObject, type X509Certificate } from 'node:crypto';
import { MeshError } from '../runtime/errors.js';
import { parseCertificate } from './bundle.js';
import { readPem, writePem } from './pem.js';
import type { SpiffeId } from './spiffe-id.js';
import { leafId } from './svid-rules.js';

/** A workload's own certificate and key: who it is, and the proof. */
export interface X509Svid {
  readonly id: SpiffeId;
  /** The leaf first, then the intermediates; without the root. */
  readonly certificatesPem: readonly string[];
  readonly leaf: X509Certificate;
  readonly privateKey: KeyObject;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Reads certificates (leaf first) and their key, and checks every rule of the X.509-SVID standard and that both belong together. */
export function parseX509Svid(
  certificatesPem: string | readonly string[],
  privateKey: string | KeyObject,
): X509Svid {
  const texts = typeof certificatesPem === 'string' ? [certificatesPem] : certificatesPem;
  const certificates = texts.flatMap((text) => readPem(text, 'CERTIFICATE'));
  const [leaf, ...others] = certificates.map((der) => parseCertificate(der, 'own certificate'));
  if (leaf === undefined) throw invalid('there is no PEM block CERTIFICATE');
  const id = leafId(leaf.facts);
  const key = privateKey instanceof KeyObject ? privateKey : readKey(privateKey);
  if (!leaf.certificate.checkPrivateKey(key))
    throw invalid('the private key belongs to another certificate', id);
  // A root has no place in a handshake: the peer trusts its own copy or none.
  const sent = others.filter(({ facts }) => Buffer.compare(facts.subjectDer, facts.issuerDer) !== 0);
  if (sent.some(({ facts }) => !facts.isCa))
    throw invalid('a certificate after the leaf is no authority', id);
  return Object.freeze({
    id,
    certificatesPem: [leaf, ...sent].map(({ certificate }) => writePem(certificate.raw, 'CERTIFICATE')),
    leaf: leaf.certificate,
    privateKey: key,
    notBeforeMs: leaf.facts.notBeforeMs,
    notAfterMs: leaf.facts.notAfterMs,
  });
}

function readKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // No cause: what OpenSSL says of a key it cannot read may quote it.
    throw invalid('the private key cannot be read');
  }
}

function invalid(what: string, id?: SpiffeId): MeshError {
  return new MeshError('INMESH_SVID_INVALID', what, {
    resource: id?.toString(),
    hint: 'Supply the certificates in PEM, leaf first, with the unencrypted PEM key they were issued for',
  });
}
