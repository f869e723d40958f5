import { codeOf, MeshError, type MeshErrorCode, messageOf } from '../runtime/errors.js';

interface Reading {
  readonly code: MeshErrorCode;
  readonly what: string;
  readonly hint: string;
}

const EXPIRED: Reading = {
  code: 'INMESH_CERTIFICATE_EXPIRED',
  what: 'the certificate of the peer has expired or is not valid yet',
  hint: 'Check that the peer reaches its certificate authority, and the clocks of both machines',
};
const UNTRUSTED: Reading = {
  code: 'INMESH_TRUST_DOMAIN',
  what: 'the certificate of the peer was not issued by an authority of this trust domain',
  hint: 'Check that both sides use the same control plane and trust domain',
};
const REFUSED: Reading = {
  code: 'INMESH_PEER_IDENTITY',
  what: 'the peer refused the certificate of this workload',
  hint: 'Check that this workload has a certificate that has not expired, of an authority that the peer trusts',
};
const NOT_TLS: Reading = {
  code: 'INMESH_UPSTREAM_CONNECT',
  what: 'the peer does not speak TLS',
  hint: 'Let it join the mesh, or set tls mode DISABLE for it in a DestinationRule',
};
const OLD_TLS: Reading = {
  code: 'INMESH_UPSTREAM_CONNECT',
  what: 'the peer does not speak TLS 1.3',
  hint: 'The mesh speaks TLS 1.3 only: let the peer offer it',
};
const OTHER: Omit<Reading, 'what'> = {
  code: 'INMESH_UPSTREAM_CONNECT',
  hint: 'Check that the peer runs and is reachable at this address',
};

/** What the codes of Node and OpenSSL mean in a mesh. */
const READINGS: ReadonlyMap<string, Reading> = new Map([
  ['CERT_HAS_EXPIRED', EXPIRED],
  ['CERT_NOT_YET_VALID', EXPIRED],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNTRUSTED],
  ['SELF_SIGNED_CERT_IN_CHAIN', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT', UNTRUSTED],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNTRUSTED],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNTRUSTED],
  ['CERT_SIGNATURE_FAILURE', UNTRUSTED],
  ['INVALID_CA', UNTRUSTED],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', REFUSED],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', REFUSED],
  ['ERR_SSL_TLSV1_ALERT_ACCESS_DENIED', REFUSED],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', REFUSED],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', REFUSED],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', REFUSED],
  ['ERR_SSL_WRONG_VERSION_NUMBER', NOT_TLS],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', NOT_TLS],
  ['ERR_SSL_HTTP_REQUEST', NOT_TLS],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', OLD_TLS],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', OLD_TLS],
]);

/** Turns an error of a TLS connection into one that says what it means in a mesh; mesh errors pass unchanged. */
export function explainTlsError(error: unknown, resource: string): MeshError {
  if (MeshError.is(error)) return error;
  const { code, what, hint } = READINGS.get(codeOf(error) ?? '') ?? {
    ...OTHER,
    what: `the connection failed: ${messageOf(error)}`,
  };
  return new MeshError(code, what, { resource, hint, cause: error });
}
