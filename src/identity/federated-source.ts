import type { BundleSource } from './bundle-endpoint/source.js';
import type { RotatingSource } from './rotation.js';

/**
 * An identity whose peers may also be of other trust domains: each with a bundle of its own. What the identity itself
 * says of a trust domain counts more, so nobody can stand in for the own one.
 */
export function federate(identity: RotatingSource, bundles: readonly BundleSource[]): RotatingSource {
  if (bundles.length === 0) return identity;
  const others = new Map(bundles.map((source) => [source.trustDomain, source]));
  const { trust } = identity;
  return {
    ready: identity.ready,
    svid: () => identity.svid(),
    bundle: (trustDomain) => identity.bundle(trustDomain) ?? others.get(trustDomain)?.bundle()?.x509,
    federated: () => [...new Set([...(identity.federated?.() ?? []), ...others.keys()])],
    onUpdate(listener) {
      const ends = [identity, ...bundles].map((source) => source.onUpdate(listener));
      return () => {
        for (const end of ends) end();
      };
    },
    renewNow: () => identity.renewNow(),
    ...(trust !== undefined && { trust: (said) => identity.trust?.(said) }),
    close() {
      identity.close();
      for (const source of bundles) source.close();
    },
  };
}
