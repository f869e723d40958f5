/**
 * What becomes of `x-forwarded-client-cert` (Envoy `forward_client_cert_details` and `set_current_client_cert_details`):
 * it is passed on as it came, extended or replaced by an element about the caller's certificate.
 */
export interface ForwardedClientCert {
  /** All but `always-forward-only` take the header off connections without a client certificate. */
  readonly mode: 'forward-only' | 'append-forward' | 'sanitize-set' | 'always-forward-only';
  /** What an element says besides `By` and `Hash`. */
  readonly subject: boolean;
  readonly cert: boolean;
  readonly dns: boolean;
  readonly uri: boolean;
}
