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
  const officialOf = (identity: CachedIdentity) =>
    told === undefined ? identity.bundles : trustedBundles(identity, told);
  const apply = () => {
    if (current === undefined) return;
    const { old, presentsOld } = way;
    const svid = presentsOld ? (old?.svid ?? current.svid) : current.svid;
    const official = officialOf(current);
    const bundles = old === undefined ? official : merge(official, old.bundles, told?.distrusted);
    const federated = told?.bundles.map(({ trustDomain }) => trustDomain) ?? [];
    set({ svid, bundles, federated: federated.filter((name) => name !== svid.id.trustDomain) });
  };
  const way = new WayOut(clock, apply);
  /** Lets go of what is trusted no more, slowly unless it is distrusted. */
  const leave = (from: CachedIdentity, bundles: readonly X509Bundle[]) => {
    const leftMs = from.svid.notAfterMs - clock.wallTime();
    if (current === undefined || leftMs <= 0) return;
    const before = { svid: from.svid, bundles };
    const step = departureOf(before, { svid: current.svid, bundles: officialOf(current) }, told);
    if (step === 'none') return;
    if (step === 'trust' && from.svid === current.svid && way.presentsOld) way.extend(bundles);
    else way.begin(before, step === 'present' ? Math.min(PRESENT_OLD_MS, leftMs / 2) : 0);
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
      if (isDistrusted(way.old, next)) way.presentsOld = false;
      apply();
    },
    current: () => current && { svid: current.svid, bundles: officialOf(current) },
    close: () => way.stop(),
  };
}

/** What is on its way out, and for how long. */
class WayOut {
  /** Undefined when no change is under way. */
  old: CachedIdentity | undefined;
  presentsOld = false;
  #presentTimer: Timer | undefined;
  #trustTimer: Timer | undefined;
  readonly #clock: Clock;
  readonly #onStep: () => void;

  constructor(clock: Clock, onStep: () => void) {
    this.#clock = clock;
    this.#onStep = onStep;
  }

  begin(from: CachedIdentity, presentMs: number): void {
    this.stop();
    this.presentsOld = presentMs > 0;
    this.#trust(from);
    if (!this.presentsOld) return;
    this.#presentTimer = this.#clock.schedule(presentMs, () => {
      this.presentsOld = false;
      this.#onStep();
    });
  }

  /** The old certificate is presented already: what is trusted no more since is trusted as long as it would be now. */
  extend(bundles: readonly X509Bundle[]): void {
    if (this.old === undefined) return;
    this.#trustTimer?.cancel();
    this.#trust({ svid: this.old.svid, bundles });
  }

  stop(): void {
    this.#presentTimer?.cancel();
    this.#trustTimer?.cancel();
  }

  #trust(old: CachedIdentity): void {
    this.old = old;
    this.#trustTimer = this.#clock.schedule(TRUST_OLD_MS, () => {
      this.old = undefined;
      this.presentsOld = false;
      this.#onStep();
    });
  }
}

/**
 * What is to be kept of `from` for a while: nothing, its trust, or its certificate, too. The latter when the new one's root
 * was not trusted before, as others may not know it either, or when the old one's root is trusted no more.
 */
function departureOf(
  from: CachedIdentity,
  to: CachedIdentity,
  told: Trust | undefined,
): 'none' | 'trust' | 'present' {
  const { trustDomain } = to.svid.id;
  const was = bundleOf(from.bundles, trustDomain);
  if (was === undefined || from.svid.id.trustDomain !== trustDomain) return 'none';
  const gone = goneFrom(was, bundleOf(to.bundles, trustDomain), told);
  const isOther = from.svid !== to.svid;
  const isUnknown = isOther && authorityOf(to.svid, was) === undefined;
  if (gone.length === 0 && !isUnknown) return 'none';
  const root = authorityOf(from.svid, was);
  if (root === undefined || told?.distrusted.has(fingerprintOf(root)) === true) return 'trust';
  return isUnknown || (isOther && gone.includes(root)) ? 'present' : 'trust';
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
