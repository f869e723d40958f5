/** Name of the filter for tokens, and of the metadata that it writes. */
export const JWT_FILTER = 'envoy.filters.http.jwt_authn';
/** Istio: the key of that metadata under which the claims are. */
export const JWT_PAYLOAD = 'payload';
