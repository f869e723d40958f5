import type { Place } from '../schema/config-file.js';
import type { FieldPath } from '../store/view.js';
import type { FindingCode, Level } from './codes.js';

/** One thing that analysis found. */
export interface Finding {
  /** `IST...` are Istio's own codes, `INM...` those of inmesh. */
  readonly code: FindingCode;
  readonly level: Level;
  /** The name of the code: `ReferencedResourceNotFound`. */
  readonly name: string;
  /** What it is about: `VirtualService shop/cart`; the name of the file when it is about no document. */
  readonly origin: string;
  /** The namespace of the document; empty when it is in none. */
  readonly namespace: string;
  /** What is wrong, complete in itself. */
  readonly message: string;
  /** Who found it. */
  readonly analyzer: string;
  readonly path: FieldPath;
  readonly place: Place;
  /** What was probably meant. */
  readonly suggestion: string | undefined;
}
