import type { Clock, Timer } from '../runtime/clock.js';
import type { X509Bundle } from './bundle.js';
import type { CachedIdentity } from './identity-cache.js';
import type { ReadCertificate } from './read-certificate.js';
import type { IdentityState } from './source.js';
import { authorityOf, fingerprintOf, joinBundles, type Trust, trustedBundles } from './trust.js';

/**
 * How long the old certificate is presented after a change of root. Workloads hear of a new root one after the other:
 * who trusts both roots already still has to be trusted by those that know the old one only.
 */
const PRESENT_OLD_MS = 2000;
/** How long the old root stays trusted; long enough for those that hear of the change last, short for a root that was withdrawn. */
const TRUST_OLD_MS = 15_000;

/** Puts identities in force, a new root in two steps: first it is trusted, then its certificate is presented. */
export interface RootChange {
  use(next: CachedIdentity): void;
  /** Whom the control plane says to trust. A root that it distrusts is out at once, one that is just gone is not. */
  trust(next: Trust): void;
  /** The certificate that was used last with all that is trusted now; undefined before the first. */
  current(): CachedIdentity | undefined;
  close(): void;
}

/** Makes the steps of one source; `set` puts a state in force. */
export function createRootChange(set: (state: IdentityState) => void, clock: Clock): RootChange {
  let current: CachedIdentity | undefined;
  let told: Trust | undefined;
  /** What is on its way out; undefined when no change is under way. */
  let old: CachedIdentity | undefined;
  let presentsOld = false;
  let timers: readonly Timer[] = [];
  const officialOf = (identity: CachedIdentity) =>
    told === undefined ? identity.bundles : trustedBundles(identity, told);
  const apply = () => {
    if (current === undefined) return;
    const svid = presentsOld ? (old?.svid ?? current.svid) : current.svid;
    const official = officialOf(current);
    const bundles = old === undefined ? official : merge(official, old.bundles, told?.distrusted);
    const federated = told?.bundles.map(({ trustDomain }) => trustDomain) ?? [];
    set({ svid, bundles, federated: federated.filter((name) => name !== svid.id.trustDomain) });
  };
  const stop = () => {
    for (const timer of timers) timer.cancel();
    timers = [];
  };
  const begin = (from: CachedIdentity, presentMs: number) => {
    stop();
    old = from;
    presentsOld = presentMs > 0;
    const distrust = clock.schedule(TRUST_OLD_MS, () => {
      old = undefined;
      presentsOld = false;
      apply();
    });
    timers = [distrust];
    if (!presentsOld) return;
    const present = clock.schedule(presentMs, () => {
      presentsOld = false;
      apply();
    });
    timers = [present, distrust];
  };
  /** Lets go of what is trusted no more, slowly unless it is distrusted. */
  const leave = (from: CachedIdentity, before: readonly X509Bundle[]) => {
    if (current === undefined) return;
    const { trustDomain } = current.svid.id;
    const leftMs = from.svid.notAfterMs - clock.wallTime();
    if (from.svid.id.trustDomain !== trustDomain || leftMs <= 0) return;
    const after = officialOf(current);
    const was = bundleOf(before, trustDomain);
    if (was === undefined) return;
    const gone = goneFrom(was, bundleOf(after, trustDomain), told);
    if (gone.length === 0) return;
    const root = authorityOf(from.svid, was);
    const isOwnGone = from.svid !== current.svid && root !== undefined && gone.includes(root);
    begin({ svid: from.svid, bundles: before }, isOwnGone ? Math.min(PRESENT_OLD_MS, leftMs / 2) : 0);
  };
  return {
    use(next) {
      const from = current;
      const before = from && officialOf(from);
      current = next;
      if (from !== undefined && before !== undefined) leave(from, before);
      apply();
    },
    trust(next) {
      const before = current && officialOf(current);
      told = next;
      if (current !== undefined && before !== undefined) leave(current, before);
      if (presentsOld && isDistrusted(old, next)) presentsOld = false;
      apply();
    },
    current: () => current && { svid: current.svid, bundles: officialOf(current) },
    close: stop,
  };
}

/** Authorities that are not there any more, and not because they are distrusted. */
function goneFrom(
  was: X509Bundle,
  is: X509Bundle | undefined,
  told: Trust | undefined,
): readonly ReadCertificate[] {
  const kept = new Set(is?.authorities);
  return was.certificates.filter(
    (one, index) =>
      !kept.has(was.authorities[index] ?? '') && told?.distrusted.has(fingerprintOf(one)) !== true,
  );
}

function isDistrusted(identity: CachedIdentity | undefined, { distrusted }: Trust): boolean {
  const bundle = identity && bundleOf(identity.bundles, identity.svid.id.trustDomain);
  const root = bundle && authorityOf(identity.svid, bundle);
  return root !== undefined && distrusted.has(fingerprintOf(root));
}

function bundleOf(bundles: readonly X509Bundle[], trustDomain: string): X509Bundle | undefined {
  return bundles.find((bundle) => bundle.trustDomain === trustDomain);
}

function merge(
  bundles: readonly X509Bundle[],
  old: readonly X509Bundle[],
  distrusted: ReadonlySet<string> | undefined,
): readonly X509Bundle[] {
  return bundles.map((bundle) => {
    const before = bundleOf(old, bundle.trustDomain);
    return before === undefined ? bundle : joinBundles(bundle, before, distrusted);
  });
}
