import { MeshError } from '../../runtime/errors.js';
import { type Identity, UNAUTHENTICATED } from './authenticate.js';
import type { CertificateAuthority } from './certificate-authority.js';
import type { IssuedCertificate } from './issuer.js';

/** The fields of IstioCertificateRequest that count. */
export interface CreateCertificateRequest {
  readonly csr: string;
  /** Zero = the authority's default (Istio: `validity_duration`). */
  readonly validityDurationSeconds: bigint | number;
  /** Istio: `metadata.CertSigner`. */
  readonly certSigner?: string | undefined;
}

/** IstioCertificateResponse. */
export interface CreateCertificateResponse {
  /** PEM, leaf first, root last. */
  readonly certChain: string[];
}

/** The response with what was issued, for the audit log. */
export interface CreatedCertificate extends CreateCertificateResponse {
  readonly issued: IssuedCertificate;
}

/** Who asks. */
export interface CertificateCaller {
  /** Undefined = nobody vouches for it. */
  readonly caller: Identity | undefined;
  readonly peer?: string | undefined;
  /** Id of its node in xDS, as it says. */
  readonly instance?: string | undefined;
}

/** Answers `istio.v1.auth.IstioCertificateService/CreateCertificate` for a caller that was authenticated, or was not. */
export async function handleCreateCertificate(
  authority: CertificateAuthority,
  request: CreateCertificateRequest,
  { caller, peer, instance }: CertificateCaller,
): Promise<CreatedCertificate> {
  if (caller === undefined) {
    throw new MeshError('INMESH_CA_REFUSED', UNAUTHENTICATED);
  }
  const seconds = Number(request.validityDurationSeconds);
  const issued = await authority.certify({
    csrPem: request.csr,
    id: caller.id,
    lifeMs: seconds === 0 ? undefined : seconds * 1000,
    authenticator: caller.authenticator,
    peer,
    instance,
    certSigner: request.certSigner,
  });
  return { certChain: [...issued.chainPem], issued };
}
