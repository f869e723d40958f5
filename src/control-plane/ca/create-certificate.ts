import { MeshError } from '../../runtime/errors.js';
import { type Identity, UNAUTHENTICATED } from './authenticate.js';
import type { CertificateAuthority } from './certificate-authority.js';

/** The fields of IstioCertificateRequest that count. */
export interface CreateCertificateRequest {
  readonly csr: string;
  /** Zero = the authority's default (Istio: `validity_duration`). */
  readonly validityDurationSeconds: bigint | number;
}

/** IstioCertificateResponse. */
export interface CreateCertificateResponse {
  /** PEM, leaf first, root last. */
  readonly certChain: string[];
}

/** Answers `istio.v1.auth.IstioCertificateService/CreateCertificate` for a caller that was authenticated, or was not. */
export function handleCreateCertificate(
  authority: CertificateAuthority,
  request: CreateCertificateRequest,
  caller: Identity | undefined,
): CreateCertificateResponse {
  if (caller === undefined) {
    throw new MeshError('INMESH_CA_REFUSED', UNAUTHENTICATED);
  }
  const seconds = Number(request.validityDurationSeconds);
  const lifeMs = seconds === 0 ? undefined : seconds * 1000;
  const { chainPem } = authority.issue({ csrPem: request.csr, id: caller.id, lifeMs });
  return { certChain: [...chainPem] };
}
