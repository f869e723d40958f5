/** What a condition looks at, as far as not everybody can. */
export type Feature =
  /** The connection. */
  | 'connection'
  /** The name that a client asks for in TLS. */
  | 'sni'
  /** The head of a request. */
  | 'http'
  /** A header of a request that gRPC keeps to itself. */
  | 'reserved-header'
  /** The path of a request, by a template. */
  | 'template'
  /** Claims of a verified token. */
  | 'jwt'
  /** What other filters left. */
  | 'metadata';

/** Who carries a policy out. */
export type Enforcer =
  /** Envoy and inmesh, for requests. */
  | 'http'
  /** Envoy and inmesh, for connections without requests. */
  | 'tcp'
  /** gRPC's own servers (gRFC A41). */
  | 'grpc';

const NOTHING: ReadonlySet<Feature> = new Set();

const LACKS: Readonly<Record<Enforcer, ReadonlySet<Feature>>> = {
  http: NOTHING,
  tcp: new Set(['http', 'reserved-header', 'template', 'jwt']),
  grpc: new Set(['sni', 'reserved-header', 'template', 'jwt', 'metadata']),
};

/** What a match means for those that it is true of. */
export type RbacAction = 'allow' | 'deny' | 'log';

/** Part of a rule: one of some values has to match, and none of others. */
export interface Condition<T> {
  readonly values: readonly string[];
  readonly notValues: readonly string[];
  readonly needs: Feature;
  /** What matches when one of the values does. */
  readonly match: (values: readonly string[]) => T;
}

/** What negates a match. */
type Not<T> = (match: T) => T;

/**
 * The matchers of conditions, which all have to match. Undefined = the rule can't be carried out.
 *
 * Istio: who can't look at something ignores a rule that allows by it, and widens one that denies by it, so that nobody
 * gets in by what is not understood.
 */
export function matchersOf<T>(
  conditions: readonly Condition<T>[],
  not: Not<T>,
  { action, enforcer }: { readonly action: RbacAction; readonly enforcer: Enforcer },
): readonly T[] | undefined {
  const all: T[] = [];
  for (const { values, notValues, needs, match } of conditions) {
    if (LACKS[enforcer].has(needs)) {
      if (action === 'allow') return undefined;
      continue;
    }
    if (values.length > 0) all.push(match(values));
    if (notValues.length > 0) all.push(not(match(notValues)));
  }
  return all;
}
