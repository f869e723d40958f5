import type { FieldPath, Origin } from '../schema/origin.js';
import type { KindName, KindSpecs } from './types.js';

export type { FieldPath, Origin } from '../schema/origin.js';
export type { KindName, KindSpecs } from './types.js';

/** One configuration object, parsed and checked on its own. */
export interface Document<K extends KindName = KindName> {
  readonly apiVersion: string;
  readonly kind: K;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: KindSpecs[K];
  /** Where the document starts. */
  readonly origin: Origin;
  /** Load order: stands in for the creation time that files do not have; lower is older. */
  readonly order: number;
  /** Where the value at the path stands, or the deepest part of the path that is there. */
  position(path: FieldPath): Origin;
  /** The object as it is written. */
  raw(): Readonly<Record<string, unknown>>;
}

/** A complete, checked, immutable configuration. */
export interface ConfigView {
  /** Grows with each change of content. */
  readonly revision: number;
  /** All documents of a kind, oldest first. */
  list<K extends KindName>(kind: K): readonly Document<K>[];
  /** The document of that kind, namespace and name. */
  get<K extends KindName>(kind: K, namespace: string, name: string): Document<K> | undefined;
}
