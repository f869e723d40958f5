import { createX509Bundle, type X509Bundle } from '../../identity/bundle.js';
import { revocationList } from '../../identity/revocation.js';
import { fingerprintOf } from '../../identity/trust.js';
import type { RevokedNames, TrustDocument, TrustedAuthorities } from '../../model/trust.js';
import type { CaState } from './ca-state.js';

/** What an authority has everybody trust. */
export interface TrustOutcome {
  readonly document: TrustDocument;
  /** Of the own trust domain, with what was taken back. */
  readonly bundle: X509Bundle;
}

/** What trust follows from. */
export interface TrustSources {
  readonly state: CaState;
  /** PEM of roots that were plugged in beside that of the chain. */
  readonly moreRoots: string;
  readonly federated: readonly X509Bundle[];
  readonly nowMs: number;
  readonly renewWithinMs: number;
}

/** Works out whom members are to trust. */
export function trustFrom({ state, moreRoots, federated, nowMs, renewWithinMs }: TrustSources): TrustOutcome {
  const { trustDomain, roots, distrusted, sequence } = state;
  const revoked = revokedNames(state, nowMs);
  // The one that signs comes first: who takes only one root takes that.
  const known = roots
    .filter(({ phase }) => phase !== 'prepared')
    .toSorted((a, b) => Number(b.phase === 'active') - Number(a.phase === 'active'))
    .map(({ certificatePem }) => certificatePem);
  const gone = new Set(distrusted.map(({ fingerprint }) => fingerprint));
  const more = createX509Bundle(trustDomain, moreRoots);
  const added = more.authorities.filter((_, index) => {
    const read = more.certificates[index];
    return read !== undefined && !gone.has(fingerprintOf(read));
  });
  const bundle = createX509Bundle(trustDomain, [...known, ...added], revocationList(revoked));
  const document: TrustDocument = {
    trustDomain,
    sequence,
    bundles: [
      { trustDomain, authorities: bundle.authorities },
      ...federated.filter((one) => one.trustDomain !== trustDomain).map(trustedOf),
    ],
    tainted: roots.filter(({ phase }) => phase === 'retiring').map(({ fingerprint }) => fingerprint),
    distrusted: distrusted.filter(({ untilMs }) => untilMs > nowMs).map(({ fingerprint }) => fingerprint),
    revoked,
    renewWithinMs,
  };
  return { document, bundle };
}

/** Another trust domain, with what it says that it took back. */
function trustedOf({ trustDomain, authorities, revoked }: X509Bundle): TrustedAuthorities {
  if (revoked === undefined) return { trustDomain, authorities };
  const { serials, ids, keys } = revoked;
  return { trustDomain, authorities, revoked: { serials: [...serials], ids: [...ids], keys: [...keys] } };
}

/** What is taken back now, by kind. */
export function revokedNames({ revocations }: CaState, nowMs: number): RevokedNames {
  const current = revocations.filter(({ untilMs }) => untilMs === undefined || untilMs > nowMs);
  const values = (kind: keyof RevokedNames) =>
    current.filter((one) => one.kind === kind).map(({ value }) => value);
  return { serials: values('serials'), ids: values('ids'), keys: values('keys') };
}
