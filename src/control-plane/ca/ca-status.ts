import { createX509Bundle } from '../../identity/bundle.js';
import type { ReadCertificate } from '../../identity/read-certificate.js';
import type { AuthorityLife } from './authority-life.js';
import type { RootPhase, StoredIntermediate, StoredRoot } from './ca-state.js';

/** An authority certificate, as a status shows it. */
export interface AuthorityCertificateStatus {
  /** SHA-256. */
  readonly fingerprint: string;
  readonly subject: string;
  readonly serial: string;
  readonly key: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly secondsLeft: number;
  /** Of its life, from 0 to 1. */
  readonly used: number;
}

/** A root with where it is in its life. */
export interface RootStatus extends AuthorityCertificateStatus {
  readonly phase: RootPhase;
  readonly since: string;
  readonly isAutomatic: boolean;
  readonly intermediates: readonly (AuthorityCertificateStatus & Pick<StoredIntermediate, 'phase'>)[];
}

/** How many certificates were asked for since the start. */
export interface IssueCounts {
  readonly issued: number;
  readonly refused: number;
  readonly failed: number;
}

/** State of a certificate authority. */
export interface CaStatus {
  readonly trustDomain: string;
  /** Number of the bundle in force. */
  readonly sequence: number;
  /** What signs leaves; undefined when it is elsewhere. */
  readonly issuing: AuthorityCertificateStatus | undefined;
  readonly roots: readonly RootStatus[];
  /** Roots that may not come back. */
  readonly distrusted: readonly string[];
  /** How many revocations are in force. */
  readonly revocations: number;
  /** Other trust domains that are trusted. */
  readonly federated: readonly string[];
  readonly counts: IssueCounts;
}

/** Describes an authority as it is now. */
export function describeAuthority(
  { state, issuing, trust }: AuthorityLife,
  counts: IssueCounts,
  nowMs: number,
): CaStatus {
  return {
    trustDomain: state.trustDomain,
    sequence: state.sequence,
    issuing: issuing && describe(issuing.certificate, nowMs),
    roots: state.roots.map((root) => describeRoot(root, state.trustDomain, nowMs)),
    distrusted: state.distrusted.map(({ fingerprint }) => fingerprint),
    revocations: Object.values(trust.document.revoked).reduce(
      (sum, list: readonly string[]) => sum + list.length,
      0,
    ),
    federated: trust.document.bundles
      .map(({ trustDomain }) => trustDomain)
      .filter((name) => name !== state.trustDomain),
    counts,
  };
}

function describeRoot(root: StoredRoot, trustDomain: string, nowMs: number): RootStatus {
  const { phase, sinceMs, isAutomatic, certificatePem, intermediates } = root;
  return {
    ...describe(read(certificatePem, trustDomain), nowMs),
    phase,
    since: new Date(sinceMs).toISOString(),
    isAutomatic,
    intermediates: intermediates.map((one) => ({
      ...describe(read(one.certificatePem, trustDomain), nowMs),
      phase: one.phase,
    })),
  };
}

function read(pem: string, trustDomain: string): ReadCertificate {
  const [one] = createX509Bundle(trustDomain, pem).certificates;
  if (one === undefined) throw new TypeError('a kept authority without a certificate');
  return one;
}

function describe(
  { certificate, facts, publicKey }: ReadCertificate,
  nowMs: number,
): AuthorityCertificateStatus {
  const { notBeforeMs, notAfterMs } = facts;
  const { modulusLength, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
  return {
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    subject: certificate.subject?.replaceAll('\n', ', ') ?? '',
    serial: certificate.serialNumber.toLowerCase(),
    key: namedCurve ?? `${publicKey.asymmetricKeyType ?? ''}-${modulusLength ?? ''}`,
    notBefore: new Date(notBeforeMs).toISOString(),
    notAfter: new Date(notAfterMs).toISOString(),
    secondsLeft: Math.floor((notAfterMs - nowMs) / 1000),
    used: Math.min(1, Math.max(0, (nowMs - notBeforeMs) / (notAfterMs - notBeforeMs))),
  };
}
