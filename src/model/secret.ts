import type { StringMatcher } from './matcher.js';
import type { ClientCertificate, PemSource } from './tls.js';
import type { TrustDocument } from './trust.js';

/** What SDS brings under a name (Envoy Secret). */
export type Secret =
  /** What a client proves itself by. */
  | { readonly kind: 'certificate'; readonly certificate: ClientCertificate }
  /** What servers are verified by. Envoy: it is merged over the default context of whoever names it. */
  | {
      readonly kind: 'validation';
      /** Undefined = those of the default context. */
      readonly roots: PemSource | 'system' | 'none' | undefined;
      readonly crl: PemSource | undefined;
      /** Besides those of the default context. */
      readonly subjectAltNames: readonly StringMatcher[];
    }
  /** Whom the mesh trusts; it comes under the one name that members ask for. */
  | { readonly kind: 'trust'; readonly trust: TrustDocument };
