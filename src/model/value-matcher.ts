import type { StringMatcher } from './matcher.js';

/** Envoy ValueMatcher: what a value of metadata is compared with. */
export type ValueMatcher =
  | { readonly kind: 'string'; readonly matcher: StringMatcher }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'number'; readonly value: number }
  /** A number in [start, end). */
  | { readonly kind: 'range'; readonly start: number; readonly end: number }
  | { readonly kind: 'null' }
  /** Whether there is a value; `false` never matches (Envoy). */
  | { readonly kind: 'present'; readonly value: boolean }
  /** A list, one of whose values matches. */
  | { readonly kind: 'one-of'; readonly matcher: ValueMatcher }
  | { readonly kind: 'or'; readonly matchers: readonly ValueMatcher[] };

/** Envoy MetadataMatcher. */
export interface MetadataMatcher {
  /** Name of the filter whose metadata is looked at. */
  readonly namespace: string;
  /** Keys, outermost first. */
  readonly path: readonly string[];
  readonly value: ValueMatcher;
  readonly invert: boolean;
}

/** Envoy FilterStateMatcher: of an object that a filter left. */
export interface FilterStateMatcher {
  readonly key: string;
  readonly match:
    | { readonly kind: 'string'; readonly matcher: StringMatcher }
    /** An address in one of the ranges (CIDR). */
    | { readonly kind: 'address'; readonly ranges: readonly AddressRange[] };
}

/** A range of IP addresses. */
export interface AddressRange {
  readonly address: string;
  /** Bits of the address that count. */
  readonly bits: number;
}
