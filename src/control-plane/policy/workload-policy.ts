/** How a text must look: `a`, `a*`, `*a`, or `*` for any that is there at all (Istio). */
export type PolicyText =
  | { readonly kind: 'exact' | 'prefix' | 'suffix'; readonly value: string }
  | { readonly kind: 'presence' };

/** A range of IP addresses. */
export interface PolicyRange {
  readonly address: string;
  readonly bits: number;
}

/** A service account of a namespace. */
export interface PolicyAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/**
 * Conditions on a connection, of which all must hold: of a list one entry matches, of a `not…` list none. A list that
 * is left out asks for nothing.
 */
export interface PolicyMatch {
  readonly namespaces?: readonly PolicyText[];
  readonly notNamespaces?: readonly PolicyText[];
  readonly serviceAccounts?: readonly PolicyAccount[];
  readonly notServiceAccounts?: readonly PolicyAccount[];
  /** SPIFFE IDs without their scheme; a connection without mTLS has none. */
  readonly principals?: readonly PolicyText[];
  readonly notPrincipals?: readonly PolicyText[];
  readonly sourceIps?: readonly PolicyRange[];
  readonly notSourceIps?: readonly PolicyRange[];
  readonly destinationIps?: readonly PolicyRange[];
  readonly notDestinationIps?: readonly PolicyRange[];
  readonly destinationPorts?: readonly number[];
  readonly notDestinationPorts?: readonly number[];
}

/** One of its matches must hold. */
export interface PolicyRule {
  readonly matches: readonly PolicyMatch[];
}

/** All of its rules must hold. */
export interface PolicyGroup {
  readonly rules: readonly PolicyRule[];
}

/**
 * What decides about connections to a workload, in the one form in which Istio's ambient proxy gets PeerAuthentication
 * and AuthorizationPolicy alike: the policy applies when one of its groups holds.
 */
export interface WorkloadPolicy {
  readonly name: string;
  readonly namespace: string;
  readonly scope: 'GLOBAL' | 'NAMESPACE' | 'WORKLOAD_SELECTOR';
  readonly action: 'ALLOW' | 'DENY';
  readonly groups: readonly PolicyGroup[];
}

/** A connection to a workload, as policies see it. */
export interface PolicyConnection {
  /** `trust.domain/ns/namespace/sa/account`; undefined = plaintext. */
  readonly principal: string | undefined;
  readonly sourceIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
}
