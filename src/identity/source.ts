import type { Unsubscribe } from '../runtime/abort.js';
import type { X509Bundle } from './bundle.js';
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
      svid = state.svid;
      bundles = byTrustDomain(state.bundles);
      federated = state.federated ?? [];
      for (const listener of Array.from(listeners)) listener();
    },
  };
}

/** A source that never changes. */
export function staticSource(svid: X509Svid | undefined, bundles: readonly X509Bundle[]): IdentitySource {
  const source = createSettableSource({ svid, bundles });
  return { svid: source.svid, bundle: source.bundle, onUpdate: source.onUpdate };
}

// A Map, because `__proto__` is a valid trust domain.
function byTrustDomain(bundles: readonly X509Bundle[]): ReadonlyMap<string, X509Bundle> {
  return new Map(bundles.map((bundle) => [bundle.trustDomain, bundle]));
}
