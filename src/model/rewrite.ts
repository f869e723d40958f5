/** Envoy RegexMatchAndSubstitute: RE2, replaces every match; `\1` is the first group. */
export interface RegexRewrite {
  readonly pattern: string;
  readonly substitution: string;
}

/** How a forwarding route changes the path. */
export type PathRewrite =
  /** Replaces what the route's path matcher matched. */
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'regex'; readonly rewrite: RegexRewrite }
  /** `{name}` stands for what the route's path template captured. */
  | { readonly kind: 'template'; readonly template: string };

/** How a forwarding route changes the host. */
export type HostRewrite =
  | { readonly kind: 'literal'; readonly value: string }
  /** The first value of a request header. */
  | { readonly kind: 'header'; readonly name: string }
  /** Applied to the path; the result is the host. */
  | { readonly kind: 'path-regex'; readonly rewrite: RegexRewrite }
  /** The hostname of the endpoint that was chosen. */
  | { readonly kind: 'auto' };
