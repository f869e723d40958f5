/** A place in a configuration file; line and column count from 1. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** The way from a document's root to one of its values: names of fields and indexes, e.g. `['spec', 'http', 0]`. */
export type FieldPath = readonly (string | number)[];
