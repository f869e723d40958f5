import { createX509Bundle, parseCertificate, type X509Bundle } from './bundle.js';
import type { CachedIdentity } from './identity-cache.js';
import { readPem } from './pem.js';
import type { ReadCertificate } from './read-certificate.js';
import { revocationOf } from './revocation.js';
import { equalBytes } from './x509.js';
import type { X509Svid } from './x509-svid.js';

/** Whom a control plane says to trust, in the form that verification takes. */
export interface Trust {
  /** The mesh's own. */
  readonly trustDomain: string;
  /** Of the own trust domain and of federated ones. */
  readonly bundles: readonly X509Bundle[];
  /** Fingerprints of authorities whose certificates are to be renewed. */
  readonly tainted: ReadonlySet<string>;
  /** Fingerprints of authorities that are not trusted, whoever vouches for them. */
  readonly distrusted: ReadonlySet<string>;
  /** Renewals that it causes are spread over so long. */
  readonly renewWithinMs: number;
}

/** SHA-256 of a certificate in lower-case hexadecimal. */
export function fingerprintOf({ certificate }: ReadCertificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}

/** What a workload trusts: what it was told, and the root of its own certificate as long as nobody said otherwise. */
export function trustedBundles({ svid, bundles }: CachedIdentity, trust: Trust): readonly X509Bundle[] {
  const { trustDomain } = svid.id;
  const told = trust.bundles.find((one) => one.trustDomain === trustDomain);
  if (told === undefined || trust.trustDomain !== trustDomain) return bundles;
  if (authorityOf(svid, told) !== undefined) return trust.bundles;
  // An authority that changed faster than its bundle was sent.
  const own = bundles.find((one) => one.trustDomain === trustDomain);
  if (own === undefined) return trust.bundles;
  const joined = joinBundles(told, own, trust.distrusted);
  return trust.bundles.map((bundle) => (bundle === told ? joined : bundle));
}

/** The authorities of both, as far as they may be trusted; what was taken back is the first one's to say. */
export function joinBundles(
  bundle: X509Bundle,
  more: X509Bundle,
  distrusted: ReadonlySet<string> = NOBODY,
): X509Bundle {
  const kept = more.authorities.filter((_, index) => {
    const read = more.certificates[index];
    return read !== undefined && !distrusted.has(fingerprintOf(read));
  });
  return createX509Bundle(bundle.trustDomain, [...bundle.authorities, ...kept], bundle.revoked);
}

const NOBODY: ReadonlySet<string> = new Set();

/** Whether a workload should get a new certificate, because its own is not trusted for long, or not at all. */
export function needsRenewal(svid: X509Svid, trust: Trust): boolean {
  const bundle = trust.bundles.find(({ trustDomain }) => trustDomain === svid.id.trustDomain);
  if (bundle === undefined || trust.trustDomain !== svid.id.trustDomain) return false;
  const authority = authorityOf(svid, bundle);
  if (authority === undefined) return true;
  const chain = [...chainOf(svid), authority];
  const isTainted = chain.some((one) => {
    const fingerprint = fingerprintOf(one);
    return trust.tainted.has(fingerprint) || trust.distrusted.has(fingerprint);
  });
  return (
    isTainted || (bundle.revoked !== undefined && revocationOf(chain, svid.id, bundle.revoked) !== undefined)
  );
}

/** The authority of a bundle that a certificate leads to; its chain was verified when it came. */
export function authorityOf(svid: X509Svid, bundle: X509Bundle): ReadCertificate | undefined {
  const top = chainOf(svid).at(-1);
  if (top === undefined) return undefined;
  return bundle.certificates.find(
    ({ facts, publicKey }) =>
      equalBytes(facts.subjectDer, top.facts.issuerDer) && top.certificate.verify(publicKey),
  );
}

const chains = new WeakMap<X509Svid, readonly ReadCertificate[]>();

function chainOf(svid: X509Svid): readonly ReadCertificate[] {
  let chain = chains.get(svid);
  if (chain === undefined) {
    chain = svid.certificatesPem
      .flatMap((pem) => readPem(pem, 'CERTIFICATE'))
      .map((der) => parseCertificate(der, 'own certificate'));
    chains.set(svid, chain);
  }
  return chain;
}
