import { MeshError } from '../runtime/errors.js';
import { parseSpiffeId, type SpiffeId } from './spiffe-id.js';
import { type CertificateFacts, GeneralNameTag, KeyUsageBit, latin1, Oid } from './x509.js';

/** The SPIFFE ID of a leaf that follows every rule of X509-SVID §2, §4 and §5.2; refused with INMESH_SVID_INVALID otherwise. */
export function leafId(facts: CertificateFacts): SpiffeId {
  const uris = facts.subjectAltNames.filter(({ tag }) => tag === GeneralNameTag.uri);
  const [uri] = uris;
  if (uri === undefined) throw refused('has no URI in its subject alternative name');
  if (uris.length > 1) throw refused('has more than one URI in its subject alternative name');
  const id = parseSpiffeId(latin1(uri.value));
  if (id.path === '') throw refused(`names a trust domain and no workload (${id.toString()})`);
  if (facts.isCa) throw refused('is a certificate authority (basicConstraints cA)');
  checkKeyUsage(facts);
  if (facts.unknownCritical.length > 0)
    throw refused(`has critical extensions unknown here: ${facts.unknownCritical.join(', ')}`);
  return id;
}

function checkKeyUsage({ keyUsage, extendedKeyUsage }: CertificateFacts): void {
  if (keyUsage === undefined) throw refused('has no key usage');
  if (!keyUsage.critical) throw refused('has a key usage that is not critical');
  if (!keyUsage.has(KeyUsageBit.digitalSignature)) throw refused('lacks the key usage digitalSignature');
  if (keyUsage.has(KeyUsageBit.keyCertSign)) throw refused('may sign certificates (key usage keyCertSign)');
  if (keyUsage.has(KeyUsageBit.cRLSign)) throw refused('may sign revocation lists (key usage cRLSign)');
  if (extendedKeyUsage === undefined) return;
  const isForBoth = extendedKeyUsage.includes(Oid.serverAuth) && extendedKeyUsage.includes(Oid.clientAuth);
  if (!isForBoth) throw refused('has an extended key usage without both serverAuth and clientAuth');
}

/** Tells why a certificate may not stand between a root and a leaf of this trust domain, or undefined. */
export function authorityFault(facts: CertificateFacts, trustDomain: string): string | undefined {
  if (!facts.isCa) return 'is no certificate authority';
  // X509-SVID §4.3: signing certificates must set it.
  if (facts.keyUsage?.has(KeyUsageBit.keyCertSign) !== true) return 'may not sign certificates';
  const usages = facts.extendedKeyUsage;
  const both = [Oid.serverAuth, Oid.clientAuth];
  if (
    usages !== undefined &&
    !usages.includes(Oid.anyExtendedKeyUsage) &&
    !both.every((oid) => usages.includes(oid))
  ) {
    return 'may not vouch for TLS clients and servers';
  }
  if (facts.unknownCritical.length > 0) return 'has critical extensions unknown here';
  // X509-SVID §2: the SPIFFE ID of a signing certificate is its trust domain, without a path.
  const own = `spiffe://${trustDomain}`;
  const foreign = facts.subjectAltNames.some(
    ({ tag, value }) =>
      tag === GeneralNameTag.uri && latin1(value).startsWith('spiffe:') && latin1(value) !== own,
  );
  return foreign ? 'has a SPIFFE ID that is not its trust domain' : undefined;
}

/** Tells why a certificate may not be at the end of a path although it is in the bundle, or undefined. */
export function rootFault(facts: CertificateFacts): string | undefined {
  if (facts.keyUsage?.has(KeyUsageBit.keyCertSign) === false) return 'may not sign certificates';
  if (facts.unknownCritical.length > 0) return 'has critical extensions unknown here';
  // X509-SVID §3.2: the SPIFFE ID of a signing certificate MUST NOT have a path.
  const isWorkload = facts.subjectAltNames.some(
    ({ tag, value }) => tag === GeneralNameTag.uri && /^spiffe:\/\/[^/]*\//.test(latin1(value)),
  );
  return isWorkload ? 'has the SPIFFE ID of a workload' : undefined;
}

function refused(what: string): MeshError {
  return new MeshError('INMESH_SVID_INVALID', `the certificate ${what}`, {
    hint: 'Issue it as the X.509-SVID standard says: one spiffe:// URI, CA:FALSE, key usage digitalSignature',
  });
}
