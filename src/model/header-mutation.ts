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
