import type { StringMatcher } from './matcher.js';

/** What a match tree looks at. */
export type MatchInput =
  /** All values of a request header (lower case), joined by commas. */
  | { readonly kind: 'request-header'; readonly name: string }
  /** A text that a filter left. */
  | { readonly kind: 'filter-state'; readonly key: string }
  /** Of the connection that the request came in on; only where a tree may look at it. */
  | { readonly kind: 'connection'; readonly of: ConnectionInput };

/** `source` is the client that trusted proxies name, `direct-source` the peer of the connection. */
export type ConnectionInput =
  | 'destination-ip'
  | 'destination-port'
  | 'source-ip'
  | 'source-port'
  | 'direct-source-ip'
  | 'server-name';

/** xDS Matcher: finds an action. */
export interface MatchTree<A> {
  readonly node: MatchNode<A> | undefined;
  /** When the node finds nothing. */
  readonly otherwise: OnMatch<A> | undefined;
}

export type MatchNode<A> =
  /** First match wins. */
  | { readonly kind: 'list'; readonly entries: readonly MatchEntry<A>[] }
  | {
      /** Of prefixes the longest goes first. */
      readonly kind: 'exact-map' | 'prefix-map';
      readonly input: MatchInput;
      readonly entries: ReadonlyMap<string, OnMatch<A>>;
    };

/** One entry of a list. */
export interface MatchEntry<A> {
  readonly predicate: MatchPredicate;
  readonly onMatch: OnMatch<A>;
}

export type MatchPredicate =
  | { readonly kind: 'value'; readonly input: MatchInput; readonly matcher: StringMatcher }
  | { readonly kind: 'or' | 'and'; readonly predicates: readonly MatchPredicate[] }
  | { readonly kind: 'not'; readonly predicate: MatchPredicate };

/** What a match leads to: an action, or a tree that looks further. */
export type OnMatch<A> = {
  /** The match does not count: the next one is looked for. */
  readonly keepMatching: boolean;
} & (
  | { readonly kind: 'action'; readonly action: A }
  | { readonly kind: 'tree'; readonly tree: MatchTree<A> }
);

/** Every action of a tree. */
export function actionsOf<A>({ node, otherwise }: MatchTree<A>): readonly A[] {
  const steps =
    node === undefined
      ? []
      : node.kind === 'list'
        ? node.entries.map(({ onMatch }) => onMatch)
        : [...node.entries.values()];
  return [...steps, ...(otherwise === undefined ? [] : [otherwise])].flatMap((step) =>
    step.kind === 'action' ? [step.action] : actionsOf(step.tree),
  );
}
