/** Envoy HeaderMutationRules: which headers a service may change. */
export interface HeaderMutationRules {
  /** Allows `host`, `:authority`, `:scheme` and `:method`. */
  readonly allowAllRouting: boolean;
  /** Allows headers that begin with `x-envoy`. */
  readonly allowEnvoy: boolean;
  /** Forbids headers that begin with a colon. */
  readonly disallowSystem: boolean;
  readonly disallowAll: boolean;
  /** RE2; goes before all rules but the two that forbid. */
  readonly allowExpression: string | undefined;
  readonly disallowExpression: string | undefined;
  /** A change that is not allowed fails the request instead of being passed over. */
  readonly disallowIsError: boolean;
}
