/** Envoy StringMatcher. `regex` is RE2 and must match the whole value; the other kinds honour `ignoreCase`. */
export type StringMatcher =
  | {
      readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains';
      readonly value: string;
      readonly ignoreCase: boolean;
    }
  | { readonly kind: 'regex'; readonly pattern: string };

/** An integer of 64 bits: beyond 2^53 as a decimal text. */
export type Int64 = number | string;

/** Envoy HeaderMatcher. */
export interface HeaderMatcher {
  /** Lower case; `:authority`, `:method`, `:path` and `:scheme` name the pseudo-headers. */
  readonly name: string;
  readonly match:
    | { readonly kind: 'string'; readonly matcher: StringMatcher }
    | { readonly kind: 'present'; readonly present: boolean }
    /** The whole value is an integer in [start, end). */
    | { readonly kind: 'range'; readonly start: Int64; readonly end: Int64 };
  readonly invert: boolean;
  readonly treatMissingAsEmpty: boolean;
}

/** Envoy QueryParameterMatcher: the first value of the key, undecoded. */
export interface QueryParameterMatcher {
  readonly name: string;
  readonly match:
    | { readonly kind: 'string'; readonly matcher: StringMatcher }
    | { readonly kind: 'present'; readonly present: boolean };
}

/** Envoy CookieMatcher: the first cookie of the name; inverted, it also matches when there is none. */
export interface CookieMatcher {
  readonly name: string;
  readonly matcher: StringMatcher;
  readonly invert: boolean;
}

/** Envoy RouteMatch path specifier. */
export type PathMatcher =
  | { readonly kind: 'prefix'; readonly value: string; readonly caseSensitive: boolean }
  | { readonly kind: 'path'; readonly value: string; readonly caseSensitive: boolean }
  | { readonly kind: 'regex'; readonly pattern: string }
  /** See `parseTemplate`. */
  | { readonly kind: 'template'; readonly template: string }
  /** CONNECT requests, whatever their path. */
  | { readonly kind: 'connect' }
  | { readonly kind: 'path-separated-prefix'; readonly value: string; readonly caseSensitive: boolean };
