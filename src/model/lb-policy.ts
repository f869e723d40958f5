/** Load-balancing policy of a cluster. */
export type LbPolicy = RoundRobinPolicy | LeastRequestPolicy | RandomPolicy;

/** In turn; in proportion to the weights of hosts. */
export interface RoundRobinPolicy {
  readonly kind: 'round-robin';
  readonly locality?: LocalityBalancing | undefined;
}

/** Power of `choiceCount` random choices by active requests. */
export interface LeastRequestPolicy {
  readonly kind: 'least-request';
  readonly choiceCount: number;
  /** Exponent of the active requests where weights differ. Default 1. */
  readonly activeRequestBias: number;
  readonly locality?: LocalityBalancing | undefined;
}

/** Any host with equal chance, whatever its weight. */
export interface RandomPolicy {
  readonly kind: 'random';
  readonly locality?: LocalityBalancing | undefined;
}

/** How a policy treats localities. Undefined: all hosts of a priority are one list. */
export interface LocalityBalancing {
  /** By the weights that the control plane gives to localities (Envoy `locality_weighted_lb_config`). */
  readonly kind: 'weighted';
}
