/** A table that leads from a hash to a host. */
export interface HashTable {
  /** Index of the host for a hash; moves on with `attempt`. */
  indexOf(hash: bigint, attempt: number): number;
  /** Envoy's gauges: places in the table, and the fewest and most of one host. */
  readonly size: number;
  readonly minPerHost: number;
  readonly maxPerHost: number;
}

/** Builds a table in steps: it pauses where it likes, so that a big one can be built in slices of time. */
export type TableBuild = Generator<void, HashTable>;

/** What a kind of table needs to know. */
export interface TableInput {
  /** Keys of the hosts. */
  readonly keys: readonly string[];
  /** Their shares, which add up to 1. */
  readonly weights: readonly number[];
  readonly min: number;
  readonly max: number;
}

/** One kind of table, e.g. a ring. */
export interface TableKind {
  /** About how many microseconds a table takes. */
  costUs(hosts: number): number;
  build(input: TableInput): TableBuild;
  /** The same kind at a size that is built at once, for as long as the real one is not ready. */
  readonly interim: TableKind | undefined;
}

/** A step of a build: so much is done between two looks at the clock. */
export const STEP = 2048;

/** Builds in one go. */
export function finish(build: TableBuild): HashTable {
  for (;;) {
    const { done, value } = build.next();
    if (done === true) return value;
  }
}
