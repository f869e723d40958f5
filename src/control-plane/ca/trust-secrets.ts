import { encodeRootsSecret, SECRET } from '../../codec/secret.js';
import { TRUST_SECRET } from '../../model/trust.js';
import type { WireResource } from '../resources/resource-set.js';
import type { CertificateAuthority } from './certificate-authority.js';

/** Istio's name of the roots of the mesh. */
export const ROOTS_SECRET = 'ROOTCA';

/** What SDS serves of whom to trust; the same objects as long as nothing changes. */
export interface TrustSecrets {
  /** For members. */
  trust(): WireResource;
  /** For those that know roots only. */
  roots(): WireResource;
}

export function createTrustSecrets(authority: CertificateAuthority): TrustSecrets {
  let of: unknown;
  let made: { readonly trust: WireResource; readonly roots: WireResource } | undefined;
  const current = () => {
    const trust = authority.trust();
    if (made !== undefined && of === trust) return made;
    of = trust;
    const secret = { kind: 'trust', trust } as const;
    made = {
      trust: { name: TRUST_SECRET, bytes: SECRET.encode({ name: TRUST_SECRET, secret }) },
      roots: {
        name: ROOTS_SECRET,
        bytes: encodeRootsSecret(ROOTS_SECRET, authority.bundle().authorities.join('')),
      },
    };
    return made;
  };
  return { trust: () => current().trust, roots: () => current().roots };
}
