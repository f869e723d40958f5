import { MeshError } from '../runtime/errors.js';
import type { Authorizer } from './authorizer.js';
import { parseCertificate, type X509Bundle } from './bundle.js';
import { brokenNameConstraint } from './name-constraints.js';
import type { ReadCertificate } from './read-certificate.js';
import { revocationOf } from './revocation.js';
import type { SpiffeId } from './spiffe-id.js';
import { isStrongSignature, weaknessOf } from './strength.js';
import { authorityFault, leafId, rootFault } from './svid-rules.js';
import { equalBytes, type NameConstraints } from './x509.js';

/** Certificates a peer may send; more is bait for a search that never ends. */
const MAX_CERTIFICATES = 16;
/** Signatures checked for one peer at most, so that look-alike intermediates cost little. */
const MAX_SIGNATURE_CHECKS = 32;
/** Certificates put at the end of a path at most, in all the paths that are tried. */
const MAX_STEPS = 256;

/** A peer whose certificate holds. */
export interface VerifiedPeer {
  readonly id: SpiffeId;
  /** When the first certificate of its chain expires; trust it no longer than that. */
  readonly notAfterMs: number;
}

/** When and for whom a peer is verified. */
export interface VerifyOptions {
  /** Calendar time. */
  readonly nowMs: number;
  /** Who may be talked to; everybody whom the bundle vouches for when absent. */
  readonly authorizer?: Authorizer | undefined;
}

/**
 * Verifies a peer by the DER certificates it sent, leaf first.
 *
 * Signatures are node:crypto's; the choice of the one bundle (by the trust domain of the leaf), the path, the dates
 * and the SPIFFE rules are ours, because `openssl verify` alone accepts 65 of 105 certificates that SPIFFE refuses.
 */
export function verifyPeer(
  chain: readonly Uint8Array[],
  bundleOf: (trustDomain: string) => X509Bundle | undefined,
  options: VerifyOptions,
): VerifiedPeer {
  const { id, notAfterMs } = verifyChain(chain, bundleOf, options.nowMs);
  checkAuthorized(id, options.authorizer);
  return { id, notAfterMs };
}

/** Refuses a verified peer that is not one of those expected. */
export function checkAuthorized(id: SpiffeId, authorizer: Authorizer | undefined): void {
  if (authorizer === undefined || authorizer(id)) return;
  throw new MeshError('INMESH_PEER_IDENTITY', `the peer is ${id}, which is not an identity expected here`, {
    resource: id.toString(),
    hint: 'Check that the endpoint belongs to the service, and the subjectAltNames of its DestinationRule or ServiceEntry',
  });
}

/** A chain that leads to a root, and while it does. */
export interface VerifiedChain extends VerifiedPeer {
  /** When the last certificate of its chain becomes valid. */
  readonly notBeforeMs: number;
  /** What vouches for it. */
  readonly bundle: X509Bundle;
}

/** Verifies a chain without asking who may be talked to. */
export function verifyChain(
  chain: readonly Uint8Array[],
  bundleOf: (trustDomain: string) => X509Bundle | undefined,
  nowMs: number,
): VerifiedChain {
  if (chain.length === 0) {
    throw new MeshError('INMESH_PEER_IDENTITY', 'the peer presented no certificate', {
      hint: 'Let the peer join the mesh, or allow plaintext for it (PeerAuthentication PERMISSIVE)',
    });
  }
  if (chain.length > MAX_CERTIFICATES)
    throw invalid(`the peer sent more than ${MAX_CERTIFICATES} certificates`);
  const [leaf, ...intermediates] = chain.map((der) => parseCertificate(der, 'certificate of the peer'));
  if (leaf === undefined) throw invalid('the peer presented no certificate');
  const id = leafId(leaf.facts);
  const weakness = weaknessOf(leaf.publicKey);
  if (weakness !== undefined) throw invalid(`the certificate of ${id} is too weak: ${weakness}`);
  checkDates(leaf, id, nowMs);
  const bundle = bundleOf(id.trustDomain);
  if (bundle === undefined) throw untrusted(id, 'its trust domain has no bundle here');
  const search: Search = {
    id,
    bundle,
    intermediates,
    nowMs,
    issued: new Map(),
    checksLeft: MAX_SIGNATURE_CHECKS,
    stepsLeft: MAX_STEPS,
    fault: undefined,
  };
  const path = findPath([leaf], search);
  if (path === undefined) throw search.fault ?? untrusted(id, 'no root of its trust domain vouches for it');
  return {
    id,
    bundle,
    notBeforeMs: Math.max(...path.map(({ facts }) => facts.notBeforeMs)),
    notAfterMs: Math.min(...path.map(({ facts }) => facts.notAfterMs)),
  };
}

interface Search {
  readonly id: SpiffeId;
  readonly bundle: X509Bundle;
  readonly intermediates: readonly ReadCertificate[];
  readonly nowMs: number;
  /** Who issued whom, as far as it was looked at: several paths may lead through the same two. */
  readonly issued: Map<ReadCertificate, Map<ReadCertificate, boolean>>;
  checksLeft: number;
  stepsLeft: number;
  /** The most telling reason why a path that was found does not hold. */
  fault: MeshError | undefined;
}

/** Extends a path, leaf first, up to a root of the bundle; roots are tried first, so the shortest path wins. */
function findPath(path: readonly ReadCertificate[], search: Search): readonly ReadCertificate[] | undefined {
  const last = path[path.length - 1];
  if (last === undefined || search.stepsLeft-- <= 0) return undefined;
  for (const root of search.bundle.certificates) {
    const whole = [...path, root];
    if (isIssuedBy(last, root, search) && holds(whole, search)) return whole;
  }
  for (const issuer of search.intermediates) {
    if (path.includes(issuer) || authorityFault(issuer.facts, search.id.trustDomain) !== undefined) continue;
    if (!isIssuedBy(last, issuer, search)) continue;
    const found = findPath([...path, issuer], search);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isIssuedBy(child: ReadCertificate, issuer: ReadCertificate, search: Search): boolean {
  // The names first: comparing them costs nothing, a signature 70 us.
  if (!equalBytes(child.facts.issuerDer, issuer.facts.subjectDer)) return false;
  let known = search.issued.get(child);
  if (known === undefined) {
    known = new Map();
    search.issued.set(child, known);
  }
  const found = known.get(issuer) ?? isSignedBy(child, issuer, search);
  known.set(issuer, found);
  return found;
}

function isSignedBy(child: ReadCertificate, issuer: ReadCertificate, search: Search): boolean {
  if (!child.certificate.checkIssued(issuer.certificate)) return false;
  if (!isStrongSignature(child.facts.signatureAlgorithm)) {
    search.fault ??= invalid(`the certificate of ${search.id} is signed with a broken algorithm`);
    return false;
  }
  const weakness = weaknessOf(issuer.publicKey);
  if (weakness !== undefined) {
    search.fault ??= invalid(`an authority of ${search.id} is too weak: ${weakness}`);
    return false;
  }
  if (search.checksLeft === 0) return false;
  search.checksLeft--;
  return child.certificate.verify(issuer.publicKey);
}

/** The rules of RFC 5280 §6.1 for a complete path, leaf first, root last. */
function holds(path: readonly ReadCertificate[], search: Search): boolean {
  try {
    for (const certificate of path) checkDates(certificate, search.id, search.nowMs);
  } catch (error) {
    if (MeshError.is(error)) search.fault = error;
    return false;
  }
  const { revoked } = search.bundle;
  const taken = revoked && revocationOf(path, search.id, revoked);
  if (taken !== undefined) {
    search.fault = withdrawn(search.id, taken);
    return false;
  }
  const broken = brokenRule(path);
  if (broken !== undefined) search.fault ??= untrusted(search.id, broken);
  return broken === undefined;
}

function brokenRule(path: readonly ReadCertificate[]): string | undefined {
  let below = 0;
  for (const [index, { facts }] of path.entries()) {
    if (index === 0) continue;
    if (facts.pathLength !== undefined && below > facts.pathLength)
      return 'an authority allows no such long chain';
    const fault = index === path.length - 1 ? rootFault(facts) : undefined;
    if (fault !== undefined) return `a root ${fault}`;
    const broken = brokenConstraint(path.slice(0, index), facts.nameConstraints);
    if (broken !== undefined) return `of the name constraints of an authority, ${broken}`;
    // RFC 5280 §4.2.1.9: self-issued certificates do not count.
    if (!equalBytes(facts.subjectDer, facts.issuerDer)) below++;
  }
  return undefined;
}

function brokenConstraint(
  below: readonly ReadCertificate[],
  constraints: NameConstraints | undefined,
): string | undefined {
  if (constraints === undefined) return undefined;
  for (const { facts } of below) {
    // An empty SEQUENCE has two bytes.
    const hasSubject = facts.subjectDer.length > 2;
    const broken = brokenNameConstraint(facts.subjectAltNames, hasSubject, constraints);
    if (broken !== undefined) return broken;
  }
  return undefined;
}

function checkDates({ facts }: ReadCertificate, id: SpiffeId, nowMs: number): void {
  const early = nowMs < facts.notBeforeMs;
  if (!early && nowMs <= facts.notAfterMs) return;
  const when = new Date(early ? facts.notBeforeMs : facts.notAfterMs).toISOString();
  throw new MeshError(
    'INMESH_CERTIFICATE_EXPIRED',
    `a certificate ${early ? 'is not valid before' : 'expired at'} ${when}`,
    {
      resource: id.toString(),
      hint: 'Check that its workload reaches its certificate authority, and the clocks of both machines',
    },
  );
}

function invalid(what: string): MeshError {
  return new MeshError('INMESH_SVID_INVALID', what, {
    hint: 'Issue certificates with ECDSA P-256 or RSA 2048 and SHA-256, and send only the chain up to the root',
  });
}

function withdrawn(id: SpiffeId, what: string): MeshError {
  return new MeshError('INMESH_CERTIFICATE_REVOKED', `the certificate was taken back: ${what}`, {
    resource: id.toString(),
    hint: 'If this workload is to be trusted again, take it off the deny list (inmesh ca revoke --undo) and let it get a new certificate',
  });
}

function untrusted(id: SpiffeId, what: string): MeshError {
  return new MeshError('INMESH_TRUST_DOMAIN', `the certificate is not trusted: ${what}`, {
    resource: id.toString(),
    hint: `Check that both sides use the same certificate authority, or add the bundle of ${id.trustDomain}`,
  });
}
