import { parseTrustDomain, SpiffeId } from './spiffe-id.js';

/** Decides whether a verified peer is one that may be talked to. */
export type Authorizer = (peer: SpiffeId) => boolean;

/** Accepts every workload that a bundle vouches for. */
export function authorizeAny(): Authorizer {
  return () => true;
}

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

/**
 * Accepts the workloads at or below a path of one trust domain, whole segments only: `/ns/prod` holds for
 * `/ns/prod/sa/a`, not for `/ns/production`.
 */
export function authorizePathPrefix(trustDomain: string, prefix: string): Authorizer {
  const name = parseTrustDomain(trustDomain);
  // Checked as the path of an ID is: what could never be one would never hold, and nobody would notice.
  const path = new SpiffeId(name, prefix).path;
  return (peer) => peer.trustDomain === name && (peer.path === path || peer.path.startsWith(`${path}/`));
}

/** Accepts who satisfies each of them; everybody when there are none. */
export function authorizeAll(...authorizers: readonly Authorizer[]): Authorizer {
  return (peer) => authorizers.every((authorizer) => authorizer(peer));
}

/** Accepts who satisfies one of them; nobody when there are none. */
export function authorizeOneOf(...authorizers: readonly Authorizer[]): Authorizer {
  return (peer) => authorizers.some((authorizer) => authorizer(peer));
}

/**
 * Lets an authorizer take several trust domains for one, as after a move to a new name (Istio's `trustDomainAliases`):
 * a peer of an alias is judged by the name that it would have in `trustDomain`. Who vouches for the peer is still the
 * bundle of the trust domain that its certificate names.
 */
export function authorizeAliases(
  authorizer: Authorizer,
  trustDomain: string,
  aliases: Iterable<string>,
): Authorizer {
  const name = parseTrustDomain(trustDomain);
  const others = new Set([...aliases].map(parseTrustDomain));
  return (peer) => authorizer(others.has(peer.trustDomain) ? new SpiffeId(name, peer.path) : peer);
}
