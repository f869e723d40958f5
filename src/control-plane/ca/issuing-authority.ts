import type { KeyObject } from 'node:crypto';
import { parseCertificate } from '../../identity/bundle.js';
import { readPem, writePem } from '../../identity/pem.js';
import type { ReadCertificate } from '../../identity/read-certificate.js';
import { isStrongSignature, weaknessOf } from '../../identity/strength.js';
import { authorityFault } from '../../identity/svid-rules.js';
import { fingerprintOf } from '../../identity/trust.js';
import { equalBytes, KeyUsageBit } from '../../identity/x509.js';
import { MeshError } from '../../runtime/errors.js';

/** A certificate that signs others, with its key and the way to its root. */
export interface IssuingAuthority {
  readonly certificate: ReadCertificate;
  readonly privateKey: KeyObject;
  /** PEM of what is sent with every leaf: this certificate, when it is no root, and those between it and the root. */
  readonly chainPem: readonly string[];
  readonly root: ReadCertificate;
  readonly rootPem: string;
  /** Until when all certificates of the chain are valid. */
  readonly notAfterMs: number;
}

/** What an authority is put together from. */
export interface AuthorityParts {
  /** PEM; the issuing certificate is the one that the key belongs to. */
  readonly certificates: string;
  /** PEM of the root, or of several of which one is the root of the chain. */
  readonly roots: string;
  readonly privateKey: KeyObject;
  readonly trustDomain: string;
  readonly nowMs: number;
  /** Where it comes from, for messages. */
  readonly resource: string;
}

const MAX_CERTIFICATES = 16;

/**
 * Puts an authority together and checks everything that would otherwise show when its first certificate is refused:
 * that the key belongs to it, that it may sign, how long a chain may be, that the chain leads to the root, dates, strength.
 */
export function assembleAuthority(parts: AuthorityParts): IssuingAuthority {
  const { privateKey, resource, nowMs } = parts;
  const given = read(parts.certificates, resource);
  const roots = read(parts.roots, resource);
  if (roots.length === 0) throw unfit(resource, 'there is no root certificate');
  const certificate = [...given, ...roots].find((one) => one.certificate.checkPrivateKey(privateKey));
  if (certificate === undefined) throw unfit(resource, 'the private key belongs to none of the certificates');
  const path = pathOf(certificate, given, roots, resource);
  const root = path[path.length - 1] ?? certificate;
  checkPath(path, parts);
  const leaving = path.filter((one) => one !== root);
  const notAfterMs = Math.min(...path.map(({ facts }) => facts.notAfterMs));
  if (notAfterMs <= nowMs) throw expired(resource, notAfterMs);
  return {
    certificate,
    privateKey,
    chainPem: leaving.map(({ certificate: one }) => writePem(one.raw, 'CERTIFICATE')),
    root,
    rootPem: writePem(root.certificate.raw, 'CERTIFICATE'),
    notAfterMs,
  };
}

function read(pem: string, resource: string): readonly ReadCertificate[] {
  const certificates = readPem(pem, 'CERTIFICATE').map((der) => parseCertificate(der, resource));
  if (certificates.length > MAX_CERTIFICATES)
    throw unfit(resource, `there are more than ${MAX_CERTIFICATES} certificates`);
  return certificates;
}

/** From the issuing certificate up to a root of the given ones. */
function pathOf(
  from: ReadCertificate,
  between: readonly ReadCertificate[],
  roots: readonly ReadCertificate[],
  resource: string,
): readonly ReadCertificate[] {
  const rootPrints = new Set(roots.map(fingerprintOf));
  const path = [from];
  for (let last = from; !rootPrints.has(fingerprintOf(last)); ) {
    const issuer = [...roots, ...between].find((one) => !path.includes(one) && isIssuedBy(last, one));
    if (issuer === undefined) {
      const name = last.certificate.issuer.replaceAll('\n', ', ');
      throw unfit(resource, `the chain does not lead to the root: the certificate of "${name}" is missing`);
    }
    path.push(issuer);
    last = issuer;
  }
  return path;
}

function isIssuedBy(child: ReadCertificate, issuer: ReadCertificate): boolean {
  return (
    equalBytes(child.facts.issuerDer, issuer.facts.subjectDer) &&
    child.certificate.checkIssued(issuer.certificate) &&
    child.certificate.verify(issuer.publicKey)
  );
}

function checkPath(path: readonly ReadCertificate[], parts: AuthorityParts): void {
  for (const [below, one] of path.entries()) {
    // A root may be older than the rules for what stands below it.
    const isRoot = below === path.length - 1 && path.length > 1;
    const fault = ruleFault(one, parts, isRoot) ?? strengthFault(one, isRoot);
    const name = `"${one.certificate.subject?.replaceAll('\n', ', ') ?? ''}"`;
    if (fault !== undefined) throw unfit(parts.resource, `${name} ${fault}`);
    const { pathLength } = one.facts;
    // RFC 5280 §4.2.1.9: certificates between it and the leaf.
    if (pathLength !== undefined && pathLength < below)
      throw unfit(
        parts.resource,
        `${name} allows ${pathLength} authorities below it, and there are ${below}`,
      );
  }
}

function ruleFault(
  { facts }: ReadCertificate,
  { trustDomain, nowMs }: AuthorityParts,
  isRoot: boolean,
): string | undefined {
  if (!facts.isCa) return 'is no certificate authority (basicConstraints CA:TRUE)';
  if (facts.keyUsage !== undefined && !facts.keyUsage.has(KeyUsageBit.keyCertSign))
    return 'may not sign certificates (key usage keyCertSign)';
  if (facts.notBeforeMs > nowMs) return `is not valid before ${new Date(facts.notBeforeMs).toISOString()}`;
  return isRoot ? undefined : authorityFault(facts, trustDomain);
}

function strengthFault({ facts, publicKey }: ReadCertificate, isRoot: boolean): string | undefined {
  const weakness = weaknessOf(publicKey);
  if (weakness !== undefined) return `has a weak key: ${weakness}`;
  return isRoot || isStrongSignature(facts.signatureAlgorithm)
    ? undefined
    : 'is signed with a broken algorithm';
}

function expired(resource: string, notAfterMs: number): MeshError {
  return new MeshError(
    'INMESH_CERTIFICATE_EXPIRED',
    `the certificate authority expired at ${new Date(notAfterMs).toISOString()}`,
    { resource, hint: 'Put a new intermediate certificate there, or a new root when that has expired' },
  );
}

function unfit(resource: string, what: string): MeshError {
  return new MeshError('INMESH_CA_UNFIT', `the certificate authority cannot be used: ${what}`, {
    resource,
    hint: 'Supply an intermediate certificate with its key, the certificates above it, and the root (see docs/certificate-authority.md)',
  });
}
