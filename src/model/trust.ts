/** Name of the secret (SDS) by which a control plane tells its members whom to trust. */
export const TRUST_SECRET = 'inmesh:trust';

/** Whom the members of a mesh trust, and whom no longer; a newer one replaces it as a whole. */
export interface TrustDocument {
  /** The mesh's own. */
  readonly trustDomain: string;
  /** Grows with every change. */
  readonly sequence: number;
  /** One for the mesh's own trust domain, and one for each that it is federated with. */
  readonly bundles: readonly TrustedAuthorities[];
  /** SHA-256 of authorities that are on their way out: still trusted, but their certificates are to be renewed now. */
  readonly tainted: readonly string[];
  /** SHA-256 of authorities that are not trusted any more, whoever still has them. */
  readonly distrusted: readonly string[];
  /** What was taken back of the mesh's own trust domain; others tell with their bundle. */
  readonly revoked: RevokedNames;
  /** Renewals that this document causes are spread over so long. */
  readonly renewWithinMs: number;
}

/** The authorities of a trust domain, in PEM. */
export interface TrustedAuthorities {
  readonly trustDomain: string;
  readonly authorities: readonly string[];
  /** What another trust domain took back, as its bundle tells; the mesh's own is in `revoked` of the document. */
  readonly revoked?: RevokedNames | undefined;
}

/** Certificates that are refused before their time; hexadecimal is in lower case. */
export interface RevokedNames {
  /** Serial numbers without leading zeros. */
  readonly serials: readonly string[];
  /** SPIFFE IDs. */
  readonly ids: readonly string[];
  /** SHA-256 of SubjectPublicKeyInfos. */
  readonly keys: readonly string[];
}
