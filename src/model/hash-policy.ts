import type { RegexRewrite } from './rewrite.js';

/** Envoy RouteAction.HashPolicy: one source of the hash that ring hash, maglev and weighted clusters use. */
export type HashPolicy = HashSource & {
  /** Stops the walk when a hash exists after this policy. */
  readonly terminal: boolean;
};

export type HashSource =
  | { readonly kind: 'header'; readonly name: string; readonly rewrite: RegexRewrite | undefined }
  | {
      readonly kind: 'cookie';
      readonly name: string;
      /** Undefined: an absent cookie gives no hash. 0: a session cookie is made. */
      readonly ttlMs: number | undefined;
      readonly path: string;
      readonly attributes: readonly { readonly name: string; readonly value: string }[];
    }
  | { readonly kind: 'source-ip' }
  | { readonly kind: 'query-parameter'; readonly name: string }
  | { readonly kind: 'filter-state'; readonly key: string };
