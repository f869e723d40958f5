/** Envoy HeaderValueOption.HeaderAppendAction. */
export type AppendAction =
  | 'append-if-exists-or-add'
  | 'add-if-absent'
  | 'overwrite-if-exists-or-add'
  | 'overwrite-if-exists';

/** Envoy HeaderValueOption. */
export interface HeaderAddition {
  /** Lower case. */
  readonly name: string;
  /** A format string. */
  readonly value: string;
  readonly action: AppendAction;
  /** Whether a value that turns out empty is written all the same. */
  readonly keepEmpty: boolean;
}

/** One set of changes: all removals, then all values are read, then all overwrites, then all additions. */
export interface HeaderMutations {
  /** Lower case. */
  readonly remove: readonly string[];
  readonly add: readonly HeaderAddition[];
}

export const NO_MUTATIONS: HeaderMutations = { remove: [], add: [] };

/** Changes to both directions, as a route, virtual host, table or weighted cluster carries them. */
export interface HeaderRules {
  readonly request: HeaderMutations;
  readonly response: HeaderMutations;
}

/** One step of the header mutation filter: they run one after the other, each seeing what the ones before did. */
export type HeaderStep =
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'set'; readonly addition: HeaderAddition };

/** Envoy `envoy.filters.http.header_mutation`. Its names may be pseudo-headers. */
export interface HeaderMutationConfig {
  readonly kind: 'header-mutation';
  readonly request: readonly HeaderStep[];
  readonly response: readonly HeaderStep[];
  /** Per-route steps run from the least specific to the most specific, so that the latter wins. Default false. */
  readonly mostSpecificWins: boolean;
}

/** The filter's configuration of a route, virtual host or weighted cluster; it comes on top of the filter's own. */
export interface HeaderMutationRouteConfig {
  readonly kind: 'header-mutation-route';
  readonly request: readonly HeaderStep[];
  readonly response: readonly HeaderStep[];
}
