import type { KeyObject, X509Certificate } from 'node:crypto';
import type { CertificateFacts } from './x509.js';

/** A certificate together with what our own reader found in it. */
export interface ReadCertificate {
  readonly certificate: X509Certificate;
  /** Read once: node:crypto decodes it anew each time, and throws when it cannot. */
  readonly publicKey: KeyObject;
  readonly facts: CertificateFacts;
}
