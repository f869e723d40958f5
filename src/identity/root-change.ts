import type { Clock, Timer } from '../runtime/clock.js';
import { createX509Bundle, type X509Bundle } from './bundle.js';
import type { CachedIdentity } from './identity-cache.js';
import type { IdentityState } from './source.js';

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
  close(): void;
}

/** Makes the steps of one source; `set` puts a state in force. */
export function createRootChange(set: (state: IdentityState) => void, clock: Clock): RootChange {
  let current: CachedIdentity | undefined;
  /** What is on its way out; undefined when no change is under way. */
  let old: CachedIdentity | undefined;
  let presentsOld = false;
  let timers: readonly Timer[] = [];
  const apply = () => {
    if (current === undefined) return;
    const svid = presentsOld ? (old?.svid ?? current.svid) : current.svid;
    set({ svid, bundles: old === undefined ? current.bundles : merge(current.bundles, old.bundles) });
  };
  const stop = () => {
    for (const timer of timers) timer.cancel();
    timers = [];
  };
  const begin = (from: CachedIdentity, leftMs: number) => {
    stop();
    old = from;
    presentsOld = true;
    const present = clock.schedule(Math.min(PRESENT_OLD_MS, leftMs / 2), () => {
      presentsOld = false;
      apply();
    });
    const distrust = clock.schedule(TRUST_OLD_MS, () => {
      old = undefined;
      apply();
    });
    timers = [present, distrust];
  };
  return {
    use(next) {
      const from = current;
      current = next;
      const leftMs = from === undefined ? 0 : from.svid.notAfterMs - clock.wallTime();
      if (from !== undefined && leftMs > 0 && isAnotherRoot(from, next)) begin(from, leftMs);
      apply();
    },
    close: stop,
  };
}

/** Same trust domain, but none of the roots so far is among those that came with the new certificate. */
function isAnotherRoot(from: CachedIdentity, next: CachedIdentity): boolean {
  const { trustDomain } = next.svid.id;
  if (from.svid.id.trustDomain !== trustDomain) return false;
  const known = new Set(authoritiesOf(from, trustDomain));
  return !authoritiesOf(next, trustDomain).some((pem) => known.has(pem));
}

function authoritiesOf({ bundles }: CachedIdentity, trustDomain: string): readonly string[] {
  return bundles.find((bundle) => bundle.trustDomain === trustDomain)?.authorities ?? [];
}

function merge(bundles: readonly X509Bundle[], old: readonly X509Bundle[]): readonly X509Bundle[] {
  return bundles.map((bundle) => {
    const before = old.find(({ trustDomain }) => trustDomain === bundle.trustDomain);
    return before === undefined
      ? bundle
      : createX509Bundle(bundle.trustDomain, [...bundle.authorities, ...before.authorities]);
  });
}
