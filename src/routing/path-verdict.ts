/** What becomes of a request's path. */
export type PathVerdict =
  | { readonly kind: 'continue'; readonly path: string }
  /** The client is sent to the path. */
  | { readonly kind: 'redirect'; readonly path: string }
  | { readonly kind: 'reject' };
