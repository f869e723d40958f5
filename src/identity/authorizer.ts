import type { SpiffeId } from './spiffe-id.js';

/** Decides whether a verified peer is one that may be talked to. */
export type Authorizer = (peer: SpiffeId) => boolean;

/** Accepts every workload of these trust domains. */
export function authorizeTrustDomains(trustDomains: Iterable<string>): Authorizer {
  const names = new Set(trustDomains);
  return (peer) => names.has(peer.trustDomain);
}

/** Accepts these workloads only. */
export function authorizeIds(ids: Iterable<SpiffeId | string>): Authorizer {
  const uris = new Set([...ids].map(String));
  return (peer) => uris.has(peer.toString());
}

/** Accepts a workload whose URI satisfies one of the predicates; with no predicate, every workload that its bundle vouches for. */
export function authorizeUris(predicates: readonly ((uri: string) => boolean)[]): Authorizer {
  if (predicates.length === 0) return () => true;
  return (peer) => predicates.some((predicate) => predicate(peer.toString()));
}
