/** How the check of a token went: `ok`, or why it failed. */
export type JwtStatus = 'ok' | JwtFailure;

/** Envoy's names for what can be wrong. */
export type JwtFailure = keyof typeof FAILURES;

interface Failure {
  /** Envoy's number, as it stands in dynamic metadata. */
  readonly code: number;
  /** Envoy's text, as callers see it. */
  readonly text: string;
}

const FAILURES = {
  missing: { code: 1, text: 'Jwt is missing' },
  notYetValid: { code: 2, text: 'Jwt not yet valid' },
  expired: { code: 3, text: 'Jwt is expired' },
  badFormat: {
    code: 4,
    text: 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections',
  },
  headerBase64: { code: 5, text: 'Jwt header is an invalid Base64url encoded' },
  headerJson: { code: 6, text: 'Jwt header is an invalid JSON' },
  headerAlg: { code: 7, text: 'Jwt header [alg] field is required and must be a string' },
  algorithm: { code: 8, text: 'Jwt header [alg] is not supported' },
  headerKid: { code: 9, text: 'Jwt header [kid] field is not a string' },
  payloadBase64: { code: 10, text: 'Jwt payload is an invalid Base64url encoded' },
  payloadJson: { code: 11, text: 'Jwt payload is an invalid JSON' },
  iss: { code: 12, text: 'Jwt payload [iss] field is not a string' },
  sub: { code: 13, text: 'Jwt payload [sub] field is not a string' },
  iatType: { code: 14, text: 'Jwt payload [iat] field is not an integer' },
  iatRange: { code: 15, text: 'Jwt payload [iat] field is not a positive 64 bit integer' },
  nbfType: { code: 16, text: 'Jwt payload [nbf] field is not an integer' },
  nbfRange: { code: 17, text: 'Jwt payload [nbf] field is not a positive 64 bit integer' },
  expType: { code: 18, text: 'Jwt payload [exp] field is not an integer' },
  expRange: { code: 19, text: 'Jwt payload [exp] field is not a positive 64 bit integer' },
  jti: { code: 20, text: 'Jwt payload [jti] field is not a string' },
  aud: { code: 21, text: 'Jwt payload [aud] field is not a string or string list' },
  signatureBase64: { code: 22, text: 'Jwt signature is an invalid Base64url encoded' },
  unknownIssuer: { code: 24, text: 'Jwt issuer is not configured' },
  audience: { code: 25, text: 'Audiences in Jwt are not allowed' },
  verification: { code: 26, text: 'Jwt verification fails' },
  noValidKeys: { code: 31, text: "Jwks doesn't have any valid public key" },
  keyMismatch: { code: 32, text: "Jwks doesn't have key to match kid or alg from Jwt" },
  fetch: { code: 40, text: 'Jwks remote fetch is failed' },
} as const satisfies Readonly<Record<string, Failure>>;

/** Envoy's number and text of a failure. */
export function describeFailure(failure: JwtFailure): Failure {
  return FAILURES[failure];
}
