/** Envoy RegexMatchAndSubstitute: RE2, replaces every match; `\1` is the first group. */
export interface RegexRewrite {
  readonly pattern: string;
  readonly substitution: string;
}
