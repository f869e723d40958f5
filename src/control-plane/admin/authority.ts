import { type CertificateAuthority, crlPem } from '../ca/certificate-authority.js';
import type { RotationClients } from '../ca/rotation-steps.js';
import { type Answer, problem } from './http.js';

/** What the admin API shows of the certificate authority. */
export interface AdminAuthority {
  readonly authority: CertificateAuthority;
  /** How far the connected clients are. */
  readonly clients: () => RotationClients;
}

/** Answers what is about the authority; undefined for other paths. Nothing of it is secret. */
export function readAuthority(path: string, { authority, clients }: AdminAuthority): Answer | undefined {
  switch (path) {
    case '/api/ca':
      return { status: 200, body: { ...authority.status(), clients: clients() } };
    case '/ca/roots.pem':
      return { status: 200, text: authority.bundle().authorities.join('') };
    case '/ca/crl.pem':
      return authority.isExternal
        ? problem(404, 'INMESH_NOT_FOUND', 'the authority that signs elsewhere has the revocation list')
        : { status: 200, text: crlPem(authority.revocation.crl()) };
    default:
      return undefined;
  }
}

/** Metrics of the authority. */
export function authorityMetrics({ authority, clients }: AdminAuthority): readonly string[] {
  const { counts, roots, issuing, revocations, sequence } = authority.status();
  const { trusting, renewed } = clients();
  return [
    '# TYPE inmesh_ca_certificates_total counter',
    ...Object.entries(counts).map(
      ([result, count]) => `inmesh_ca_certificates_total{result="${result}"} ${count}`,
    ),
    '# TYPE inmesh_ca_root_expiry_seconds gauge',
    ...roots.map(
      ({ fingerprint, phase, secondsLeft }) =>
        `inmesh_ca_root_expiry_seconds{root="${fingerprint.slice(0, 16)}",phase="${phase}"} ${secondsLeft}`,
    ),
    '# TYPE inmesh_ca_issuing_expiry_seconds gauge',
    ...(issuing === undefined ? [] : [`inmesh_ca_issuing_expiry_seconds ${issuing.secondsLeft}`]),
    '# TYPE inmesh_ca_revocations gauge',
    `inmesh_ca_revocations ${revocations}`,
    '# TYPE inmesh_ca_bundle_sequence gauge',
    `inmesh_ca_bundle_sequence ${sequence}`,
    '# TYPE inmesh_ca_clients gauge',
    `inmesh_ca_clients{state="live"} ${trusting.live}`,
    `inmesh_ca_clients{state="trusting"} ${trusting.ready}`,
    `inmesh_ca_clients{state="renewed"} ${renewed.ready}`,
  ];
}
