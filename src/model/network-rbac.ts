import type { RbacRules } from './rbac.js';

/** Envoy network RBAC filter: who may connect. */
export interface NetworkRbac {
  /** The one without a kind. */
  readonly kind?: undefined;
  /** Stands before the names of figures. */
  readonly statPrefix: string;
  /** Undefined lets everybody in. */
  readonly rules: RbacRules | undefined;
  /** Decided and recorded, not enforced. */
  readonly shadowRules: RbacRules | undefined;
  /** Stands before the names of figures and metadata of `shadowRules`. Default empty. */
  readonly shadowRulesStatPrefix: string;
}
