/** What the order of the rules of routes goes by. */
export interface RuleRank {
  /** Of the host name of the route by which requests come to it; 0 where these do not count. */
  readonly host: number;
  /** Exact before prefix before regular expression before what takes everything (Istio). */
  readonly kind: number;
  /** Characters of the path, or of service and method. */
  readonly length: number;
  /** For gRPC: characters of the method; for HTTP: whether one is asked for. */
  readonly method: number;
  readonly headers: number;
  readonly queryParams: number;
  /** Load order of the route, which stands for its age. */
  readonly order: number;
  /** `namespace/name` of the route. */
  readonly name: string;
  /** Where the match stands in its route. */
  readonly position: number;
}

/** Gateway API: the order in which matches are tried, whatever routes and rules they stand in. */
export function compareRanks(a: RuleRank, b: RuleRank): number {
  return (
    b.host - a.host ||
    b.kind - a.kind ||
    b.length - a.length ||
    b.method - a.method ||
    b.headers - a.headers ||
    b.queryParams - a.queryParams ||
    a.order - b.order ||
    (a.name < b.name ? -1 : a.name > b.name ? 1 : 0) ||
    a.position - b.position
  );
}
