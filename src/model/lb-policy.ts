/** Load-balancing policy of a cluster. */
export type LbPolicy =
  | { readonly kind: 'round-robin' }
  /** Power of `choiceCount` random choices by active requests. */
  | { readonly kind: 'least-request'; readonly choiceCount: number; readonly activeRequestBias: number }
  | { readonly kind: 'random' };
