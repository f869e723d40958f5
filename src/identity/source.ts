import type { Unsubscribe } from '../runtime/abort.js';
import { isEqual } from '../runtime/equal.js';
import { isSameBundle, type X509Bundle } from './bundle.js';
import type { X509Svid } from './x509-svid.js';

/** Supplies this workload's certificate and the roots it trusts, and tells when they change. */
export interface IdentitySource {
  /** The current SVID; undefined while there is none. */
  svid(): X509Svid | undefined;
  /** The roots of one trust domain; undefined when it is not trusted. */
  bundle(trustDomain: string): X509Bundle | undefined;
  /** Trust domains besides the own one whose members are let in; none when absent. */
  federated?(): readonly string[];
  /** Calls `listener` after each change (not at once). */
  onUpdate(listener: () => void): Unsubscribe;
}

/** What a source holds at one moment. */
export interface IdentityState {
  readonly svid: X509Svid | undefined;
  readonly bundles: readonly X509Bundle[];
  /** Trust domains of `bundles` whose members are let in besides those of the own one. */
  readonly federated?: readonly string[];
}

/** A source whose owner sets what it supplies. */
export interface SettableSource extends IdentitySource {
  /** Puts a state in force. Listeners hear of it when its content differs from the one before. */
  set(state: IdentityState): void;
}

/** Makes a source that supplies what `set` was last called with. */
export function createSettableSource(
  initial: IdentityState = { svid: undefined, bundles: [] },
): SettableSource {
  let svid = initial.svid;
  let bundles = byTrustDomain(initial.bundles);
  let federated = initial.federated ?? [];
  const listeners = new Set<() => void>();
  return {
    svid: () => svid,
    bundle: (trustDomain) => bundles.get(trustDomain),
    federated: () => federated,
    onUpdate(listener) {
      // A wrapper, so that the same function may subscribe twice.
      const entry = () => listener();
      listeners.add(entry);
      return () => {
        listeners.delete(entry);
      };
    },
    set(state) {
      const next = { bundles: byTrustDomain(state.bundles), federated: state.federated ?? [] };
      // Whoever listens makes its connections anew: that is not to be had for nothing.
      if (
        isSameSvid(svid, state.svid) &&
        isSameTrust(bundles, next.bundles) &&
        isEqual(federated, next.federated)
      )
        return;
      svid = state.svid;
      ({ bundles, federated } = next);
      for (const listener of Array.from(listeners)) listener();
    },
  };
}

/** A source that never changes. */
export function staticSource(svid: X509Svid | undefined, bundles: readonly X509Bundle[]): IdentitySource {
  const source = createSettableSource({ svid, bundles });
  return { svid: source.svid, bundle: source.bundle, onUpdate: source.onUpdate };
}

function isSameSvid(a: X509Svid | undefined, b: X509Svid | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  return isEqual(a.certificatesPem, b.certificatesPem) && a.privateKey.equals(b.privateKey);
}

function isSameTrust(a: ReadonlyMap<string, X509Bundle>, b: ReadonlyMap<string, X509Bundle>): boolean {
  if (a.size !== b.size) return false;
  for (const [trustDomain, bundle] of a) if (!isSameBundle(bundle, b.get(trustDomain))) return false;
  return true;
}

// A Map, because `__proto__` is a valid trust domain.
function byTrustDomain(bundles: readonly X509Bundle[]): ReadonlyMap<string, X509Bundle> {
  return new Map(bundles.map((bundle) => [bundle.trustDomain, bundle]));
}
